package courier

import (
	"context"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// Idle waits until nothing is under way.
func (c *Courier) Idle(ctx context.Context) error {
	for {
		c.mu.Lock()
		busy, quiet := c.busy, c.quiet
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

// Close takes no further deliveries, waits for the ones under way, and cuts them off when ctx ends.
func (c *Courier) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.Idle(ctx)
	c.cutOff()
	if err != nil {
		_ = c.Idle(context.WithoutCancel(ctx)) // ends at once, now that their context has
	}
	c.client.CloseIdleConnections()
	return err
}
