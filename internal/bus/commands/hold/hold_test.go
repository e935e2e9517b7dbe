package hold_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/hold"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func TestMain(m *testing.M) { bustest.Main(m) }

const (
	letter = "factro.dead.command.acme.task.deleteTask"
	stream = "FACTRO_DEAD_ACME"
)

// lanes notes which lanes are held. What was sent again is there, and done, when settled says so.
type lanes struct {
	mu      sync.Mutex
	held    []string
	settled bool
}

func (l *lanes) Hold(key string, _ uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.held, key) {
		l.held = append(l.held, key)
	}
}

func (l *lanes) Release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = slices.DeleteFunc(l.held, func(k string) bool { return k == key })
}

func (l *lanes) Caught(string, uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled
}

func (l *lanes) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = true
}

func (l *lanes) are(want ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Equal(l.held, want)
}

// holding is a server with the streams and the bucket of holds.
type holding struct {
	t    testing.TB
	out  bustest.Outside
	conn *bus.Conn
}

func newHolding(t testing.TB) holding {
	t.Helper()
	s := natstest.Start(t)
	conn := bustest.Running(t, s)
	bustest.Ready(t, conn)
	l, err := lease.New(conn, bustest.Ensurer(conn), bustest.Quiet()).Acquire(t.Context(), "any") // it makes the bucket
	if err != nil {
		t.Fatal(err)
	}
	l.Release(t.Context())
	return holding{t, bustest.Connected(t, s), conn}
}

// keeper is that of a bridge which takes over.
func (h holding) keeper(on bool) (*hold.Keeper, *lanes) {
	h.t.Helper()
	k, l := hold.New(h.conn, "acme", on, bustest.Quiet()), &lanes{}
	if err := k.Load(h.t.Context(), l); err != nil {
		h.t.Fatal(err)
	}
	return k, l
}

// bury stores the dead letter of a command.
func (h holding) bury(position string) {
	h.t.Helper()
	m := nats.NewMsg(letter)
	m.Header.Set("Factro-Dead-Position", position)
	h.out.Publish(m)
}

func (h holding) drop(sequence uint64) {
	h.t.Helper()
	if err := h.out.Stream(stream).DeleteMsg(h.t.Context(), sequence); err != nil {
		h.t.Fatal(err)
	}
}

