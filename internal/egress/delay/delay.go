package delay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// Store keeps commands until their time has come.
type Store interface {
	schedule
	// Queued returns the command with an identity that has a notbefore and is still in the queue.
	Queued(ctx context.Context, cloud, identity string) (cmd events.Command, found bool, err error)
}

type schedule interface {
	// Schedule stores a command until a time. See delayed.Store for its errors.
	Schedule(ctx context.Context, identity string, cmd events.Command, until time.Time) error
	// Find returns the delayed command with an identity.
	Find(ctx context.Context, cloud, identity string) (w delayed.Waiting, found bool, err error)
	// Release has a delayed command come at once.
	Release(ctx context.Context, w delayed.Waiting) error
}

// Ledger has the records of commands.
type Ledger interface {
	records
	Save(ctx context.Context, cloud, commandID string, r ledger.Record) (ledger.Record, error)
	Forget(ctx context.Context, cloud, commandID string, r ledger.Record) error
}

type records interface {
	Begin(ctx context.Context, cloud, commandID string, r ledger.Record) (known bool, have ledger.Record, err error)
	Look(ctx context.Context, cloud, commandID string) (known bool, have ledger.Record, err error)
}

// Delays are the delayed commands of one cloud.
type Delays struct {
	cloud  string
	store  Store
	ledger Ledger
	// fingerprint tells commands with the same source and id apart, as the records in the ledger do.
	fingerprint func(events.Command) (string, error)
	log         *slog.Logger
	searching   chan struct{} // has a place for the one that reads the queue, which may be long
}

// New returns the delayed commands of a cloud. The fingerprint of a command is the one that its record in the ledger has.
func New(cloud string, store Store, ledger Ledger, fingerprint func(events.Command) (string, error), log *slog.Logger) *Delays {
	return &Delays{cloud: cloud, store: store, ledger: ledger, fingerprint: fingerprint, log: log, searching: make(chan struct{}, 1)}
}

// maxAhead is how far ahead a notbefore may be. A year has 366 days at most.
const maxAhead = 366 * 24 * time.Hour

// NotBefore reads the notbefore of a command that expires at a time; zero if there is none.
func NotBefore(e event.Event, expiry time.Time) (time.Time, *events.Error) {
	value, given := e.Extensions()[attr.NotBefore]
	if !given {
		return time.Time{}, nil
	}
	at, err := types.ToTime(value)
	switch ahead := time.Until(at); {
	case err != nil:
		return at, invalid("attribute notbefore is not a time as in RFC 3339")
	case ahead > maxAhead:
		return at, invalid("attribute notbefore is more than 366 days ahead, want an earlier time")
	case ahead > 0 && !expiry.IsZero() && !at.Before(expiry):
		return at, invalid("attribute expirytime is not after notbefore, so the command could never be carried out")
	}
	return at, nil
}

// Never is the error for a command that cannot be delayed and has a notbefore, else nil.
func Never(notBefore time.Time) *events.Error {
	if notBefore.IsZero() {
		return nil
	}
	return invalid("attribute notbefore is on a canary, which cannot wait")
}

func invalid(message string) *events.Error {
	return &events.Error{Code: events.CodeInvalid, Message: message}
}

// ErrConflict says that another command with the same source and id is delayed already.
var ErrConflict = errors.New("a command with this source and id was sent before with other data, and waits for its notbefore; an id is for one command")

// Keep stores a command until a time, and returns until when it is stored: one that is stored already stays as it is. Unless the ledger has
// a record of it, one is written; if somebody else has written one in the meantime, it is returned.
func (d *Delays) Keep(ctx context.Context, cmd events.Command, ledgerID, fingerprint string, until time.Time, known bool) (_ time.Time, now *ledger.Record, _ error) {
	until, err := d.schedule(ctx, cmd, fingerprint, until)
	if err != nil || known {
		return until, nil, err
	}
	known, have, err := d.ledger.Begin(ctx, d.cloud, ledgerID, recordOf(cmd, fingerprint, until))
	if err != nil || !known {
		return until, nil, err
	}
	return until, &have, nil
}

func (d *Delays) schedule(ctx context.Context, cmd events.Command, fingerprint string, until time.Time) (time.Time, error) {
	err := d.store.Schedule(ctx, cmd.Identity(), cmd, until)
	if !errors.Is(err, delayed.ErrOther) {
		return until, err
	}
	waiting, found, err := d.store.Find(ctx, d.cloud, cmd.Identity())
	switch {
	case err != nil:
		return until, err
	case !found:
		return until, delayed.ErrOther // it has just become due; the message of this command comes again
	}
	switch same, err := d.fingerprintOf(waiting.Command); {
	case err != nil:
		return until, err
	case same != fingerprint:
		return until, ErrConflict
	}
	return waiting.Until, nil
}

// Forget deletes the record of a command that was delayed and is rejected before any call, so that nobody can cancel it any more.
func (d *Delays) Forget(ctx context.Context, cmd events.Command, ledgerID string) error {
	known, have, err := d.ledger.Look(ctx, d.cloud, ledgerID)
	if err != nil || !known || have.NotBefore.IsZero() || have.MayHaveCalled() || have.Result != nil {
		return err
	}
	if digest, err := d.fingerprintOf(cmd); err != nil || digest != have.Fingerprint {
		return nil //nolint:nilerr // it is the record of another command
	}
	return d.ledger.Forget(ctx, d.cloud, ledgerID, have)
}

// Reason is the reason for which a command is rejected that could not be stored, or nil for any other error.
func Reason(err error) *events.Error {
	switch {
	case errors.Is(err, delayed.ErrUnsupported):
		return &events.Error{Code: notbefore.CodeUnsupported, Message: err.Error()}
	case errors.Is(err, delayed.ErrFull):
		return &events.Error{Code: notbefore.CodeFull, Message: err.Error()}
	case errors.Is(err, ErrConflict):
		return &events.Error{Code: events.CodeConflict, Message: err.Error()}
	}
	return nil
}

// Waits tells a sender that a command waits until a time.
func Waits(until time.Time) *events.Error {
	return &events.Error{Code: notbefore.CodeWaiting, Message: "the command is carried out no earlier than " + until.UTC().Format(time.RFC3339Nano)}
}

// recordOf is the ledger's record of a command that waits for its notbefore: nothing was called. So the same command is recognised, and one
// write decides whether it is begun or cancelled.
func recordOf(cmd events.Command, fingerprint string, until time.Time) ledger.Record {
	return ledger.Record{
		Fingerprint: fingerprint, Plain: cmd.Source() == "", Redrive: cmd.Redrive, StartedAt: time.Now().UTC(), Open: true,
		NotBefore: until.UTC(), Operation: cmd.Operation,
	}
}

// fingerprintOf is the fingerprint of a command that was valid when it was stored.
func (d *Delays) fingerprintOf(cmd events.Command) (string, error) {
	digest, err := d.fingerprint(cmd)
	if err != nil {
		return "", fmt.Errorf("delayed command: %w", err)
	}
	return digest, nil
}
