package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Claim says that an object at factro was made by a command, and returns whether it is this command's: an object has
// exactly one maker. To claim twice what is one's own is right.
func (l *Ledger) Claim(ctx context.Context, cloud, resource, objectID, commandID string) (mine bool, _ error) {
	kv, err := l.bucket(ctx, cloud)
	if err != nil {
		return false, err
	}
	key := cloud + ".claim." + events.Token(resource) + "." + keyToken(objectID)
	if err := l.adopt(ctx, cloud, kv, key); err != nil {
		return false, err
	}
	_, err = l.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.Create(ctx, key, []byte(commandID)) })
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return false, fmt.Errorf("ledger: claim: %w", err)
	}
	entry, err := kv.Get(ctx, key)
	if err != nil {
		return false, fmt.Errorf("ledger: claim: %w", err)
	}
	return string(entry.Value) == commandID, nil
}

// Made returns the ids of the objects that commands of a cloud have made, by the records that were written since a time of
// the broker's clock. Who looks for an object of his own leaves these out: so no command pays for a claim but one that
// was left without an answer.
func (l *Ledger) Made(ctx context.Context, cloud string, since time.Time) (map[string]bool, error) {
	if err := l.conn.AwaitUp(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	made := map[string]bool{}
	if err := l.madeIn(ctx, topology.LedgerBucket(l.conn.Settings().Prefix, cloud), cloud, since, made); err != nil {
		return nil, err
	}
	switch old, err := l.oldLedger(ctx); {
	case err != nil:
		return nil, err
	case old != nil:
		if err := l.madeIn(ctx, old.Name, cloud, since, made); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, err
		}
	}
	return made, nil
}

// madeIn adds what the records of one bucket say. What it leaves out would be taken for nobody's.
func (l *Ledger) madeIn(ctx context.Context, bucket, cloud string, since time.Time, made map[string]bool) error {
	records := "$KV." + bucket + "." + cloud + ".*" // the claims have more tokens
	for m, err := range journal.New(l.conn.JetStream()).Read(ctx, "KV_"+bucket, journal.Since(since), journal.Present(), records) {
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		var r Record
		if json.Unmarshal(m.Data, &r) != nil {
			continue // not one of ours
		}
		for _, id := range r.Made {
			made[id] = true
		}
	}
	return nil
}
