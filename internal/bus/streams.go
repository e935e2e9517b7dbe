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

// CheckEvery is how often the streams are checked while all is well.
func (b *Conn) CheckEvery() time.Duration { return b.checkEvery }

// Heartbeat is how often the broker confirms that it still has a request to pull.
func (b *Conn) Heartbeat() time.Duration { return b.heartbeat }

// AckWait is how long the broker waits for the verdict on a command before it delivers the command again.
func (b *Conn) AckWait() time.Duration { return b.ackWait }

// CheckTimeout bounds one check of a cloud.
func (b *Conn) CheckTimeout() time.Duration { return b.checkTimeout }

// ackWait is how long the broker waits for word of a command before it delivers it to somebody else.
const ackWait = 10 * time.Second
