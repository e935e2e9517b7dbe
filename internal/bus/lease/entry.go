package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// holding is an entry of the bucket. Without a holder the lease is free.
type holding struct {
	Holder string `json:"holder,omitempty"` // one that no other acquisition has
	// Bridge is the instance that holds it, or held it last. It is for people.
	Bridge string          `json:"bridge,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// lookEvery is how often one who waits for the lease looks at it: often enough to see within a second that it was released.
const lookEvery = 500 * time.Millisecond

// take waits until the entry is free, or has been still for too long, and writes our name.
func (l *Lease) take(ctx context.Context) error {
	var still struct {
		revision uint64
		since    time.Time
	}
	look := time.NewTicker(min(max(l.ttl/30, time.Millisecond), lookEvery))
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
			if err = l.occupy(ctx, have, revision); err == nil || isRefusedWrite(err) {
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

// occupy writes our name into an entry that nobody has any more.
func (l *Lease) occupy(ctx context.Context, have holding, revision uint64) error {
	if err := l.write(ctx, holding{l.name, l.bridge, have.Value}, revision); err != nil {
		return err
	}
	l.from, l.silent = have.Bridge, have.Holder != "" && have.Holder != l.name
	return nil
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

// attempt bounds one request to the broker, so that a renewal is tried more than once before the lease ends.
func (l *Lease) attempt(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, min(bus.AttemptTimeout, max(l.ttl/3, time.Second)))
}

// read returns the entry; revision 0 if there is none.
func (l *Lease) read(ctx context.Context) (holding, uint64, error) {
	ctx, cancel := l.attempt(ctx)
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

// write replaces the revision that it names. The caller holds the lock for writing, or is the only one to know the lease.
func (l *Lease) write(ctx context.Context, e holding, revision uint64) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := l.attempt(ctx)
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
	l.revision = revision
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value, l.renewed = e.Value, began
	switch {
	case e.Holder == "": // given back
		l.renewed = time.Time{}
	case l.expiry == nil:
		l.expiry = time.AfterFunc(time.Until(l.until()), l.expire)
	default:
		l.expiry.Reset(time.Until(l.until()))
	}
	return nil
}
