package bus

import (
	"context"
	"time"
)

// Streams checks the streams and buckets. It stands on the connection, which therefore is given it.
type Streams interface {
	// Check checks the streams once, and says whether all is well.
	Check(ctx context.Context) (well bool)
}

// WithStreams has a connection check its streams.
func WithStreams(on func(*Conn) Streams) Option {
	return func(b *Conn) { b.newStreams = on }
}

// WhileUp returns a context that ends when the connection goes down: what was asked on it is never answered.
func (b *Conn) WhileUp(ctx context.Context) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-down:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// SawPayload keeps the largest message that the server takes, SawMessages the largest one of a cloud's stream of events.
func (b *Conn) SawPayload(n int64) { b.limits.sawPayload(n) }

// SawMessages keeps the largest message that the stream of a cloud's events takes.
func (b *Conn) SawMessages(cloud string, n int64) { b.limits.sawMessages(cloud, n) }

// Checked is the result of a check that began then: of the clouds without an error it has found all well. What was refused is
// asked for again.
func (b *Conn) Checked(ctx context.Context, began time.Time, errs map[string]error) {
	b.health.looksWell(began, errs)
	b.askRefused(ctx)
}

// Window is how long the stream of a cloud's events recognises a message id.
func (b *Conn) Window(cloud string) time.Duration {
	window := b.cfg.Plan().Window()
	b.State.mu.Lock()
	defer b.State.mu.Unlock()
	if have, ok := b.windows[cloud]; ok {
		return min(window, have) // somebody may have chosen less
	}
	return window
}
