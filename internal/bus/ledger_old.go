package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// sharedLedger is the bucket in which an older version kept the records of all clouds. They stay valid: who asks for a record
// that the cloud's own bucket lacks finds the old one, which from then on is in the cloud's own. It ages out within a week.
type sharedLedger struct{ kv *bucketStore } // nil if there is none

// oldLedger returns the bucket of an older version, or nil. It is looked for once for each connection.
func (b *Conn) oldLedger(ctx context.Context) (*bucketStore, error) {
	b.mu.Lock()
	shared := b.shared
	b.mu.Unlock()
	if shared != nil {
		return shared.kv, nil
	}
	name := topology.OldName(b.cfg.Prefix, "LEDGER")
	attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
	_, err := b.js.KeyValue(attempt, name)
	cancel()
	kv := &bucketStore{b, b.js, name}
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		kv = nil
	case err != nil && b.health.isHidden("KV_"+name): // who may not look is not told
		b.log.WarnContext(ctx, "the ledger of an older version may not be looked for; if there is one, its records do not count", "bucket", name)
		kv = nil
	case err != nil:
		return nil, fmt.Errorf("ledger: %s: %w", name, err)
	}
	b.mu.Lock()
	b.shared = &sharedLedger{kv}
	b.mu.Unlock()
	return kv, nil
}

// adopt puts what the old bucket has under a key into the cloud's own, if that lacks it.
func (b *Conn) adopt(ctx context.Context, cloud string, kv bucketStore, key string) error {
	old, err := b.oldLedger(ctx)
	if old == nil || err != nil {
		return err
	}
	entry, err := old.get(ctx, key)
	if errors.Is(err, nats.ErrNoResponders) { // an operator has deleted it, as was suggested; or nobody leads it
		b.mu.Lock()
		b.shared = nil
		b.mu.Unlock()
		if old, err := b.oldLedger(ctx); old == nil || err != nil {
			return err
		}
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: read: %w", err)
	}
	if _, err := kv.get(ctx, key); err == nil {
		return nil // it was adopted before
	}
	_, err = b.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.create(ctx, key, entry.value) })
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("ledger: write: %w", err)
	}
	return nil
}
