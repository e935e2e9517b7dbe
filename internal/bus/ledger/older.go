package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// older is the bucket in which an older version kept the records of all clouds, as it was found on one connection. They stay
// valid: who asks for a record that the cloud's own bucket lacks finds the old one, which from then on is in the cloud's own. It
// ages out within a week.
type older struct {
	kv    *bucket.Bucket // nil if there is none
	epoch int
}

// oldLedger returns the bucket of an older version, or nil. It is looked for once for each connection.
func (l *Ledger) oldLedger(ctx context.Context) (*bucket.Bucket, error) {
	epoch := l.conn.Epoch()
	l.mu.Lock()
	found := l.older
	l.mu.Unlock()
	if found != nil && found.epoch == epoch {
		return found.kv, nil
	}
	name := topology.OldName(l.conn.Settings().Prefix, "LEDGER")
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	_, err := l.conn.JetStream().KeyValue(attempt, name)
	cancel()
	kv := bucket.Of(l.conn, name, l.log)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		kv = nil
	case err != nil && l.conn.Health().Hidden("KV_"+name): // who may not look is not told
		l.log.WarnContext(ctx, "the ledger of an older version may not be looked for; if there is one, its records do not count", "bucket", name)
		kv = nil
	case err != nil:
		return nil, fmt.Errorf("ledger: %s: %w", name, err)
	}
	l.mu.Lock()
	l.older = &older{kv, epoch}
	l.mu.Unlock()
	return kv, nil
}

// adopt puts what the old bucket has under a key into the cloud's own, if that lacks it.
func (l *Ledger) adopt(ctx context.Context, cloud string, kv *bucket.Bucket, key string) error {
	old, err := l.oldLedger(ctx)
	if old == nil || err != nil {
		return err
	}
	entry, err := old.Get(ctx, key)
	if errors.Is(err, nats.ErrNoResponders) { // an operator has deleted it, as was suggested; or nobody leads it
		l.mu.Lock()
		l.older = nil
		l.mu.Unlock()
		if old, err := l.oldLedger(ctx); old == nil || err != nil {
			return err
		}
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: read: %w", err)
	}
	if _, err := kv.Get(ctx, key); err == nil {
		return nil // it was adopted before
	}
	_, err = l.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.Create(ctx, key, entry.Value) })
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("ledger: write: %w", err)
	}
	return nil
}
