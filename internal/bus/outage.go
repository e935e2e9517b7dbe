package bus

import (
	"context"
	"time"
)

// flapping is how soon after an outage another one is taken for its continuation.
const flapping = 15 * time.Minute

// Outage tells since when the connection was away the last time, and when it came back. back is zero if it never was away,
// lost if it was from the beginning, so that nobody knows since when.
func (b *Conn) Outage() (lost, back time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outage.lost, b.outage.back
}

// outage is the last time without a connection.
type outage struct{ lost, back time.Time }

// goes notes that the connection is away from now on.
func (o *outage) goes(now time.Time) {
	if o.back.IsZero() || now.Sub(o.back) > flapping {
		o.lost = now
	}
}

// Returned waits until the connection was lost and is back, from now on.
func (b *Conn) Returned(ctx context.Context) error {
	if err := b.AwaitUp(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	select {
	case <-down:
	case <-b.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.AwaitUp(ctx)
}
