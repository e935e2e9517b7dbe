package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// cluster is three servers that hold each stream three times.
type cluster struct {
	*natstest.Cluster
	members [3]*broker
}

// newCluster returns three servers that are away.
func newCluster(t testing.TB) *cluster {
	t.Helper()
	return membersOf(natstest.NewCluster(t))
}

func startCluster(t testing.TB) *cluster {
	t.Helper()
	return membersOf(natstest.StartCluster(t))
}

func membersOf(servers *natstest.Cluster) *cluster {
	c := &cluster{Cluster: servers}
	for i, s := range servers.Members {
		c.members[i] = &broker{s}
	}
	return c
}

// leader is the member that leads a stream, or the cluster itself if that is "".
func (c *cluster) leader(stream string) *broker {
	if s := c.Leader(stream); s != nil {
		return &broker{s}
	}
	return nil
}

// connect returns a bus that knows all members and has the streams held by all.
func (c *cluster) connect(t testing.TB, change ...any) *Conn {
	t.Helper()
	return c.members[0].connect(t, quiet(), append([]any{hasty, pings(time.Second), func(cfg *Config) {
		cfg.URL, cfg.Replicas = c.URLs(), 3
	}}, change...)...)
}

func (c *cluster) outside(t testing.TB) outside {
	t.Helper()
	nc, js := c.Connect(t)
	return outside{t, nc, js}
}

// publishUntilStored publishes an event until it is stored, as a sender does that is answered with 503.
func publishUntilStored(t testing.TB, b *Conn, id string) {
	t.Helper()
	for end := time.Now().Add(2 * patience); ; {
		err := publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, id), id)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s: %v", id, err)
			return
		}
	}
}

// ids counts the events of a stream by their ids. Its leader may be a new one, and change once more.
func (o outside) ids(stream string) (ids map[string]int) {
	o.t.Helper()
	eventually(o.t, stream+" can be read", func() bool {
		ids = map[string]int{}
		s, err := o.js.Stream(o.t.Context(), stream)
		if err != nil {
			return false
		}
		c, err := s.OrderedConsumer(o.t.Context(), jetstream.OrderedConsumerConfig{})
		if err != nil {
			return false
		}
		it, err := c.Messages()
		if err != nil {
			return false
		}
		defer it.Stop()
		ctx, cancel := context.WithTimeout(o.t.Context(), patience/2)
		defer cancel()
		for left := s.CachedInfo().State.Msgs; left > 0; left-- {
			m, err := it.Next(jetstream.NextContext(ctx))
			if err != nil {
				o.t.Logf("%s: %d cannot be read: %v", stream, left, err)
				return false
			}
			ids[m.Headers().Get("ce-id")]++
		}
		return true
	})
	return ids
}

