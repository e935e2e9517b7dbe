package externalkey

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Reads has the entries of external keys.
type Reads interface {
	// Look returns the entry of a key.
	Look(ctx context.Context, cloud, kind, key string) (e keys.Entry, known bool, err error)
	// Forget frees the key of an entry, unless the entry has changed.
	Forget(ctx context.Context, cloud string, e keys.Entry) error
}

// Keys has the entries, and takes what commands write into them.
type Keys interface {
	Reads
	reservations
	ends
}

type reservations interface {
	// Reserve writes that a command is about to create the object of a key, or returns the entry of the key.
	Reserve(ctx context.Context, cloud, kind, key string, owner keys.Owner) (have keys.Entry, mine bool, err error)
	// Queued says whether the message of a command is still in its stream.
	Queued(ctx context.Context, o keys.Owner) (bool, error)
}

type ends interface {
	// Complete gives a key that a command has reserved the id of the object; "" if that is not known.
	Complete(ctx context.Context, cloud, kind, key, command, id string) error
	// Release frees a key that a command has reserved.
	Release(ctx context.Context, cloud, kind, key, command string) error
	// ForgetID frees the key of an object.
	ForgetID(ctx context.Context, cloud, kind, id string) error
}

// Ledger has the records of commands.
type Ledger interface {
	Look(ctx context.Context, cloud, commandID string) (known bool, have ledger.Record, err error)
}

// Commands decides about the external keys of a cloud's commands. Its methods may be called by several goroutines at once.
type Commands struct {
	cloud  string
	keys   Keys
	ledger Ledger
	queue  Queue // may be nil
}

// Queue has the commands that wait or are being carried out.
type Queue interface {
	// MakesBefore says whether a command before a place in the stream makes the object of a key, as Makes has it, and has not ended.
	MakesBefore(cloud, key string, sequence uint64) bool
}

// New returns what decides about the commands of a cloud.
func New(cloud string, store Keys, records Ledger, queue Queue) *Commands {
	return &Commands{cloud, store, records, queue}
}

// Found is what the external keys in some data stand for.
type Found struct {
	// IDs are the ids, and Named the entries that they come from, by the pointers of the keys.
	IDs   map[string]string
	Named map[string]keys.Entry
	// Reason is why the keys stand for nothing, nil if they do.
	Reason *events.Error
	// Pending is an entry that a command has reserved which has not ended, nil if there is none.
	Pending *keys.Entry
}

// Resolve looks up the external keys in the data of a command. begun are the ids with which an earlier delivery has begun: they count,
// whatever has become of the keys. A key that is not known, but that an earlier command gives to what it creates, is a pending one.
func (c *Commands) Resolve(ctx context.Context, cmd events.Command, refs []translate.KeyRef, begun map[string]string) (Found, error) {
	found, err := resolve(ctx, refs, begun, c.lookUp)
	if err != nil || c.queue == nil || found.Reason == nil || found.Reason.Code != events.CodeUnknownKey {
		return found, err
	}
	_, place, _ := strings.Cut(cmd.Position, ":")
	sequence, err := strconv.ParseUint(place, 10, 64)
	if err != nil {
		return found, nil //nolint:nilerr // it has no place in a queue
	}
	for _, ref := range refs {
		for _, kind := range ref.Kinds {
			if found.IDs[ref.Pointer] == "" && c.queue.MakesBefore(c.cloud, factro.NamedKey(kind, ref.Key), sequence) {
				return Found{Pending: &keys.Entry{Kind: kind}}, nil
			}
		}
	}
	return resolve(ctx, refs, begun, c.lookUp) // the create may have ended in between
}

// Resolve looks up the external keys in the data of a query.
func Resolve(ctx context.Context, cloud string, store Reads, refs []translate.KeyRef) (Found, error) {
	return resolve(ctx, refs, nil, func(ctx context.Context, kind, key string) (keys.Entry, bool, error) {
		return store.Look(ctx, cloud, kind, key)
	})
}

func resolve(
	ctx context.Context, refs []translate.KeyRef, begun map[string]string, look func(ctx context.Context, kind, key string) (keys.Entry, bool, error),
) (Found, error) {
	out := Found{IDs: map[string]string{}, Named: map[string]keys.Entry{}}
	var unknown, unclear []events.FieldError
	for _, ref := range refs {
		before := begun[ref.Pointer]
		var found []keys.Entry
		for _, kind := range ref.Kinds {
			e, known, err := look(ctx, kind, ref.Key)
			switch {
			case err != nil:
				return out, err
			case known && e.Pending() && before == "":
				out.Pending = &e
				return out, nil
			case known && e.ID != "" && (before == "" || before == e.ID):
				found = append(found, e)
			}
		}
		switch {
		case len(found) == 1:
			out.IDs[ref.Pointer], out.Named[ref.Pointer] = found[0].ID, found[0]
		case before != "":
			out.IDs[ref.Pointer] = before
		case len(found) == 0:
			unknown = append(unknown, ref.UnknownKey())
		default:
			unclear = append(unclear, ref.UnclearKey())
		}
	}
	switch {
	case len(unclear) > 0:
		out.Reason = coreapi.Mistaken(&translate.InvalidError{Fields: unclear})
	case len(unknown) > 0:
		out.Reason = coreapi.UnknownKey(unknown)
	}
	return out, nil
}

// lookUp returns the entry of a key. A key that is reserved by a command which has ended is completed or freed.
func (c *Commands) lookUp(ctx context.Context, kind, key string) (keys.Entry, bool, error) {
	e, known, err := c.keys.Look(ctx, c.cloud, kind, key)
	if err != nil || !known || !e.Pending() {
		return e, known, err
	}
	pending, err := c.settleOwner(ctx, e)
	if err != nil || pending {
		return e, true, err
	}
	return c.keys.Look(ctx, c.cloud, kind, key)
}

// settleOwner decides about a reserved key if the command that has reserved it has ended. The ledger tells how it ended; if it does not
// tell, the command has not ended as long as its message is in its stream.
func (c *Commands) settleOwner(ctx context.Context, e keys.Entry) (pending bool, err error) {
	command := string(e.Owner.Command)
	known, have, err := c.ledger.Look(ctx, c.cloud, command)
	if err != nil {
		return false, err
	}
	if known && have.Result != nil {
		var r events.Result
		if err := json.Unmarshal(have.Result, &r); err != nil {
			return false, fmt.Errorf("result in the ledger: %w", err)
		}
		switch {
		case r.Outcome == events.Applied:
			return false, c.keys.Complete(ctx, c.cloud, e.Kind, e.Key, command, first(have.Made))
		case have.Redrive == e.Owner.Redrive: // else it is redriven, and that has not been recorded yet
			return false, c.keys.Release(ctx, c.cloud, e.Kind, e.Key, command)
		}
	}
	if pending, err = c.keys.Queued(ctx, *e.Owner); err != nil || pending {
		return pending, err
	}
	return false, c.keys.Release(ctx, c.cloud, e.Kind, e.Key, command)
}

func first(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}
