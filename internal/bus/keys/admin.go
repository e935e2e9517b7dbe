package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Admin reads and changes the external keys of one cloud for an operator.
type Admin struct {
	js     jetstream.JetStream
	bucket string
	kv     store
}

// Of returns the external keys of a cloud. The error wraps jetstream.ErrBucketNotFound if there is no bucket.
func Of(ctx context.Context, js jetstream.JetStream, p events.Prefix, cloud string) (*Admin, error) {
	name := topology.KeysBucket(p, cloud)
	kv, err := js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("external keys: bucket %s: %w", name, err)
	}
	return &Admin{js: js, bucket: name, kv: keyValue{kv}}, nil
}

// List passes the entries to each, in the order in which they were written; with a kind only those of that kind. pending is how many
// are still to be read. It ends at the first error of each.
func (a *Admin) List(ctx context.Context, kind string, each func(e Entry, pending int64) error) error {
	if kind == "" {
		kind = "*"
	}
	all := "$KV." + a.bucket + "." + kind + ".key.*"
	for m, err := range journal.New(a.js).Read(ctx, "KV_"+a.bucket, journal.Beginning(), journal.Present(), all) {
		if err != nil {
			return fmt.Errorf("external keys: %w", err)
		}
		var e Entry
		if len(m.Data) == 0 || json.Unmarshal(m.Data, &e) != nil || e.Key == "" {
			continue // a marker of a deleted entry
		}
		if err := each(e, m.Pending); err != nil {
			return err
		}
	}
	return nil
}

// Get returns the entry of a key.
func (a *Admin) Get(ctx context.Context, kind, key string) (e Entry, known bool, err error) {
	return look(ctx, a.kv, keySubject(kind, key))
}

// Check says whether Set would write an entry. The error wraps ErrTaken if the key has another object, or the object another key.
func (a *Admin) Check(ctx context.Context, kind, key, id string) (change bool, err error) {
	have, known, err := a.Get(ctx, kind, key)
	switch {
	case err != nil:
		return false, err
	case known && have.ID == id:
		return false, nil
	case known && have.Pending():
		return false, fmt.Errorf("the key is reserved by the command %s, which has not ended: %w", have.Owner.ID, ErrTaken)
	case known && have.ID != "":
		return false, fmt.Errorf("the key is that of the %s %s: %w", kind, have.ID, ErrTaken)
	}
	other, known, err := keyOf(ctx, a.kv, kind, id)
	switch {
	case err != nil:
		return false, err
	case known && other.Key != key:
		return false, fmt.Errorf("the %s %s has the external key %q: %w", kind, id, other.Key, ErrTaken)
	}
	return true, nil
}

// Set writes which object has a key. It changes nothing if the key has that object already.
func (a *Admin) Set(ctx context.Context, kind, key, id string) (changed bool, err error) {
	if changed, err = a.Check(ctx, kind, key, id); err != nil || !changed {
		return false, err
	}
	if err := noteID(ctx, a.kv, kind, key, id); err != nil {
		return false, err
	}
	have, _, err := a.Get(ctx, kind, key) // a nameless one is replaced
	if err != nil {
		return false, err
	}
	err = write(ctx, a.kv, &Entry{Kind: kind, Key: key, ID: id, Since: time.Now().UTC()}, have.revision)
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return false, fmt.Errorf("somebody else has written the key at the same time: %w", ErrTaken)
	}
	return err == nil, err
}

// Forget frees a key; known is false if there is none.
func (a *Admin) Forget(ctx context.Context, kind, key string) (known bool, err error) {
	have, known, err := a.Get(ctx, kind, key)
	if err != nil || !known {
		return false, err
	}
	return true, remove(ctx, a.kv, have)
}

// keyValue is a bucket of the client library as a store.
type keyValue struct{ kv jetstream.KeyValue }

func (k keyValue) Get(ctx context.Context, subject string) (bucket.Entry, error) {
	e, err := k.kv.Get(ctx, subject)
	if err != nil {
		return bucket.Entry{}, err
	}
	return bucket.Entry{Key: subject, Value: e.Value(), Revision: e.Revision()}, nil
}

func (k keyValue) Create(ctx context.Context, subject string, value []byte) (uint64, error) {
	return k.kv.Create(ctx, subject, value)
}

func (k keyValue) Update(ctx context.Context, subject string, value []byte, revision uint64) (uint64, error) {
	now, err := k.kv.Update(ctx, subject, value, revision)
	return now, bucket.Mismatch(err)
}

func (k keyValue) PurgeFor(ctx context.Context, subject string, revision uint64, marker time.Duration) error {
	return bucket.Mismatch(k.kv.Purge(ctx, subject, jetstream.LastRevision(revision), jetstream.PurgeTTL(marker)))
}
