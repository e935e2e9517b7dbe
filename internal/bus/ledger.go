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

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Record is what the ledger knows of a command.
//
// A command must not be carried out twice, and the broker's delivery count does not tell whether it was: a message can be
// lost on its way to us, and the process can die after the call. So the ledger is written before the call.
type Record struct {
	// Fingerprint is of the operation and its data, to tell a redelivery from another command with the same identity.
	Fingerprint string `json:"fingerprint"`
	// Plain tells that the command was plain JSON, so that its id alone is its identity. Records of earlier bridges do not
	// tell, and all of their keys are made of the id alone.
	Plain bool `json:"plain,omitempty"`
	// Result is the data of the final result, once it is known. Until then the call may have been made or not.
	Result json.RawMessage `json:"result,omitempty"`
	// StartedAt is when the first call was about to be made, CalledAt when the last one was.
	StartedAt time.Time `json:"startedAt"`
	CalledAt  time.Time `json:"calledAt,omitzero"`
	// Dated is the time of creation that was sent with the calls of an operation that takes one.
	Dated time.Time `json:"dated,omitzero"`
	// Owner tells the bridges apart that may write the record.
	Owner string `json:"owner,omitempty"`
	// Open tells that no call so far can have had an effect.
	Open bool `json:"open,omitempty"`
	// Attempts is how many calls were made, Log what became of the last of them.
	Attempts int       `json:"attempts,omitempty"`
	Log      []Attempt `json:"log,omitempty"`
	// Made are the ids of the objects that the command made.
	Made []string `json:"made,omitempty"`
	// Redrive names the dead letter by which the record was opened again.
	Redrive string `json:"redrive,omitempty"`
	// Decided tells that since then the call was made on the operator's word, without knowing of the one before.
	Decided bool `json:"decided,omitempty"`

	revision uint64
}

// ErrTaken says that another bridge works on the command by now, so that its record is not ours to write.
var ErrTaken = errors.New("another bridge has taken the command over")

// Begin writes down that a command is about to be carried out. If the ledger has it already, Begin changes nothing and
// returns the record with known = true. The record that it returns is the one to be passed to Save.
func (b *Conn) Begin(ctx context.Context, cloud, commandID string, r Record) (known bool, _ Record, _ error) {
	kv, err := b.ledger(ctx, cloud)
	if err != nil {
		return false, Record{}, err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return false, Record{}, fmt.Errorf("ledger: %w", err)
	}
	key := ledgerKey(cloud, commandID)
	if err := b.adopt(ctx, cloud, kv, key); err != nil {
		return false, Record{}, err
	}
	attempt := 1
	for ; ; attempt++ {
		if r.revision, err = b.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.create(ctx, key, value) }); err == nil {
			return false, r, nil
		}
		if errors.Is(err, jetstream.ErrKeyExists) {
			break
		}
		if attempt == PublishAttempts || ctx.Err() != nil {
			return false, Record{}, fmt.Errorf("ledger: write: %w", err)
		}
	}
	entry, err := kv.get(ctx, key)
	if err != nil {
		return false, Record{}, fmt.Errorf("ledger: read: %w", err)
	}
	if attempt > 1 && bytes.Equal(entry.value, value) {
		r.revision = entry.revision
		return false, r, nil // it is ours: the first attempt was written, but its acknowledgement was lost
	}
	have, err := recordOf(entry)
	return true, have, err
}

// Look returns the record of a command; known is false if there is none.
func (b *Conn) Look(ctx context.Context, cloud, commandID string) (known bool, _ Record, _ error) {
	kv, err := b.ledger(ctx, cloud)
	if err != nil {
		return false, Record{}, err
	}
	key := ledgerKey(cloud, commandID)
	if err := b.adopt(ctx, cloud, kv, key); err != nil {
		return false, Record{}, err
	}
	entry, err := kv.get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, Record{}, nil
	}
	if err != nil {
		return false, Record{}, fmt.Errorf("ledger: read: %w", err)
	}
	have, err := recordOf(entry)
	return true, have, err
}

// LookFormer returns the record that an earlier bridge has left of a command with this id: its key is made of the id alone. It
// may be of another command, with another source. The record of a plain command that a bridge of today wrote is none.
func (b *Conn) LookFormer(ctx context.Context, cloud, id string) (known bool, _ Record, _ error) {
	known, have, err := b.Look(ctx, cloud, id)
	if err != nil || !known || have.Plain {
		return false, Record{}, err
	}
	return true, have, nil
}

