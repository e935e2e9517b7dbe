package bus

import (
	"context"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
)

// link is whether the connection is up, and what waits for that.
type link struct {
	closed chan struct{} // closed when the connection is
	tries  *dial.Attempts

	mu     sync.Mutex
	up     chan struct{} // closed while the connection is up; a new one while it is down
	down   chan struct{} // closed when the connection goes down; a new one once it is up
	isUp   bool
	epoch  int  // counts the connections
	away   bool // whether the connection ever was
	outage outage
}

// newLink is down.
func newLink() *link {
	return &link{closed: make(chan struct{}), up: make(chan struct{}), down: make(chan struct{})}
}

// setUp notes that there is a connection, unless that is known. renewed is called before anybody who waits for it goes on.
func (l *link) setUp(renewed func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isUp {
		return
	}
	l.isUp, l.down = true, make(chan struct{})
	if l.away {
		l.outage.back = time.Now()
	}
	l.epoch++
	renewed()
	close(l.up)
}

// startedAway notes that the first attempt to connect failed.
func (l *link) startedAway() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = true
	if l.isUp { // by now
		l.outage.back = time.Now()
	}
}

// Up says whether the connection is known to be up.
func (l *link) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.isUp
}

func (l *link) setDown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isUp {
		l.isUp, l.away, l.up = false, true, make(chan struct{})
		l.outage.goes(time.Now())
		close(l.down)
	}
}

// AwaitUp waits until the connection is up. There is nothing to wait for once it is closed.
func (l *link) AwaitUp(ctx context.Context) error {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-l.closed:
		return ErrClosed
	case <-ctx.Done():
		return l.tries.Err()
	}
}

// Connected waits for the first connection for as long as a command should. The error tells why there is none.
func (l *link) Connected(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	return l.AwaitUp(ctx)
}

// commandWait is how long a command waits for NATS before it says that it is not there: a server may be restarting.
const commandWait = 5 * time.Second

// Away is why the connection is not up, nil if it is.
func (l *link) Away() error {
	if l.Up() {
		return nil
	}
	return l.tries.Err()
}

// flapping is how soon after an outage another one is taken for its continuation.
const flapping = 15 * time.Minute

// Epoch counts the connections: what was found on one may not be there on the next, which may be to another server.
func (l *link) Epoch() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// Outage tells since when the connection was away the last time, and when it came back. back is zero if it never was away,
// lost if it was from the beginning, so that nobody knows since when.
func (l *link) Outage() (lost, back time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outage.lost, l.outage.back
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
func (l *link) Returned(ctx context.Context) error {
	if err := l.AwaitUp(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	select {
	case <-down:
	case <-l.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.AwaitUp(ctx)
}

// WhileUp returns a context that ends when the connection goes down: what was asked on it is never answered.
func (l *link) WhileUp(ctx context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
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
