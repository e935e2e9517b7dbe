package keys

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Entry is what is known of an external key.
type Entry struct {
	// Kind is the kind of the object, such as task, and Key the external key.
	Kind string `json:"resource"`
	Key  string `json:"externalkey"`
	// ID is the id of the object, or "" if there is none yet.
	ID string `json:"id,omitempty"`
	// Since is when the entry got its ID, or when it was reserved.
	Since time.Time `json:"since"`
	// Owner is the command that has reserved the key and has not ended; nil once there is an ID.
	Owner *Owner `json:"owner,omitempty"`
	// Nameless says that the object was created, and that factro did not tell its id. Somebody has to set it.
	Nameless bool `json:"nameless,omitempty"`

	revision uint64
}

// Owner is a command that has reserved a key.
type Owner struct {
	// Command is the command's identity, see [events.Command.Identity], which is no text.
	Command []byte `json:"command"`
	// Source and ID are for people.
	Source string `json:"source,omitempty"`
	ID     string `json:"id"`
	// Position is the place of the command in its stream, "<stream>:<sequence>".
	Position string `json:"position"`
	// Redrive names the dead letter by which the command was sent once more, or "".
	Redrive string `json:"redrive,omitempty"`
}

// OwnerOf is a command as the owner of a key.
func OwnerOf(c events.Command) Owner {
	return Owner{Command: []byte(c.Identity()), Source: c.Source(), ID: c.Event.ID(), Position: c.Position, Redrive: c.Redrive}
}

// Pending says whether a command has reserved the key and has not ended.
func (e Entry) Pending() bool { return e.Owner != nil }

// OwnedBy says whether a command has reserved the key.
func (e Entry) OwnedBy(command string) bool {
	return e.Owner != nil && string(e.Owner.Command) == command
}

// ErrTaken says that the id has another external key, or the external key another id.
var ErrTaken = errors.New("taken")

// store has the entries of a cloud, by subjects of this package.
type store interface {
	reads
	writes
}

type reads interface {
	// Get returns jetstream.ErrKeyNotFound if there is no entry.
	Get(ctx context.Context, subject string) (bucket.Entry, error)
}

type writes interface {
	Create(ctx context.Context, subject string, value []byte) (uint64, error)
	Update(ctx context.Context, subject string, value []byte, revision uint64) (uint64, error)
	PurgeFor(ctx context.Context, subject string, revision uint64, marker time.Duration) error
}

func look(ctx context.Context, kv store, subject string) (e Entry, known bool, err error) {
	have, err := kv.Get(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return Entry{}, false, nil
	case err != nil:
		return Entry{}, false, fmt.Errorf("external keys: read: %w", err)
	}
	if err := json.Unmarshal(have.Value, &e); err != nil {
		return Entry{}, false, fmt.Errorf("external keys: entry %s: %w", have.Key, err)
	}
	e.revision = have.Revision
	return e, true, nil
}

// keyOf returns the entry of the key that an object has.
func keyOf(ctx context.Context, kv store, kind, id string) (e Entry, known bool, err error) {
	back, known, err := look(ctx, kv, idSubject(kind, id))
	if err != nil || !known {
		return Entry{}, false, err
	}
	e, known, err = look(ctx, kv, keySubject(kind, back.Key))
	if known && e.ID != id { // the entry of the id is left over
		e, known = Entry{}, false
	}
	return e, known, err
}

// noteID writes which key an object has. An entry that is left over from a key that was freed is replaced.
func noteID(ctx context.Context, kv store, kind, key, id string) error {
	have, known, err := keyOf(ctx, kv, kind, id)
	switch {
	case err != nil:
		return err
	case known && have.Key != key:
		return fmt.Errorf("external keys: the %s %s has the external key %q: %w", kind, id, have.Key, ErrTaken)
	}
	back := Entry{Kind: kind, Key: key, ID: id, Since: time.Now().UTC()}
	var old Entry
	if old, known, err = look(ctx, kv, idSubject(kind, id)); err != nil || known && old.Key == key {
		return err
	}
	return put(ctx, kv, idSubject(kind, id), &back, old.revision)
}

// remove deletes the entry of a key, and that of its id. If somebody has changed the entry meanwhile, it stays.
func remove(ctx context.Context, kv store, e Entry) error {
	if err := done(kv.PurgeFor(ctx, keySubject(e.Kind, e.Key), e.revision, markerAge)); err != nil {
		return fmt.Errorf("external keys: free: %w", err)
	}
	if e.ID == "" {
		return nil
	}
	back, known, err := look(ctx, kv, idSubject(e.Kind, e.ID))
	if err != nil || !known || back.Key != e.Key {
		return err
	}
	if err := done(kv.PurgeFor(ctx, idSubject(e.Kind, e.ID), back.revision, markerAge)); err != nil {
		return fmt.Errorf("external keys: free: %w", err)
	}
	return nil
}

func write(ctx context.Context, kv store, e *Entry, revision uint64) error {
	return put(ctx, kv, keySubject(e.Kind, e.Key), e, revision)
}

// put replaces a revision of an entry, 0 if there is none.
func put(ctx context.Context, kv store, subject string, e *Entry, revision uint64) error {
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("external keys: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	if revision == 0 {
		e.revision, err = kv.Create(ctx, subject, value)
	} else {
		e.revision, err = kv.Update(ctx, subject, value, revision)
	}
	return err
}

// done leaves out that somebody else has written an entry first, which is as good.
func done(err error) error {
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) || errors.Is(err, jetstream.ErrKeyExists) {
		return nil
	}
	return err
}

// Keys of entries. Both parts are digests, since an external key may be any text, and an id too.

func keySubject(kind, key string) string { return kind + ".key." + digest(key) }

func idSubject(kind, id string) string { return kind + ".id." + digest(id) }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