// Save replaces a record that came from Begin or from Save, and returns it as it is to be passed to the next Save. If
// somebody else has written it meanwhile the error is ErrTaken. A record that no entry can hold is events.ErrTooLarge, one
// that the broker refuses for another reason of its own ErrRefused.
func (b *Conn) Save(ctx context.Context, cloud, commandID string, r Record) (Record, error) {
	kv, err := b.ledger(ctx, cloud)
	if err != nil {
		return r, err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return r, fmt.Errorf("ledger: %w", err)
	}
	key := ledgerKey(cloud, commandID)
	revision, err := b.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.update(ctx, key, value, r.revision) })
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		revision, err = b.contend(ctx, cloud, kv, key, value)
	}
	switch {
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch): // a moment later
		return r, fmt.Errorf("ledger: write: %w", ErrTaken)
	case isTooLarge(err):
		return r, fmt.Errorf("ledger: write: %w: %d bytes: %w", events.ErrTooLarge, len(value), err)
	case natserr.Of(err) == natserr.Permanent:
		return r, fmt.Errorf("ledger: write: %w: %w", ErrRefused, err)
	case err != nil:
		return r, fmt.Errorf("ledger: write: %w", err)
	}
	r.revision = revision
	return r, nil
}

// Forget takes back a record, of a command for which nothing was called. If somebody else has written it meanwhile the
// error is ErrTaken.
func (b *Conn) Forget(ctx context.Context, cloud, commandID string, r Record) error {
	kv, err := b.ledger(ctx, cloud)
	if err != nil {
		return err
	}
	key := ledgerKey(cloud, commandID)
	err = kv.purge(ctx, key, r.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		if _, err = kv.get(ctx, key); errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil // it is gone already
		}
		err = ErrTaken
	}
	if err != nil {
		return fmt.Errorf("ledger: forget: %w", err)
	}
	return nil
}

// contend finds out why a record is not as we left it. It may be our own writing, of which only the acknowledgement was
// lost; and it may have given way to newer ones, in a bucket that is full.
func (b *Conn) contend(ctx context.Context, cloud string, kv bucketStore, key string, value []byte) (uint64, error) {
	entry, err := kv.get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return b.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.create(ctx, key, value) })
	case err != nil:
		return 0, err
	case bytes.Equal(entry.value, value):
		return entry.revision, nil
	}
	return 0, ErrTaken
}

func recordOf(entry record) (Record, error) {
	var r Record
	if err := json.Unmarshal(entry.value, &r); err != nil {
		return Record{}, fmt.Errorf("ledger: entry %s: %w", entry.key, err)
	}
	r.revision = entry.revision
	return r, nil
}

// writeOnce is one attempt to write, and readiness is to know how it ended.
func (b *Conn) writeOnce(ctx context.Context, cloud string, write func(context.Context) (uint64, error)) (uint64, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	revision, err := write(ctx)
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		_ = b.Observe(ledgerOf(cloud), began, nil) // it was heard
		return revision, err
	}
	return revision, b.Observe(ledgerOf(cloud), began, err)
}

// ledgerOf names a ledger where publishes have a destination.
func ledgerOf(cloud string) string { return "the ledger of " + cloud }

// ledger returns the bucket of a cloud once the connection is up.
func (b *Conn) ledger(ctx context.Context, cloud string) (bucketStore, error) {
	if err := b.AwaitUp(ctx); err != nil {
		return bucketStore{}, fmt.Errorf("ledger: %w", err)
	}
	b.mu.Lock()
	kv, known := b.ledgers[cloud]
	b.mu.Unlock()
	if known {
		return kv, nil
	}
	kv = bucketStore{b, b.js, topology.LedgerBucket(b.cfg.Prefix, cloud)}
	if _, err := b.js.KeyValue(ctx, kv.bucket); err != nil {
		return bucketStore{}, fmt.Errorf("ledger: %w", err)
	}
	b.mu.Lock()
	b.ledgers[cloud] = kv
	b.mu.Unlock()
	return kv, nil
}

// isNoRoom says whether the broker has less room left, for all or for this account, than a stream wants to reserve.
func isNoRoom(err error) bool { return natserr.Of(err) == natserr.NoRoom }

// ledgerKey makes a key of an id that may hold anything.
func ledgerKey(cloud, commandID string) string { return cloud + "." + keyToken(commandID) }

func keyToken(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
