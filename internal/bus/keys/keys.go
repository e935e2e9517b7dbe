package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Conn is what the keys need of the connection to NATS.
type Conn interface {
	bucket.Conn
	AwaitUp(ctx context.Context) error
}

// Keys are the external keys of all clouds of a connection. Its methods may be called by several goroutines at once.
type Keys struct {
	conn Conn
	log  *slog.Logger

	mu      sync.Mutex
	buckets map[string]store
	resting map[string]time.Time // until when the deletions of a cloud are not looked up, since its bucket cannot be read
}

// New returns the keys of a connection. It asks nobody.
func New(conn Conn, log *slog.Logger) *Keys {
	return &Keys{conn: conn, log: log, buckets: map[string]store{}, resting: map[string]time.Time{}}
}

const (
	// markerAge is how long the bucket remembers that an entry was deleted. It is for those who watch the bucket.
	markerAge = time.Hour
	// restAfter is how long deletions are not looked up after the bucket could not be read.
	restAfter = time.Minute
)

// Look returns the entry of a key; known is false if there is none.
func (k *Keys) Look(ctx context.Context, cloud, kind, key string) (e Entry, known bool, err error) {
	kv, err := k.bucket(ctx, cloud)
	if err != nil {
		return Entry{}, false, err
	}
	return look(ctx, kv, keySubject(kind, key))
}

// Reserve writes that a command is about to create the object of a key. If the key has an entry already, Reserve returns that, and mine
// says whether it is a reservation of this very command. A redelivered or redriven command keeps its reservation.
func (k *Keys) Reserve(ctx context.Context, cloud, kind, key string, owner Owner) (have Entry, mine bool, err error) {
	kv, err := k.bucket(ctx, cloud)
	if err != nil {
		return Entry{}, false, err
	}
	want := Entry{Kind: kind, Key: key, Since: time.Now().UTC(), Owner: &owner}
	err = write(ctx, kv, &want, 0)
	if err == nil {
		return want, true, nil
	}
	// The entry may be ours all the same, if only the acknowledgement was lost.
	have, known, readErr := look(ctx, kv, keySubject(kind, key))
	switch {
	case readErr != nil:
		return Entry{}, false, errors.Join(err, readErr)
	case !known && !errors.Is(err, jetstream.ErrKeyExists):
		return Entry{}, false, fmt.Errorf("external keys: reserve: %w", err)
	case !known: // it was there a moment ago
		return Entry{Kind: kind, Key: key}, false, nil
	case !have.OwnedBy(string(owner.Command)):
		return have, false, nil
	case have.Owner.Position != owner.Position: // it was redriven or put at the end of the queue
		want.Since = have.Since
		if err := write(ctx, kv, &want, have.revision); err != nil {
			return Entry{}, false, fmt.Errorf("external keys: reserve: %w", err)
		}
		return want, true, nil
	}
	return have, true, nil
}

// Complete gives a reserved key its id. It changes nothing unless the command has the key reserved. An empty id says that the object
// exists and that its id is not known.
func (k *Keys) Complete(ctx context.Context, cloud, kind, key, command, id string) error {
	kv, err := k.bucket(ctx, cloud)
	if err != nil {
		return err
	}
	have, known, err := look(ctx, kv, keySubject(kind, key))
	if err != nil || !known || !have.OwnedBy(command) {
		return err
	}
	if id != "" {
		// The entry of the id comes first: without it a deletion would not find the key.
		if err := noteID(ctx, kv, kind, key, id); err != nil {
			k.log.WarnContext(ctx, "an external key is kept without the way back from its id; the deletion of the object frees it only when the key is used",
				"cloud", cloud, "resource", kind, "error", err)
		}
	}
	return done(write(ctx, kv, &Entry{Kind: kind, Key: key, ID: id, Nameless: id == "", Since: time.Now().UTC()}, have.revision))
}

// Release frees a key that a command has reserved. It changes nothing if the command has not.
func (k *Keys) Release(ctx context.Context, cloud, kind, key, command string) error {
	kv, err := k.bucket(ctx, cloud)
	if err != nil {
		return err
	}
	have, known, err := look(ctx, kv, keySubject(kind, key))
	if err != nil || !known || !have.OwnedBy(command) {
		return err
	}
	return remove(ctx, kv, have)
}

// Forget frees the key of an entry, unless the entry has changed since.
func (k *Keys) Forget(ctx context.Context, cloud string, e Entry) error {
	kv, err := k.bucket(ctx, cloud)
	if err != nil {
		return err
	}
	return remove(ctx, kv, e)
}

// ForgetID frees the key of an object that was deleted, if it has one. Most objects have none, so an error does not stop the deletion:
// the key is freed when it is used.
func (k *Keys) ForgetID(ctx context.Context, cloud, kind, id string) error {
	k.mu.Lock()
	resting := time.Now().Before(k.resting[cloud])
	k.mu.Unlock()
	if resting {
		return nil
	}
	err := k.forgetID(ctx, cloud, kind, id)
	if err != nil {
		k.mu.Lock()
		k.resting[cloud] = time.Now().Add(restAfter)
		k.mu.Unlock()
	}
	return err
}

func (k *Keys) forgetID(ctx context.Context, cloud, kind, id string) error {
	kv, err := k.bucket(ctx, cloud)
	if natserr.NoStream(err) || errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil // no keys
	}
	if err != nil {
		return err
	}
	e, known, err := keyOf(ctx, kv, kind, id)
	if err != nil || !known {
		return err
	}
	return remove(ctx, kv, e)
}

// Queued says whether the message of a command is still in its stream, so that the command has not ended.
func (k *Keys) Queued(ctx context.Context, o Owner) (bool, error) {
	stream, sequence, _ := strings.Cut(o.Position, ":")
	n, err := strconv.ParseUint(sequence, 10, 64)
	if err != nil {
		return false, fmt.Errorf("external keys: %q is no place in a stream", o.Position)
	}
	if err := k.conn.AwaitUp(ctx); err != nil {
		return false, fmt.Errorf("external keys: %w", err)
	}
	_, err = stored.On(k.conn).Get(ctx, stream, n, "")
	if natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("external keys: look for the command of a reserved key: %w", err)
	}
	return true, nil
}

// bucket returns the bucket of a cloud once the connection is up.
func (k *Keys) bucket(ctx context.Context, cloud string) (store, error) {
	if err := k.conn.AwaitUp(ctx); err != nil {
		return nil, fmt.Errorf("external keys: %w", err)
	}
	k.mu.Lock()
	kv, known := k.buckets[cloud]
	k.mu.Unlock()
	if known {
		return kv, nil
	}
	name := topology.KeysBucket(k.conn.Settings().Prefix, cloud)
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	if _, err := k.conn.JetStream().KeyValue(attempt, name); err != nil {
		return nil, fmt.Errorf("external keys: bucket %s: %w", name, err)
	}
	kv = bucket.Of(k.conn, name, k.log)
	k.mu.Lock()
	k.buckets[cloud] = kv
	k.mu.Unlock()
	return kv, nil
}