// TestFailover: whoever leads is killed, under load, and nothing is lost or doubled.
func TestFailover(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	b := c.connect(t)
	b.ackWait = 2 * time.Second
	run(t, b)
	var mu sync.Mutex
	handled := map[string]bool{}
	p := publisher(t, b)
	consume(t, b, worker{handle: func(ctx, _ context.Context, cmd events.Command, _ error) error {
		id := cmd.Event.ID()
		if err := p.Publish(ctx, "factro.result.acme.task.deleteTask.applied", taskEvent(t, id), id); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		handled[id] = true
		return nil
	}})
	out := c.outside(t)

	stop, sent := make(chan struct{}), 0
	var load sync.WaitGroup
	load.Go(func() {
		for ; ; sent++ {
			publishUntilStored(t, b, fmt.Sprintf("e-%d", sent))
			if sent%10 == 0 {
				out.command(fmt.Sprintf("c-%d", sent))
			}
			select {
			case <-stop:
				sent++
				return
			default:
			}
		}
	})
	for _, stream := range []string{"FACTRO_EVENTS_ACME", "FACTRO_COMMANDS_ACME", ""} {
		var victim *broker
		eventually(t, stream+" has a leader", func() bool { victim = c.leader(stream); return victim != nil })
		victim.stop()
		var before uint64
		eventually(t, "events are stored again", func() bool {
			s, err := out.js.Stream(t.Context(), "FACTRO_EVENTS_ACME")
			if err != nil {
				return false
			}
			now := s.CachedInfo().State.LastSeq
			if before == 0 {
				before = now
			}
			return now > before
		})
		victim.start()
		ready(t, b) // which needs two of three
		eventually(t, "all three are there again", func() bool {
			s, err := out.js.Stream(t.Context(), "FACTRO_EVENTS_ACME")
			if err != nil || s.CachedInfo().Cluster == nil || len(s.CachedInfo().Cluster.Replicas) != 2 {
				return false
			}
			for _, p := range s.CachedInfo().Cluster.Replicas {
				if p.Offline || !p.Current {
					return false
				}
			}
			return true
		})
	}
	close(stop)
	load.Wait()
	eventually(t, "all commands are settled", func() bool {
		s, err := out.js.Stream(t.Context(), "FACTRO_COMMANDS_ACME")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	stored, results := out.ids("FACTRO_EVENTS_ACME"), out.ids("FACTRO_RESULTS_ACME")
	mu.Lock()
	defer mu.Unlock()
	for i := range sent {
		id := fmt.Sprintf("e-%d", i)
		if stored[id] != 1 {
			t.Errorf("%s is stored %d times", id, stored[id])
		}
		if id := fmt.Sprintf("c-%d", i); i%10 == 0 && (!handled[id] || results[id] != 1) {
			t.Errorf("%s: handled %v, %d results", id, handled[id], results[id])
		}
	}
	if len(stored) != sent {
		t.Errorf("%d events are stored, %d were sent", len(stored), sent)
	}
}

// TestNoQuorum: the bridge starts while one of three servers is up, works with three, and does not without two of them.
func TestNoQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.members[0].start()
	b := c.connect(t)
	start(t, b.Run)
	w, got := collector()
	consume(t, b, w)
	b.mu.Lock()
	up := b.up
	b.mu.Unlock()
	receive(t, up)
	if err := b.Health().Ready(); err == nil {
		t.Error("it is ready without JetStream")
	}
	c.members[1].start()
	c.members[2].start()
	ready(t, b)
	storeEvent(t, b, "e-1")

	c.members[1].stop()
	c.members[2].stop()
	eventually(t, "readiness tells", func() bool { return b.Health().Ready() != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := publisher(t, b).Publish(ctx, eventSubject, taskEvent(t, "e-2"), "e-2"); err == nil {
		t.Error("it was stored by one of three")
	}
	if err := b.Health().Ready(); err == nil || errors.Is(err, ErrNotConnected) {
		t.Errorf("readiness is %v", err)
	}
	c.members[1].start()
	c.members[2].start()
	ready(t, b)
	publishUntilStored(t, b, "e-2")
	out := c.outside(t)
	out.command("a")
	receive(t, got)
	for id, n := range out.ids("FACTRO_EVENTS_ACME") {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
}

// TestLameDuck: a server shuts down gracefully, and the bridge moves on to another.
func TestLameDuck(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	b := run(t, c.connect(t))
	storeEvent(t, b, "e-1")
	first := b.nc.ConnectedUrl()
	for _, m := range c.members {
		if m.url() == first {
			s := m.Running
			m.Running = nil
			left := make(chan struct{})
			go func() {
				defer close(left)
				s.LameDuckShutdown()
			}()
			publishUntilStored(t, b, "e-2")
			receive(t, left)
			s.WaitForShutdown()
		}
	}
	eventually(t, "it has moved on", func() bool { return b.nc.IsConnected() && b.nc.ConnectedUrl() != first })
	ready(t, b)
	publishUntilStored(t, b, "e-3")
	out := c.outside(t)
	for id, n := range out.ids("FACTRO_EVENTS_ACME") {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
}
