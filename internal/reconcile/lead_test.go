package reconcile

import (
	"context"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func (c *cloud) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
}

// TestFollow: who follows reconciles at the start and when triggered, and never by the timer, until it leads.
func TestFollow(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme"}
	const every = time.Second
	r := c.reconciler(t, b, func(cfg *Config) { cfg.Every = every })
	r.Follow()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	natstest.Eventually(t, "it reconciles at the start", func() bool { return c.count() == 1 })
	r.Trigger()
	natstest.Eventually(t, "it reconciles when triggered", func() bool { return c.count() == 2 })
	select {
	case <-time.After(5 * every / 2):
	case err := <-done:
		t.Fatal(err)
	}
	if n := c.count(); n != 2 {
		t.Errorf("the timer of one that follows made %d runs", n-2)
	}
	r.Lead()
	natstest.Eventually(t, "the timer counts again", func() bool { return c.count() > 4 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
