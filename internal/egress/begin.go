package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// beginAttempt makes sure that the ledger records a call before it is made. If an earlier delivery of the command has left a
// record, that record decides how to go on.
func (w *Worker) beginAttempt(ctx context.Context, j *job) finding {
	ctx = persist.Finishing(ctx)
	now := time.Now().UTC()
	if j.owned() {
		// Another bridge may have taken over the command while this one waited. Writing the record before each repeated call
		// detects that. Otherwise this call could overwrite the changes of later commands.
		return w.recordCall(ctx, j, now)
	}
	dated, _ := w.api.At(now)
	j.record.StartedAt, j.record.CalledAt, j.record.Dated, j.record.Owner = now, now, dated.UTC().Truncate(time.Millisecond), w.id
	j.record.Redrive, j.record.Plain = j.cmd.Redrive, j.cmd.Source() == ""
	known, have, err := w.findOlderRecord(ctx, j)
	if err == nil && !known {
		known, have, err = w.ledger.Begin(ctx, w.cloud, j.ledgerID, j.record)
	}
	if err != nil {
		return j.fail(err)
	}
	if known {
		return w.resume(ctx, j, have, now)
	}
	j.own(have, false)
	return goOn
}

// findOlderRecord looks for the record that an older bridge has written for the command. Older bridges used the id alone as the
// key, without the source. A record with the same fingerprint counts as the record of this command, so that nothing is called
// twice, and the command goes on under that key. Any other record belongs to another command.
func (w *Worker) findOlderRecord(ctx context.Context, j *job) (known bool, have ledger.Record, err error) {
	j.ledgerID = j.cmd.Identity()
	if j.cmd.Source() == "" { // the keys are the same
		return false, ledger.Record{}, nil
	}
	known, have, err = w.ledger.LookFormer(ctx, w.cloud, j.cmd.Event.ID())
	if err != nil || !known || !j.matches(have) {
		return false, ledger.Record{}, err
	}
	j.ledgerID = j.cmd.Event.ID()
	return true, have, nil
}

// findRecord returns what the ledger knows about the command.
func (w *Worker) findRecord(ctx context.Context, j *job) (known bool, have ledger.Record, err error) {
	if known, have, err = w.findOlderRecord(ctx, j); err != nil || known {
		return known, have, err
	}
	return w.ledger.Look(ctx, w.cloud, j.ledgerID)
}

// matches says whether a record has the operation and the data of the command.
func (j *job) matches(have ledger.Record) bool {
	return have.Fingerprint == j.record.Fingerprint || have.Fingerprint == identity.FormerFingerprint(j.op.Name, j.cmd.Event.Data())
}

// recordCall records that one more call is about to be made.
func (w *Worker) recordCall(ctx context.Context, j *job, now time.Time) finding {
	j.record.Open, j.record.CalledAt = false, now
	if err := w.save(ctx, j); err != nil {
		return j.fail(err)
	}
	return goOn
}

// resume continues a command that the ledger already knows.
func (w *Worker) resume(ctx context.Context, j *job, have ledger.Record, now time.Time) finding {
	if e := w.decideByRecord(j, have); e != goOn {
		return e
	}
	called := have.MayHaveCalled()
	if have.Result != nil { // the command is redriven
		var r events.Result
		if err := json.Unmarshal(have.Result, &r); err != nil {
			return j.fail(fmt.Errorf("result in the ledger: %w", err))
		}
		// What factro refused did not happen. After a failure the bridge searches again: the object may have shown up late.
		have.Result, have.Open = nil, have.Open || r.Outcome == events.Rejected
	}
	if have.NeverBegun() { // it was written when the command was delayed
		have.StartedAt, have.Dated = j.record.StartedAt, j.record.Dated
	}
	if j.cmd.Redrive != have.Redrive {
		have.Redrive, have.Decided, have.Attempts = j.cmd.Redrive, false, 0
	}
	j.own(have, called)
	j.record.Owner = w.id
	if have.Open || !j.op.Creates() {
		return w.recordCall(ctx, j, now)
	}
	// The worker that began the create may still be running. Saving the record takes it over: from now on the other worker
	// cannot write the record, so it cannot repeat the call.
	if err := w.save(ctx, j); err != nil {
		return j.fail(err)
	}
	j.answer = coreapi.Answer{Err: fmt.Errorf("the bridge was interrupted at %s", have.CalledAt.Format(time.RFC3339))}
	return doubtful
}

// decideByRecord decides about a command by its record alone, if that is possible: the record belongs to another command, or the
// command is finished.
func (w *Worker) decideByRecord(j *job, have ledger.Record) finding {
	if !j.matches(have) {
		return j.reject(have.Conflict())
	}
	if have.Result == nil {
		return goOn
	}
	var r events.Result
	if err := json.Unmarshal(have.Result, &r); err != nil {
		return j.fail(fmt.Errorf("result in the ledger: %w", err))
	}
	if j.cmd.Redrive != "" && j.cmd.Redrive != have.Redrive && r.Outcome != events.Applied {
		return goOn // the operator wants another try
	}
	j.record.Log, j.record.Made, j.record.Refs = have.Log, have.Made, have.Refs
	return j.remember(r)
}

// checkLedger looks for the result of a finished command while the gate is closed. Such a result does not need factro, so the
// command need not wait.
func (w *Worker) checkLedger(ctx context.Context, j *job) finding {
	if w.api.Clear() { // the command does not have to wait, and beginAttempt reads the record anyway
		return w.rejectExpired(ctx, j)
	}
	// An error of the ledger can be ignored here: this is only a short cut, and beginAttempt reports it.
	if known, have, err := w.findRecord(persist.Finishing(ctx), j); err == nil && known {
		if e := w.decideByRecord(j, have); e != goOn {
			return e
		}
	}
	return w.rejectExpired(ctx, j)
}

// rejectExpired rejects a command whose expirytime has passed. A command that factro may already have carried out goes on, and a
// finished one keeps its result. The ledger says whether that is so, since another worker may have had the command before.
func (w *Worker) rejectExpired(ctx context.Context, j *job) finding {
	if j.expiry.IsZero() || time.Now().Before(j.expiry) || !j.mayExpire() {
		return goOn
	}
	if !j.owned() && !j.dryRun {
		known, have, err := w.findRecord(persist.Finishing(ctx), j)
		if err != nil {
			return j.fail(err)
		}
		if known {
			if e := w.decideByRecord(j, have); e != goOn {
				return e
			}
			if have.MayHaveCalled() {
				j.ownership = foreign
				return goOn
			}
		}
	}
	return j.reject(&events.Error{Code: events.CodeExpired, Message: "expirytime had passed"})
}
