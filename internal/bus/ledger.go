package bus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Record is what the ledger knows of a create.
//
// A create must not be made twice, and the broker's delivery count does not tell whether it was made: a message can be
// lost on its way to us, and the process can die after the call. So the ledger is written before the call.
type Record struct {
	// Fingerprint is of the command's data, to tell a redelivery from another command with the same id.
	Fingerprint string `json:"fingerprint"`
	// Result is the data of the final result, once it is known. Until then the create may have happened or not.
	Result json.RawMessage `json:"result,omitempty"`
	// StartedAt is when the call was about to be made.
	StartedAt time.Time `json:"startedAt"`
}

// Begin writes down that the create is about to be made. If the ledger has it already, Begin changes nothing and returns
// the record with known = true.
func (b *Bus) Begin(ctx context.Context, cloud, commandID string, r Record) (known bool, _ Record, _ error) {
	kv, err := b.ledger(ctx)
	if err != nil {
		return false, Record{}, err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return false, Record{}, fmt.Errorf("ledger: %w", err)
	}
	key := ledgerKey(cloud, commandID)
	attempt := 1
	for ; ; attempt++ {
		if err = b.createOnce(ctx, kv, key, value); err == nil {
			return false, r, nil
		}
		if errors.Is(err, jetstream.ErrKeyExists) {
			break
		}
		if attempt == publishAttempts || ctx.Err() != nil {
			return false, Record{}, fmt.Errorf("ledger: write: %w", err)
		}
	}
	entry, err := kv.Get(ctx, key)
	if err != nil {
		return false, Record{}, fmt.Errorf("ledger: read: %w", err)
	}
	if attempt > 1 && bytes.Equal(entry.Value(), value) {
		return false, r, nil // it is ours: the first attempt was written, but its acknowledgement was lost
	}
	var have Record
	if err := json.Unmarshal(entry.Value(), &have); err != nil {
		return false, Record{}, fmt.Errorf("ledger: entry %s: %w", key, err)
	}
	return true, have, nil
}

func (b *Bus) createOnce(ctx context.Context, kv jetstream.KeyValue, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	_, err := kv.Create(ctx, key, value)
	return err
}

// Finish writes down the create's final result, so that a redelivery can answer without calling again. A result that
// no entry can hold is events.ErrTooLarge.
func (b *Bus) Finish(ctx context.Context, cloud, commandID string, r Record) error {
	kv, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	_, err = kv.Put(ctx, ledgerKey(cloud, commandID), value)
	if isTooLarge(err) {
		return fmt.Errorf("ledger: write: %w: %d bytes", events.ErrTooLarge, len(value))
	}
	if err != nil {
		return fmt.Errorf("ledger: write: %w", err)
	}
	return nil
}

// Forget takes back a Begin, for a create that certainly was not made.
func (b *Bus) Forget(ctx context.Context, cloud, commandID string) error {
	kv, err := b.ledger(ctx)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, ledgerKey(cloud, commandID)); err != nil {
		return fmt.Errorf("ledger: forget: %w", err)
	}
	return nil
}

// ledger returns the bucket once the connection is up.
func (b *Bus) ledger(ctx context.Context) (jetstream.KeyValue, error) {
	if err := b.waitUp(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	b.mu.Lock()
	kv := b.kv
	b.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	kv, err := b.js.KeyValue(ctx, b.ledgerBucket())
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	b.mu.Lock()
	b.kv = kv
	b.mu.Unlock()
	return kv, nil
}

func (b *Bus) ledgerBucket() string { return LedgerBucket(b.cfg.Prefix) }

func (b *Bus) ledgerConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{
		Bucket: b.ledgerBucket(), Description: "Creates that were begun, and how they ended",
		// A sender that repeats an id after a week has made a mistake that no ledger can mend.
		TTL: 7 * 24 * time.Hour, History: 1, Replicas: b.cfg.Replicas,
	}
}

// ledgerKey makes a key of an id that may hold anything.
func ledgerKey(cloud, commandID string) string {
	sum := sha256.Sum256([]byte(commandID))
	return cloud + "." + base64.RawURLEncoding.EncodeToString(sum[:])
}
