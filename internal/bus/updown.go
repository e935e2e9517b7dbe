package bus

import (
	"context"
	"time"
)

func (b *Conn) setUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isUp {
		return
	}
	b.isUp, b.down = true, make(chan struct{})
	if b.away {
		b.outage.back = time.Now()
	}
	b.epoch++
	b.State.Renewed()
	b.health.Renewed()
	close(b.up)
	b.Recheck()
}

// startedAway notes that the first attempt to connect failed.
func (b *Conn) startedAway() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = true
	if b.isUp { // by now
		b.outage.back = time.Now()
	}
}

// Recheck has Run look at the streams soon.
func (b *Conn) Recheck() {
	select {
	case b.changed <- struct{}{}:
	default: // it is going to anyway
	}
}

// Up says whether the connection is known to be up.
func (b *Conn) Up() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isUp
}

func (b *Conn) setDown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isUp {
		b.isUp, b.away, b.up = false, true, make(chan struct{})
		b.outage.goes(time.Now())
		close(b.down)
	}
}

// AwaitUp waits until the connection is up. There is nothing to wait for once it is closed.
func (b *Conn) AwaitUp(ctx context.Context) error {
	b.mu.Lock()
	up := b.up
	b.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-b.closed:
		return ErrClosed
	case <-ctx.Done():
		return b.tries.Err()
	}
}

// Connected waits for the first connection for as long as a command should. The error tells why there is none.
func (b *Conn) Connected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	return b.AwaitUp(ctx)
}

// commandWait is how long a command waits for NATS before it says that it is not there: a server may be restarting.
const commandWait = 5 * time.Second

// Away is why the connection is not up, nil if it is.
func (b *Conn) Away() error {
	if b.Up() {
		return nil
	}
	return b.tries.Err()
}

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
