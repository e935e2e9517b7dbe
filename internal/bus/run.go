package bus

import (
	"context"
	"fmt"
	"time"
)

// checkEvery is how often the streams are checked while all is well: somebody may delete one, and readiness is to know
// before the next publish does. A check that finds something wrong is repeated after recheckAfter.
const (
	checkEvery   = 10 * time.Second
	recheckAfter = time.Second
	checkTimeout = 5 * time.Second
)

// Run keeps the streams bound: after the first connection, after each reconnect, when one seems to be gone, and every now
// and then it checks whether they are there. It returns when ctx ends, and with an error if the connection is closed for
// good although nobody called Close: the client does so after an error of the server's that it does not know, and then
// only a new process connects again.
func (b *Conn) Run(ctx context.Context) error {
	if b.cfg.Server != nil {
		go b.cfg.Server.Recover(ctx, b.health.Unanswered, b.log) // it may wait for a disk that hangs, which the end does not
	}
	for {
		if err := b.AwaitUp(ctx); err != nil {
			return b.end(ctx)
		}
		again := b.checkEvery
		if b.streams != nil && !b.streams.Check(ctx) {
			again = min(again, recheckAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-b.closed:
			return b.end(ctx)
		case <-time.After(again):
		case <-b.changed:
		}
	}
}

// end is how Run ends: with nil if ctx ended or Close was called.
func (b *Conn) end(ctx context.Context) error {
	if ctx.Err() != nil || b.closing.Load() {
		return nil //nolint:nilerr // the end of ctx is the ordinary end
	}
	if why := b.nc.LastError(); why != nil {
		return fmt.Errorf("%w: %w", ErrClosed, why)
	}
	return ErrClosed
}

// Recheck has Run check the streams soon.
func (b *Conn) Recheck() {
	select {
	case b.changed <- struct{}{}:
	default: // it is going to anyway
	}
}