func (h holding) hold(k *hold.Keeper, lane, position string) {
	h.t.Helper()
	for range 2 { // after a crash in between it is said again
		if err := k.Hold(h.t.Context(), hold.Hold{Lane: lane, Position: position, Subject: letter}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// run has the keeper look until the returned function is called.
func (h holding) run(k *hold.Keeper) (stop func()) {
	return bustest.Start(h.t, func(ctx context.Context) error { k.Run(ctx); return nil })
}

// TestHold: a lane stays held over a takeover, until its dead letter is gone and what was sent again is done. Two dead letters of a lane
// hold it until both are gone.
func TestHold(t *testing.T) {
	t.Parallel()
	h := newHolding(t)
	k, l := h.keeper(true)
	for i, lane := range []string{"a", "a", "b"} {
		position := "FACTRO_COMMANDS_ACME:" + strconv.Itoa(i+1)
		h.bury(position)
		h.hold(k, lane, position)
	}
	h.hold(k, "", "FACTRO_COMMANDS_ACME:9") // a command without a lane holds up nothing
	if !l.are("a", "b") {
		t.Errorf("held are %q", l.held)
	}
	k, l = h.keeper(true)
	if !slices.Contains(l.held, "a") || !slices.Contains(l.held, "b") || len(l.held) != 2 {
		t.Fatalf("after a takeover held are %q", l.held)
	}
	stop := h.run(k)
	h.drop(1)
	h.drop(3)
	l.settle()
	natstest.Eventually(t, "only one lane is held", func() bool { return l.are("a") })
	h.drop(2)
	natstest.Eventually(t, "no lane is held", func() bool { return l.are() })
	stop()
	if _, l = h.keeper(true); !l.are() {
		t.Errorf("the next bridge holds %q", l.held)
	}
}

// TestHeldUntilRedrivenIsDone: a dead letter that is gone does not release its lane before what was sent again is done, and the next
// bridge knows that too.
func TestHeldUntilRedrivenIsDone(t *testing.T) {
	t.Parallel()
	h := newHolding(t)
	k, _ := h.keeper(true)
	h.bury("FACTRO_COMMANDS_ACME:1")
	h.hold(k, "a", "FACTRO_COMMANDS_ACME:1")
	again := &nats.Msg{Header: nats.Header{"Factro-Redrive": {"1"}}}
	changed := &nats.Msg{Header: nats.Header{"Factro-Replaces": {"1"}}}
	for name, tt := range map[string]struct {
		msg  *nats.Msg
		lane string
		want bool
	}{
		"as it was":             {again, "a", true},
		"changed":               {changed, "a", true},
		"in another lane":       {changed, "b", false},
		"of another letter":     {&nats.Msg{Header: nats.Header{"Factro-Redrive": {"2"}}}, "a", false},
		"without a number":      {&nats.Msg{Header: nats.Header{"Factro-Redrive": {"x"}}}, "a", false},
		"any command":           {&nats.Msg{Header: nats.Header{}}, "a", false},
		"a command without any": {&nats.Msg{}, "a", false},
	} {
		if got := k.Holds(tt.lane, hold.LetterOf(tt.msg)); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	h.drop(1)
	stop := h.run(k)
	k, l := h.keeper(true) // while the first one still looks
	if !k.Holds("a", hold.LetterOf(again)) {
		t.Error("the next bridge does not know what goes first")
	}
	stop()
	defer h.run(k)()
	if !l.are("a") {
		t.Errorf("held are %q", l.held)
	}
	l.settle()
	natstest.Eventually(t, "no lane is held", func() bool { return l.are() })
}

// TestLetterComesLater: a dead letter that could not be stored at once is found, however many came before it, and is not taken for one
// that is gone.
func TestLetterComesLater(t *testing.T) {
	t.Parallel()
	h := newHolding(t)
	for i := range 150 {
		h.bury("FACTRO_COMMANDS_ACME:" + strconv.Itoa(1000+i))
	}
	k, l := h.keeper(true)
	l.settle()
	h.hold(k, "a", "FACTRO_COMMANDS_ACME:1")
	for i := range 150 {
		h.bury("FACTRO_COMMANDS_ACME:" + strconv.Itoa(2000+i))
	}
	h.bury("FACTRO_COMMANDS_ACME:1")
	last := h.out.Stream(stream).CachedInfo().State.LastSeq
	defer h.run(k)()
	natstest.Eventually(t, "it is found", func() bool {
		return k.Holds("a", last)
	})
	if !l.are("a") {
		t.Errorf("held are %q", l.held)
	}
	h.drop(last)
	natstest.Eventually(t, "no lane is held", func() bool { return l.are() })
}

// TestGoneBefore: a dead letter that was sent again or dropped before its lane is held does not hold the lane for ever, whether this
// bridge goes on or another one does.
func TestGoneBefore(t *testing.T) {
	t.Parallel()
	h := newHolding(t)
	k, l := h.keeper(true)
	h.bury("FACTRO_COMMANDS_ACME:1")
	h.drop(1)
	one := hold.Hold{Lane: "a", Position: "FACTRO_COMMANDS_ACME:1", Subject: letter, Letter: 1}
	for range 2 { // after a crash in between it is said again
		if err := k.Hold(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if !l.are("a") || !k.Holds("a", 1) {
		t.Errorf("held are %q", l.held)
	}
	next, m := h.keeper(true)
	for _, taken := range []struct {
		*hold.Keeper
		*lanes
	}{{k, l}, {next, m}} {
		taken.settle()
		stop := h.run(taken.Keeper)
		natstest.Eventually(t, "no lane is held", func() bool { return taken.are() })
		stop()
	}
}

// TestFoundIsRemembered: a dead letter that came later and was seen, and is gone when another bridge takes over, does not hold its lane
// for ever.
func TestFoundIsRemembered(t *testing.T) {
	t.Parallel()
	h := newHolding(t)
	k, _ := h.keeper(true)
	h.hold(k, "a", "FACTRO_COMMANDS_ACME:1")
	stop := h.run(k)
	h.bury("FACTRO_COMMANDS_ACME:1")
	natstest.Eventually(t, "it is found", func() bool { return k.Holds("a", 1) })
	stop()
	h.drop(1)
	k, l := h.keeper(true)
	if !l.are("a") {
		t.Errorf("held are %q", l.held)
	}
	l.settle()
	defer h.run(k)()
	natstest.Eventually(t, "no lane is held", func() bool { return l.are() })
}

// TestOff: without on_dead: hold nothing is held, and what was held before goes on.
func TestOff(t *testing.T) {
	t.Parallel()
	h := newHolding(t)
	k, _ := h.keeper(true)
	h.bury("FACTRO_COMMANDS_ACME:1")
	h.hold(k, "a", "FACTRO_COMMANDS_ACME:1")
	off, l := h.keeper(false)
	h.hold(off, "b", "FACTRO_COMMANDS_ACME:2")
	if !l.are() {
		t.Errorf("held are %q", l.held)
	}
	if _, l := h.keeper(true); !l.are() {
		t.Errorf("the next bridge holds %q", l.held)
	}
}
