package commands

import (
	"context"
	"errors"
	"time"
)

// LeaseTTL is how long a bridge that has died, or stands still, keeps the others from the commands of its cloud.
const LeaseTTL = 6 * time.Second

// Lease is the right to work on the commands of a cloud.
type Lease interface {
	validity
	// Yield is closed when another bridge should have the lease. The holder finishes what is in flight, and releases it.
	Yield() <-chan struct{}
	// Release gives it back.
	Release(ctx context.Context)
}

type validity interface {
	// Until is the time up to which the holder may act, zero if the lease is lost. It asks nobody.
	Until() time.Time
	// Lost is closed when the lease is lost.
	Lost() <-chan struct{}
}

// Acquire waits for the lease of a key.
type Acquire func(ctx context.Context, key string) (Lease, error)

// errLeaseLost says that another bridge may work on the commands.
var errLeaseLost = errors.New("this bridge may no longer work on the commands: its lease has run out, and another one may have taken over")

// errYielded says that another bridge should work on the commands, which has less to do.
var errYielded = errors.New("this bridge leaves the commands to another one")

type leaseKey struct{}

// MayCall says whether the commands that a delivery came from are still this bridge's. A worker asks it right before each call: a
// process that stood still learns by nothing else that another one went on in its place.
func MayCall(ctx context.Context) error {
	l, ok := ctx.Value(leaseKey{}).(Lease)
	if ok && !time.Now().Before(l.Until()) {
		return errLeaseLost
	}
	return nil
}

// unshared is the lease of a consumer that delivers to one bridge at a time by itself.
type unshared struct{}

func (unshared) Until() time.Time        { return time.Now().Add(time.Hour) }
func (unshared) Lost() <-chan struct{}   { return nil }
func (unshared) Yield() <-chan struct{}  { return nil }
func (unshared) Release(context.Context) {}

// during returns a context that ends when the lease is lost, or when another bridge should have it. The cause says which.
func during(ctx context.Context, l Lease) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, leaseKey{}, l))
	go func() {
		select {
		case <-l.Lost():
			cancel(errLeaseLost)
		case <-l.Yield():
			cancel(errYielded)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
