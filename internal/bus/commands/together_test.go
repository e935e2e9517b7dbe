package commands

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// batcher is a worker that carries out several commands together, and notes which.
type batcher struct {
	worker
	most int

	mu     sync.Mutex
	groups [][]string // those of each group in its order, "" for a member that got no command
	left   int
}

func (b *batcher) BatchKey(cmd events.Command) string {
	if cmd.Event.ID()[0] == 'x' {
		return ""
	}
	return "all"
}

func (b *batcher) BatchLimit(string) int { return b.most }

func (b *batcher) Together(n int) []Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := len(b.groups)
	b.groups = append(b.groups, make([]string, n))
	all := make([]Member, n)
	for i := range all {
		all[i] = &member{b, at, i}
	}
	return all
}

type member struct {
	*batcher
	group, at int
}

func (m *member) Handle(ctx, stopping context.Context, cmd events.Command, mistake error) error {
	m.mu.Lock()
	m.groups[m.group][m.at] = cmd.Event.ID()
	m.mu.Unlock()
	if cmd.Event.ID() == "again" {
		return AloneAfter(errors.New("refused with the others"), 0)
	}
	return m.handle(ctx, stopping, cmd, mistake)
}

func (m *member) Leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left++
}

// TestTogether: commands of one key are carried out together, in the order of the stream and one of each lane; none beyond the limit;
// and one that has to be carried out alone is, although others wait that could go with it.
func TestTogether(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	keyed(t, out, "a", "urn:x", "lane")
	keyed(t, out, "again", "urn:x", "")
	keyed(t, out, "x1", "urn:x", "")
	keyed(t, out, "b", "urn:x", "lane")
	for i := range 10 {
		keyed(t, out, "c"+strconv.Itoa(i), "urn:y", "")
	}
	sent(t, out)
	var mu sync.Mutex
	var alone []string
	known := make(chan struct{})
	done := func(_, _ context.Context, cmd events.Command, _ error) error {
		mu.Lock()
		defer mu.Unlock()
		alone = append(alone, cmd.Event.ID())
		return nil
	}
	w := &batcher{most: 4}
	w.worker = worker{ready: func(ctx context.Context) error { // all are known before the first one is chosen
		select {
		case <-known:
		case <-ctx.Done():
		}
		return ctx.Err()
	}, handle: done}
	c, _ := consumer(t, b, bustest.Quiet())
	run(t, c, Options{}, w)
	natstest.Eventually(t, "all are known", func() bool { return out.Commands().NumPending == 0 && indexed(c) == 14 })
	close(known)
	natstest.Eventually(t, "all are done", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
	w.mu.Lock()
	defer w.mu.Unlock()
	members := 0
	for i, g := range w.groups {
		members += len(g)
		if len(g) > 4 || len(g) < 2 {
			t.Errorf("group %d has %d members: %v", i, len(g), g)
		}
		for at, id := range g {
			switch {
			case id == "again" && i > 0, id == "x1", id == "":
				t.Errorf("group %d has %q", i, id)
			case id == "b" && i == 0:
				t.Error("two of one lane are carried out at once")
			case at > 1 && id[0] == 'c' && g[at-1][0] == 'c' && id < g[at-1]:
				t.Errorf("group %d is %v, want the order of the stream", i, g)
			}
		}
	}
	if len(w.groups) < 3 || w.left != members {
		t.Errorf("%d groups; %d of %d members have left: %v", len(w.groups), w.left, members, w.groups)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(alone) != 14 {
		t.Errorf("done are %v", alone)
	}
}

// indexed is how many commands of acme a consumer knows.
func indexed(c *Consumer) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queues["acme"]
	if q == nil {
		return 0
	}
	return q.index.Size()
}
