package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
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
	// Attempts is how many calls were made, Log the outcomes of the last of them.
	Attempts int       `json:"attempts,omitempty"`
	Log      []Attempt `json:"log,omitempty"`
	// Made are the ids of the objects that the command made.
	Made []string `json:"made,omitempty"`
	// Refs are the ids that the external keys in the data stood for when the command was begun, by their JSON pointers. A later
	// delivery goes on with the same objects.
	Refs map[string]string `json:"refs,omitempty"`
	// Redrive names the dead letter by which the record was opened again.
	Redrive string `json:"redrive,omitempty"`
	// Decided tells that since then the call was made on the operator's word, without knowing of the one before.
	Decided bool `json:"decided,omitempty"`

	// NotBefore is the time before which the command is not carried out, of one that was delayed. Operation is its operation.
	NotBefore time.Time `json:"notBefore,omitzero"`
	Operation string    `json:"operation,omitempty"`

	revision uint64
}

// ErrTaken says that another bridge works on the command by now, so that its record is not ours to write.
var ErrTaken = errors.New("another bridge has taken the command over")

// Conn is what the ledger needs of the connection to NATS.
type Conn interface {
	bucket.Conn
	State
}

// State is what the ledger needs to know of the connection.
type State interface {
	AwaitUp(ctx context.Context) error
	// Epoch counts the connections: what was found on one may not be there on the next.
	Epoch() int
	Health() *health.Health
}

// Ledger is the ledger of all clouds of a bridge.
type Ledger struct {
	conn Conn
	log  *slog.Logger

	mu      sync.Mutex
	buckets map[string]*bucket.Bucket // those that were asked for, by their cloud
	older   *older                    // that of an older version, once it was looked for
	made    map[string]*made          // by their cloud
}

// New returns the ledger of the configured clouds. It asks nobody.
func New(conn Conn, log *slog.Logger) *Ledger {
	return &Ledger{conn: conn, log: log, buckets: map[string]*bucket.Bucket{}, made: map[string]*made{}}
}

// Begin writes down that a command is about to be carried out. If the ledger has it already, Begin changes nothing and
// returns the record with known = true. The record that it returns is the one to be passed to Save.
func (l *Ledger) Begin(ctx context.Context, cloud, commandID string, r Record) (known bool, _ Record, _ error) {
	kv, err := l.bucket(ctx, cloud)
	if err != nil {
		return false, Record{}, err
	}
	value, err := r.encode()
	if err != nil {
		return false, Record{}, fmt.Errorf("ledger: %w", err)
	}
	key := keyOf(cloud, commandID)
	if err := l.adopt(ctx, cloud, kv, key); err != nil {
		return false, Record{}, err
	}
	attempt := 1
	for ; ; attempt++ {
		if r.revision, err = l.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.Create(ctx, key, value) }); err == nil {
			return false, r, nil
		}
		if errors.Is(err, jetstream.ErrKeyExists) {
			break
		}
		if attempt == publish.Attempts || ctx.Err() != nil {
			return false, Record{}, fmt.Errorf("ledger: write: %w", err)
		}
	}
	entry, err := kv.Get(ctx, key)
	if err != nil {
		return false, Record{}, fmt.Errorf("ledger: read: %w", err)
	}
	if attempt > 1 && bytes.Equal(entry.Value, value) {
		r.revision = entry.Revision
		return false, r, nil // it is ours: the first attempt was written, but its acknowledgement was lost
	}
	have, err := recordOf(entry)
	return true, have, err
}

