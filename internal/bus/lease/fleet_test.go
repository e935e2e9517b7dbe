package lease_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// station plays bridges that work on clouds, and watches that two never work on one.
type station struct {
	t *testing.T
	s *natstest.Server

	mu      sync.Mutex
	working map[string]map[string]*lease.Lease // by key and bridge
	taken   []lease.Takeover
}

// bridge is one that stands by for keys.
type bridge struct {
	name string
	conn *bus.Conn
	stop func()
}

// join starts a bridge that works on as much of the keys as it gets.
func (st *station) join(name string, keys []string) bridge {
	st.t.Helper()
	conn := bustest.Running(st.t, st.s)
	f, err := lease.NewFleet(conn, bustest.Ensurer(conn), lease.Member{ID: name}, bustest.Quiet())
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(f.Close)
	f.OnTakeover(func(t lease.Takeover) {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.taken = append(st.taken, t)
	})
	stop := bustest.Start(st.t, func(ctx context.Context) error {
		var all sync.WaitGroup
		all.Go(func() { _ = f.Run(ctx) })
		for _, key := range keys {
			all.Go(func() {
				for ctx.Err() == nil {
					if l, err := f.Acquire(ctx, key); err == nil {
						st.work(ctx, name, key, l)
					}
				}
			})
		}
		all.Wait()
		return nil
	})
	return bridge{name, conn, stop}
}

// work has a lease until it has to go.
func (st *station) work(ctx context.Context, name, key string, l *lease.Lease) {
	st.mu.Lock()
	for other, have := range st.working[key] {
		if time.Now().Before(have.Until()) {
			st.t.Errorf("%s and %s may work on %s", name, other, key)
		}
	}
	if st.working[key] == nil {
		st.working[key] = map[string]*lease.Lease{}
	}
	st.working[key][name] = l
	st.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-l.Lost():
	case <-l.Yield():
	}
	st.mu.Lock()
	delete(st.working[key], name)
	st.mu.Unlock()
	l.Release(ctx)
}

// counts is how many keys each bridge may work on, the fewest first.
func (st *station) counts(of ...bridge) []int {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := make([]int, len(of))
	for _, holders := range st.working {
		for i, b := range of {
			if l := holders[b.name]; l != nil && time.Now().Before(l.Until()) {
				out[i]++
			}
		}
	}
	slices.Sort(out)
	return out
}

// becomes waits until the bridges have so many keys, for so long at most.
func (st *station) becomes(within time.Duration, want []int, of ...bridge) {
	st.t.Helper()
	began := time.Now()
	natstest.Eventually(st.t, fmt.Sprintf("the keys are spread as %v", want), func() bool { return slices.Equal(st.counts(of...), want) })
	st.t.Logf("%v after %s, on an idle machine within %s", want, time.Since(began), within)
}

// TestFleet: ten clouds over three bridges, while one is killed, another joins, and one stops.
func TestFleet(t *testing.T) {
	t.Parallel()
	st := station{t: t, s: natstest.Start(t), working: map[string]map[string]*lease.Lease{}}
	var keys []string
	for i := range 10 {
		keys = append(keys, fmt.Sprintf("commands.cloud%d", i))
	}
	a := st.join("a", keys)
	st.becomes(5*time.Second, []int{10}, a)
	b, c := st.join("b", keys), st.join("c", keys)
	st.becomes(10*time.Second, []int{3, 3, 4}, a, b, c)

	b.conn.Close() // as when it is killed: it says nothing more
	st.becomes(10*time.Second, []int{5, 5}, a, c)
	d := st.join("d", keys)
	st.becomes(10*time.Second, []int{3, 3, 4}, a, c, d)

	a.stop()
	st.becomes(2*time.Second, []int{5, 5}, c, d)
}

// TestLook: one who takes no part sees the bridges and what each has, and not a bridge that is silent.
func TestLook(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	if none, err := lease.Look(t.Context(), bustest.Running(t, natstest.Start(t)), "factro"); err != nil || len(none.Bridges)+len(none.Holders) != 0 {
		t.Errorf("without a bucket it shows %v, %v", none, err)
	}
	conn := bustest.Running(t, s)
	plain := lease.New(conn, bustest.Ensurer(conn), bustest.Quiet())
	once, err := plain.Acquire(t.Context(), "acme") // as a run of reconciliation does
	if err != nil {
		t.Fatal(err)
	}
	defer once.Release(t.Context())
	st := station{t: t, s: s, working: map[string]map[string]*lease.Lease{}}
	a := st.join("a", []string{lease.Key(lease.Commands, "acme")})
	st.becomes(5*time.Second, []int{1}, a)
	b := st.join("b", []string{lease.Key(lease.Commands, "beta")})
	st.becomes(5*time.Second, []int{1, 1}, a, b)
	look := func() (names, holders []string) {
		t.Helper()
		got, err := lease.Look(t.Context(), conn, "factro")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got.Bridges {
			names = append(names, m.ID)
		}
		for _, h := range got.Holders {
			holders = append(holders, h.Work+" "+h.Cloud+" "+h.Bridge)
		}
		return names, holders
	}
	if names, holders := look(); !slices.Equal(names, []string{"a", "b"}) || !slices.Equal(holders, []string{"commands acme a", "commands beta b"}) {
		t.Errorf("it shows %v, %v", names, holders)
	}
	b.conn.Close()
	natstest.Eventually(t, "a silent bridge is not there", func() bool {
		names, holders := look()
		return slices.Equal(names, []string{"a"}) && slices.Equal(holders, []string{"commands acme a"})
	})
}

// TestTakeover: a bridge that takes a lease from another one reports which, and whether that one fell silent or gave it back. The
// first holder takes it from nobody.
func TestTakeover(t *testing.T) {
	t.Parallel()
	st := station{t: t, s: natstest.Start(t), working: map[string]map[string]*lease.Lease{}}
	key := lease.Key(lease.Commands, "acme")
	a := st.join("a", []string{key})
	st.becomes(5*time.Second, []int{1}, a)
	b := st.join("b", []string{key})
	a.conn.Close() // as when it is killed
	st.becomes(10*time.Second, []int{1}, b)
	c := st.join("c", []string{key})
	b.stop()
	st.becomes(2*time.Second, []int{1}, c)
	st.mu.Lock()
	defer st.mu.Unlock()
	want := []lease.Takeover{
		{Work: lease.Commands, Cloud: "acme", From: "a", To: "b", Silent: true},
		{Work: lease.Commands, Cloud: "acme", From: "b", To: "c"},
	}
	if !slices.Equal(st.taken, want) {
		t.Errorf("reported are %+v, want %+v", st.taken, want)
	}
}
