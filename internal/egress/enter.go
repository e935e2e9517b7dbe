package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// enter makes sure that the ledger says, before a call is made, that it may have been made. What an earlier delivery of
// the command has left there is honoured.
func (w *Worker) enter(ctx context.Context, j *job) finding {
	ctx = finishing(ctx)
	now := time.Now().UTC()
	if j.begun() {
		// Before each call that is a repetition: whose command was taken over while he waited has to hear of it, lest he
		// overwrites what later commands have changed.
		return w.mark(ctx, j, now)
	}
	dated, _ := w.api.At(now)
	j.record.StartedAt, j.record.CalledAt, j.record.Dated, j.record.Owner = now, now, dated.UTC().Truncate(time.Millisecond), w.id
	j.record.Redrive, j.record.Plain = j.cmd.Redrive, j.cmd.Source() == ""
	known, have, err := w.former(ctx, j)
	if err == nil && !known {
		known, have, err = w.ledger.Begin(ctx, w.cloud, j.ledgerID, j.record)
	}
	if err != nil {
		return j.fail(err)
	}
	if known {
		return w.resume(ctx, j, have, now)
	}
	j.take(have, false)
	return goOn
}

// former looks for what an earlier bridge has written about the command, whose records do not tell sources apart. One with
// the same fingerprint counts as the command's, so that nothing is called twice, and everything about the command is written
// there. Any other is of another command.
func (w *Worker) former(ctx context.Context, j *job) (known bool, have ledger.Record, err error) {
	j.ledgerID = j.cmd.Identity()
	if j.cmd.Source() == "" { // the keys are the same
		return false, ledger.Record{}, nil
	}
	known, have, err = w.ledger.LookFormer(ctx, w.cloud, j.cmd.Event.ID())
	if err != nil || !known || !j.describedBy(have) {
		return false, ledger.Record{}, err
	}
	j.ledgerID = j.cmd.Event.ID()
	return true, have, nil
}

// recorded returns what the ledger knows of the command.
func (w *Worker) recorded(ctx context.Context, j *job) (known bool, have ledger.Record, err error) {
	if known, have, err = w.former(ctx, j); err != nil || known {
		return known, have, err
	}
	return w.ledger.Look(ctx, w.cloud, j.ledgerID)
}

// describedBy says whether a record is of the operation and the data of the command.
func (j *job) describedBy(have ledger.Record) bool {
	return have.Fingerprint == j.record.Fingerprint || have.Fingerprint == literal(j.op, j.cmd.Event.Data())
}

// mark writes down that one more call is about to be made.
func (w *Worker) mark(ctx context.Context, j *job, now time.Time) finding {
	j.record.Open, j.record.CalledAt = false, now
	if err := w.save(ctx, j); err != nil {
		return j.fail(err)
	}
	return goOn
}

// resume goes on with a command that the ledger knows already.
func (w *Worker) resume(ctx context.Context, j *job, have ledger.Record, now time.Time) finding {
	if e := w.known(j, have); e != goOn {
		return e
	}
	called := mayHaveCalled(have)
	if have.Result != nil { // it is sent once more
		var r events.Result
		if err := json.Unmarshal(have.Result, &r); err != nil {
			return j.fail(fmt.Errorf("result in the ledger: %w", err))
		}
		// What factro refused did not happen. What it failed on is looked for once more: it may have shown up late.
		have.Result, have.Open = nil, have.Open || r.Outcome == events.Rejected
	}
	if j.cmd.Redrive != have.Redrive {
		have.Redrive, have.Decided, have.Attempts = j.cmd.Redrive, false, 0
	}
	j.take(have, called)
	j.record.Owner = w.id
	if have.Open || !j.op.Creates() {
		return w.mark(ctx, j, now)
	}
	// Whoever has begun it may still be at it: from here on it cannot write, and so not repeat, what is ours.
	if err := w.save(ctx, j); err != nil {
		return j.fail(err)
	}
	j.answer = coreapi.Answer{Err: fmt.Errorf("the bridge was interrupted at %s", have.CalledAt.Format(time.RFC3339))}
	return doubtful
}

// known decides about a command by its record, if that is enough to decide: it was another command, or it is finished.
func (w *Worker) known(j *job, have ledger.Record) finding {
	if !j.describedBy(have) {
		return j.reject(conflict(have))
	}
	if have.Result == nil {
		return goOn
	}
	var r events.Result
	if err := json.Unmarshal(have.Result, &r); err != nil {
		return j.fail(fmt.Errorf("result in the ledger: %w", err))
	}
	if j.cmd.Redrive != "" && j.cmd.Redrive != have.Redrive && r.Outcome != events.Applied {
		return goOn // the operator wants it to be tried once more
	}
	j.record.Log = have.Log
	return j.remember(r)
}

// conflict is why a command is not carried out whose source and id the ledger knows for another one. What became of that one is
// told without factro's answer: it is as large as it likes, and was given to who sent the data.
func conflict(have ledger.Record) *events.Error {
	e := &events.Error{
		Code:    events.CodeConflict,
		Message: "a command with this source and id was sent before with other data; an id is for one command",
	}
	var earlier events.Result
	if have.Result == nil || json.Unmarshal(have.Result, &earlier) != nil {
		return e // it is not finished
	}
	earlier.Omitted = earlier.Omitted || earlier.Response != nil
	earlier.Response = nil
	if earlier.Error != nil {
		earlier.Error.Answer, earlier.Error.Earlier = nil, nil
	}
	e.Earlier = &earlier
	return e
}

// recall tells the result of a command that is finished without waiting for factro, which need not be asked for it.
func (w *Worker) recall(ctx context.Context, j *job) finding {
	if w.api.Clear() { // the record will be seen at once anyway
		return w.late(ctx, j)
	}
	// An error of the ledger is no matter here: this is a short cut, and the way round tells of it.
	if known, have, err := w.recorded(finishing(ctx), j); err == nil && known {
		if e := w.known(j, have); e != goOn {
			return e
		}
	}
	return w.late(ctx, j)
}

// late rejects a command whose expirytime has passed. One that factro may have begun is carried on with, and one that is
// finished has its result: whether it is one of these is in the ledger, since it may have been in other hands before.
func (w *Worker) late(ctx context.Context, j *job) finding {
	if j.expiry.IsZero() || time.Now().Before(j.expiry) || !j.mayExpire() {
		return goOn
	}
	if !j.begun() && !j.dryRun {
		known, have, err := w.recorded(finishing(ctx), j)
		if err != nil {
			return j.fail(err)
		}
		if known {
			if e := w.known(j, have); e != goOn {
				return e
			}
			if mayHaveCalled(have) {
				j.hold = foreign
				return goOn
			}
		}
	}
	return j.reject(&events.Error{Code: events.CodeExpired, Message: "expirytime had passed"})
}

// mayHaveCalled says whether an earlier delivery may have made a call for a command that is not finished.
func mayHaveCalled(have ledger.Record) bool {
	return have.Result == nil && (!have.Open || have.Attempts > 0)
}