// Look returns the record of a command; known is false if there is none.
func (l *Ledger) Look(ctx context.Context, cloud, commandID string) (known bool, _ Record, _ error) {
	kv, err := l.bucket(ctx, cloud)
	if err != nil {
		return false, Record{}, err
	}
	key := keyOf(cloud, commandID)
	if err := l.adopt(ctx, cloud, kv, key); err != nil {
		return false, Record{}, err
	}
	entry, err := kv.Get(ctx, key)
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
func (l *Ledger) LookFormer(ctx context.Context, cloud, id string) (known bool, _ Record, _ error) {
	known, have, err := l.Look(ctx, cloud, id)
	if err != nil || !known || have.Plain {
		return false, Record{}, err
	}
	return true, have, nil
}

// Save replaces a record that came from Begin or from Save, and returns it as it is to be passed to the next Save. If
// somebody else has written it meanwhile the error is ErrTaken. A record that no entry can hold is events.ErrTooLarge, one
// that the broker refuses for another reason of its own publish.ErrRefused.
func (l *Ledger) Save(ctx context.Context, cloud, commandID string, r Record) (Record, error) {
	kv, err := l.bucket(ctx, cloud)
	if err != nil {
		return r, err
	}
	value, err := r.encode()
	if err != nil {
		return r, fmt.Errorf("ledger: %w", err)
	}
	key := keyOf(cloud, commandID)
	revision, err := l.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.Update(ctx, key, value, r.revision) })
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		revision, err = l.contend(ctx, cloud, kv, key, value)
	}
	switch {
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch): // a moment later
		return r, fmt.Errorf("ledger: write: %w", ErrTaken)
	case natserr.TooLarge(err):
		return r, fmt.Errorf("ledger: write: %w: %d bytes: %w", events.ErrTooLarge, len(value), err)
	case natserr.Of(err) == natserr.Permanent:
		return r, fmt.Errorf("ledger: write: %w: %w", publish.ErrRefused, err)
	case err != nil:
		return r, fmt.Errorf("ledger: write: %w", err)
	}
	r.revision = revision
	return r, nil
}

// Forget takes back a record, of a command for which nothing was called. If somebody else has written it meanwhile the
// error is ErrTaken.
func (l *Ledger) Forget(ctx context.Context, cloud, commandID string, r Record) error {
	kv, err := l.bucket(ctx, cloud)
	if err != nil {
		return err
	}
	key := keyOf(cloud, commandID)
	err = kv.Purge(ctx, key, r.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		if _, err = kv.Get(ctx, key); errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil // it is gone already
		}
		err = ErrTaken
	}
	if err != nil {
		return fmt.Errorf("ledger: forget: %w", err)
	}
	return nil
}

// contend finds out why a record is not as we left it. It may be our own writing, if only its acknowledgement was
// lost; and it may have given way to newer ones, in a bucket that is full.
func (l *Ledger) contend(ctx context.Context, cloud string, kv *bucket.Bucket, key string, value []byte) (uint64, error) {
	entry, err := kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return l.writeOnce(ctx, cloud, func(ctx context.Context) (uint64, error) { return kv.Create(ctx, key, value) })
	case err != nil:
		return 0, err
	case bytes.Equal(entry.Value, value):
		return entry.Revision, nil
	}
	return 0, ErrTaken
}

func recordOf(entry bucket.Entry) (Record, error) {
	var r Record
	if err := json.Unmarshal(entry.Value, &r); err != nil {
		return Record{}, fmt.Errorf("ledger: entry %s: %w", entry.Key, err)
	}
	r.revision = entry.Revision
	return r, nil
}

// writeOnce is one attempt to write, and readiness is to know how it ended.
func (l *Ledger) writeOnce(ctx context.Context, cloud string, write func(context.Context) (uint64, error)) (uint64, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	revision, err := write(ctx)
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		_ = l.conn.Health().Observe(health.LedgerOf(cloud), began, nil) // it was heard
		return revision, err
	}
	return revision, l.conn.Health().Observe(health.LedgerOf(cloud), began, err)
}

// bucket returns the bucket of a cloud once the connection is up.
func (l *Ledger) bucket(ctx context.Context, cloud string) (*bucket.Bucket, error) {
	if err := l.conn.AwaitUp(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l.mu.Lock()
	kv, known := l.buckets[cloud]
	l.mu.Unlock()
	if known {
		return kv, nil
	}
	kv = bucket.Of(l.conn, topology.LedgerBucket(l.conn.Settings().Prefix, cloud), l.log)
	if _, err := l.conn.JetStream().KeyValue(ctx, kv.Name); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l.mu.Lock()
	l.buckets[cloud] = kv
	l.mu.Unlock()
	return kv, nil
}

// keyOf makes a key of an id that may hold anything.
func keyOf(cloud, commandID string) string { return cloud + "." + keyToken(commandID) }

func keyToken(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
