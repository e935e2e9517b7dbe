package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
)

// ErrLost says that a lease is no longer ours: another process has it, or could have it.
var ErrLost = errors.New("the lease is lost")

// Lease is the right of one process to do something alone, and a value that only its holder can write.
//
// Holder and value are one entry of a key-value bucket, and each write names the revision that it replaces. So the write
// of a holder that has lost the lease without knowing it fails, instead of overwriting the work of the next one. Nobody
// compares clocks: a process that wants the lease watches the entry, and takes it once it has been still for the time that a lease
// holds.
type Lease struct {
	kv     *bucket.Bucket
	key    string
	name   string
	bridge string
	ttl    time.Duration

	from   string // the bridge that had it before
	silent bool   // which did not give it back

	writing  sync.Mutex // one write at a time
	revision uint64     // of the last write; belongs to who writes

	mu      sync.Mutex // never held while the broker is asked, so that Until answers at once
	value   json.RawMessage
	renewed time.Time     // when the last write that succeeded was begun
	lost    chan struct{} // closed when the lease is lost
	expiry  *time.Timer   // the lease is lost when it fires

	stop    context.CancelFunc
	stopped chan struct{}

	yield    chan struct{} // closed when the holder is asked to release
	asked    sync.Once
	released func() // called after the lease was released; may be nil
}

// margin is the part of the TTL that a holder leaves unused: it bounds how far two clocks may run apart within a TTL, and what
// is in flight gets that long to end.
const margin = 10

// replace writes the entry as its holder: a value, or nil for the one that is there. If the answer to a write is lost, the entry
// shows whether it is still ours.
func (l *Lease) replace(ctx context.Context, holder string, value *json.RawMessage) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	e := holding{holder, l.bridge, l.Value()}
	if value != nil {
		e.Value = *value
	}
	for !l.isLost() && ctx.Err() == nil {
		if err := l.write(ctx, e, l.revision); err == nil || isRefusedWrite(err) {
			return err
		}
		switch have, revision, err := l.read(ctx); {
		case err == nil && have.Holder == l.name: // a write of ours was taken, but its acknowledgement was lost
			l.revision = revision
		case err == nil:
			l.lose()
		}
		select {
		case <-time.After(min(50*time.Millisecond, l.ttl/10)):
		case <-ctx.Done():
		}
	}
	if l.isLost() {
		return ErrLost
	}
	return ctx.Err()
}

// renew keeps the lease until stop.
func (l *Lease) renew(ctx context.Context) {
	defer close(l.stopped)
	tick := time.NewTicker(l.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.lost:
			return
		case <-tick.C:
		}
		attempt, cancel := context.WithTimeout(ctx, l.ttl)
		err := l.replace(attempt, l.name, nil)
		cancel()
		if errors.Is(err, ErrLost) {
			return
		}
	}
}

// expire loses a lease that was not renewed in time.
func (l *Lease) expire() {
	l.mu.Lock()
	over := !l.renewed.IsZero() && !time.Now().Before(l.until())
	l.mu.Unlock()
	if over {
		l.lose()
	}
}

// lose notes that the lease is no longer ours.
func (l *Lease) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isLost() {
		close(l.lost)
	}
}

func (l *Lease) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// until is Until for one who holds the lock.
func (l *Lease) until() time.Time { return l.renewed.Add(l.ttl - l.ttl/margin) }

// Until is the time up to which the holder may act: until then nobody else can have the lease. It is a time of this process's
// monotonic clock, reckoned from before the last renewal that succeeded was sent, and zero when the lease is lost or given back,
// or when the wall clock says that the time is over: the other one stands still while a virtual machine does. A process that
// stood still asks Until before it acts, since Lost tells it too late. Until never waits.
func (l *Lease) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isLost() || time.Since(l.renewed.Round(0)) > l.ttl-l.ttl/margin {
		return time.Time{}
	}
	return l.until()
}

// Lost is closed when another process took the lease, or when it was not renewed in time. Release does not close it.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Yield is closed when another bridge should have the lease, since it has less to do: the holder finishes what is in flight and
// releases it. Until then the lease is the holder's as before.
func (l *Lease) Yield() <-chan struct{} { return l.yield }

// askToYield closes Yield.
func (l *Lease) askToYield() { l.asked.Do(func() { close(l.yield) }) }

// Predecessor is the bridge that had the lease before, "" if none did or it is not known, and whether it fell silent instead of
// giving the lease back.
func (l *Lease) Predecessor() (bridge string, silent bool) { return l.from, l.silent }

// Value returns what the last holder kept; nil if nobody ever did.
func (l *Lease) Value() json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value
}

// Keep writes a value, for the next holder and for oneself. The error is ErrLost if the lease is another's.
func (l *Lease) Keep(ctx context.Context, value json.RawMessage) error {
	if err := l.replace(ctx, l.name, &value); err != nil {
		return fmt.Errorf("keep the value of %s: %w", l.key, err)
	}
	return nil
}

// Check says whether the lease is ours, or ErrLost. It asks the broker only if the last renewal is a while ago, and
// then waits for the answer as long as the lease could still be ours.
func (l *Lease) Check(ctx context.Context) error {
	l.mu.Lock()
	// By the wall clock as well: the other one stands still while a virtual machine does.
	age := max(time.Since(l.renewed), time.Since(l.renewed.Round(0)))
	l.mu.Unlock()
	switch {
	case l.isLost():
		return ErrLost
	case age < l.ttl/2:
		return nil
	}
	attempt, cancel := context.WithTimeout(ctx, l.ttl)
	defer cancel()
	if err := l.replace(attempt, l.name, nil); err != nil {
		return ErrLost
	}
	return nil
}

// Release gives the lease back. If that fails, the others wait until it has been still for long enough.
func (l *Lease) Release(ctx context.Context) {
	l.stop()
	<-l.stopped
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bus.AttemptTimeout)
	defer cancel()
	_ = l.replace(ctx, "", nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = time.Time{}
	l.expiry.Stop()
	if l.released != nil {
		l.released()
	}
}
