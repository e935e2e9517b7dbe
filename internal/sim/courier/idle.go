package courier

import (
	"context"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// Idle waits until no delivery is running.
func (c *Courier) Idle(ctx context.Context) error {
	for {
		c.mu.Lock()
		busy, quiet := c.busy, c.idle
		c.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return fmt.Errorf("%s still %s deliveries: %w", plural.Of(busy, "webhook"), plural.Choose(busy, "has", "have"), ctx.Err())
		}
	}
}

// Close accepts no further deliveries, waits for the running ones, and cancels them when ctx ends.
func (c *Courier) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.Idle(ctx)
	c.cancel()
	if err != nil {
		_ = c.Idle(context.WithoutCancel(ctx)) // ends at once, because their context has ended
	}
	c.client.CloseIdleConnections()
	return err
}
