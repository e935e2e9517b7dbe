package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
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
	kv   *bucket.Bucket
	key  string
	name string
	ttl  time.Duration

	mu       sync.Mutex
	revision uint64
	value    json.RawMessage
	renewed  time.Time // when the last write that succeeded was begun
	lost     bool

	stop    context.CancelFunc
	stopped chan struct{}
}

// holding is an entry of the bucket. Without a holder the lease is free.
type holding struct {
	Holder string          `json:"holder,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// take waits until the entry is free, or has been still for too long, and writes our name.
func (l *Lease) take(ctx context.Context) error {
	var still struct {
		revision uint64
		since    time.Time
	}
	look := time.NewTicker(max(l.ttl/30, time.Millisecond))
	defer look.Stop()
	for {
		have, revision, err := l.read(ctx)
		free := err == nil && (have.Holder == "" || have.Holder == l.name ||
			revision == still.revision && time.Since(still.since) > l.ttl)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !isPassing(err):
			return err
		case free:
			if err = l.write(ctx, holding{l.name, have.Value}, revision); err == nil || isRefusedWrite(err) {
				return err
			}
		case err == nil && revision != still.revision:
			still.revision, still.since = revision, time.Now()
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isPassing says whether an error is worth trying again: the broker did not answer, is away, or has no room.
func isPassing(err error) bool {
	if refused, ok := natserr.Refusal(err); ok {
		class := natserr.Of(err)
		return (class == natserr.Passing || class == natserr.NoRoom) && refused.Code != 404 // else the bucket has to be created again
	}
	return errors.Is(err, context.DeadlineExceeded) || natserr.Disconnected(err)
}

// isRefusedWrite says whether the broker never takes an entry as it is, and not since another process has written it.
func isRefusedWrite(err error) bool {
	return natserr.Of(err) == natserr.Permanent && !natserr.Conflict(err)
}

// read returns the entry; revision 0 if there is none.
func (l *Lease) read(ctx context.Context) (holding, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	var have holding
	entry, err := l.kv.Get(ctx, l.key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return have, 0, nil
	case err != nil:
		return have, 0, err
	}
	if err := json.Unmarshal(entry.Value, &have); err != nil {
		return have, 0, fmt.Errorf("entry %s: %w", l.key, err)
	}
	return have, entry.Revision, nil
}

// write replaces the revision that it names. The caller holds the lock, or is the only one to know the lease.
func (l *Lease) write(ctx context.Context, e holding, revision uint64) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	began := time.Now()
	if revision == 0 {
		revision, err = l.kv.Create(ctx, l.key, text)
	} else {
		revision, err = l.kv.Update(ctx, l.key, text, revision)
	}
	if err != nil {
		return err
	}
	l.revision, l.value, l.renewed = revision, e.Value, began
	return nil
}

// replace writes the entry as its holder. If the answer to a write is lost, the entry shows whether it is still ours.
func (l *Lease) replace(ctx context.Context, e holding) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.lost && ctx.Err() == nil {
		if err := l.write(ctx, e, l.revision); err == nil || isRefusedWrite(err) {
			return err
		}
		switch have, revision, err := l.read(ctx); {
		case err == nil && have.Holder == l.name: // a write of ours was taken, but its acknowledgement was lost
			l.revision = revision
		case err == nil, time.Since(l.renewed) > l.ttl:
			l.lost = true
		}
		select {
		case <-time.After(min(50*time.Millisecond, l.ttl/10)):
		case <-ctx.Done():
		}
	}
	if l.lost {
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
		case <-tick.C:
		}
		attempt, cancel := context.WithTimeout(ctx, l.ttl)
		err := l.replace(attempt, holding{l.name, l.Value()})
		cancel()
		if errors.Is(err, ErrLost) {
			return
		}
	}
}

// Value returns what the last holder kept; nil if nobody ever did.
func (l *Lease) Value() json.RawMessage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.value
}

// Keep writes a value, for the next holder and for oneself. The error is ErrLost if the lease is another's.
func (l *Lease) Keep(ctx context.Context, value json.RawMessage) error {
	if err := l.replace(ctx, holding{l.name, value}); err != nil {
		return fmt.Errorf("keep the value of %s: %w", l.key, err)
	}
	return nil
}

// Check says whether the lease is ours, or ErrLost. It asks the broker only if the last renewal is a while ago, and
// then waits for the answer as long as the lease could still be ours.
func (l *Lease) Check(ctx context.Context) error {
	l.mu.Lock()
	// By the wall clock as well: the other one stands still while a virtual machine does.
	lost, age := l.lost, max(time.Since(l.renewed), time.Since(l.renewed.Round(0)))
	l.mu.Unlock()
	switch {
	case lost:
		return ErrLost
	case age < l.ttl/2:
		return nil
	}
	attempt, cancel := context.WithTimeout(ctx, l.ttl)
	defer cancel()
	if err := l.replace(attempt, holding{l.name, l.Value()}); err != nil {
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
	_ = l.replace(ctx, holding{Value: l.Value()})
}
