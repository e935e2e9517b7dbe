package delay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// cancelAttempts bounds how often Cancel looks again after somebody else has written the record of the command.
const cancelAttempts = 5

// errContended says that others write the record of a command all the time.
var errContended = errors.New("the command is being changed by others")

// Cancel cancels a delayed command. The ledger decides: its record of the command gets the result that the command was cancelled, in one
// write that fails if a worker has begun the command, as the write of the worker fails after it. Then the command is sent on its way at
// once, and the worker that gets it publishes that result instead of carrying it out. So Cancel need not delete anything, and a crash in
// between leaves a command that is cancelled or one that is not. A command that is still in the queue stays there until a worker comes to it.
func (d *Delays) Cancel(ctx context.Context, source, id string) (notbefore.CancelState, error) {
	if uri, err := url.Parse(source); err == nil {
		source = uri.String() // as it is read from a command
	}
	of := identity.Command(source, id)
	for range cancelAttempts {
		waiting, found, err := d.store.Find(ctx, d.cloud, of)
		if err != nil {
			return "", err
		}
		state, err := d.cancelRecord(ctx, of, waiting, found)
		if errors.Is(err, ledger.ErrTaken) {
			continue
		}
		if err == nil && state == notbefore.Cancelled && found {
			err = d.store.Release(ctx, waiting)
		}
		if err != nil {
			return "", err
		}
		if state == notbefore.Cancelled {
			d.log.InfoContext(ctx, "delayed command cancelled", "cloud", d.cloud, "event_id", id)
		}
		return state, nil
	}
	return "", errContended
}

// queued looks for a command that no worker has come to, and that so has no record: a pause or a long queue is before it.
func (d *Delays) queued(ctx context.Context, of string) (w delayed.Waiting, found bool, err error) {
	select {
	case d.searching <- struct{}{}:
		defer func() { <-d.searching }()
	case <-ctx.Done():
		return w, false, ctx.Err()
	}
	if w.Command, found, err = d.store.Queued(ctx, d.cloud, of); err != nil || !found {
		return w, false, err
	}
	at, mistake := NotBefore(w.Command.Event, time.Time{})
	w.Until = at
	return w, mistake == nil, nil
}

// cancelRecord writes into the ledger that a command is cancelled, unless it is too late. ledger.ErrTaken says to look again.
func (d *Delays) cancelRecord(ctx context.Context, of string, waiting delayed.Waiting, found bool) (notbefore.CancelState, error) {
	known, have, err := d.ledger.Look(ctx, d.cloud, of)
	if err != nil {
		return "", err
	}
	if !found && !known {
		if waiting, found, err = d.queued(ctx, of); err != nil || !found {
			return notbefore.NotFound, err
		}
	}
	if found {
		digest, err := d.fingerprintOf(waiting.Command)
		if err != nil {
			return "", err
		}
		switch {
		case !known: // it waits for longer than the ledger remembers, or it was stored a moment ago
			have = recordOf(waiting.Command, digest, waiting.Until)
		case have.Fingerprint != digest: // the waiting one will be refused as a conflict
			return notbefore.Begun, nil
		}
	}
	switch reopened := found && waiting.Command.Redrive != "" && waiting.Command.Redrive != have.Redrive; {
	case have.Result != nil && isCancelledRecord(have):
		return notbefore.Cancelled, nil
	case have.Result != nil && !reopened, have.MayHaveCalled(), !found && have.NotBefore.IsZero():
		return notbefore.Begun, nil
	}
	if found {
		have.Redrive, have.Operation = waiting.Command.Redrive, waiting.Command.Operation
	}
	now := time.Now().UTC()
	have.Result, err = json.Marshal(events.Result{
		Operation: have.Operation, Outcome: events.Rejected, StartedAt: now, FinishedAt: &now,
		Error: &events.Error{Code: notbefore.CodeCancelled, Message: "the command was cancelled before its notbefore"},
	})
	if err != nil {
		return "", fmt.Errorf("cancel: %w", err)
	}
	if known {
		_, err = d.ledger.Save(ctx, d.cloud, of, have)
		return notbefore.Cancelled, err
	}
	if known, _, err = d.ledger.Begin(ctx, d.cloud, of, have); err == nil && known {
		err = ledger.ErrTaken
	}
	return notbefore.Cancelled, err
}

// isCancelledRecord says whether a record has the result that its command was cancelled.
func isCancelledRecord(have ledger.Record) bool {
	var r events.Result
	return json.Unmarshal(have.Result, &r) == nil && IsCancelled(r)
}

// IsCancelled says whether a result is that of a command that was cancelled.
func IsCancelled(r events.Result) bool {
	return r.Outcome == events.Rejected && r.Error != nil && r.Error.Code == notbefore.CodeCancelled
}
