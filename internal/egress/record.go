package egress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Ledger remembers commands over crashes, and what they have made. A commandID is the identity of a command, or of one that
// an earlier bridge has begun, its id.
type Ledger interface {
	ledgerLooks
	ledgerWrites
	ledgerClaims
}

type ledgerLooks interface {
	// Begin writes down that a command is about to be carried out, or returns what is known of it.
	Begin(ctx context.Context, cloud, commandID string, r ledger.Record) (known bool, have ledger.Record, err error)
	// Look returns what is known of a command.
	Look(ctx context.Context, cloud, commandID string) (known bool, have ledger.Record, err error)
	// LookFormer returns what an earlier bridge has written about a command with this id, of whatever source.
	LookFormer(ctx context.Context, cloud, id string) (known bool, have ledger.Record, err error)
}

type ledgerWrites interface {
	// Save replaces a record that Begin, Look or Save has returned. Its error is bus.ErrTaken if somebody else did so.
	Save(ctx context.Context, cloud, commandID string, r ledger.Record) (ledger.Record, error)
	// Forget takes a record back.
	Forget(ctx context.Context, cloud, commandID string, r ledger.Record) error
}

type ledgerClaims interface {
	// Claim says that an object was made by a command, and whether it is this command's.
	Claim(ctx context.Context, cloud, resource, objectID, commandID string) (mine bool, err error)
	// Made are the objects that the records tell of which were written since a time.
	Made(ctx context.Context, cloud string, since time.Time) (map[string]bool, error)
}

// fingerprint tells commands with one identity apart: by the operation and by what the data says, however it is written.
func fingerprint(op factro.Operation, data []byte) (string, error) {
	canonical, err := translate.Canonical(data)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(op.Name+"\n"), canonical...))
	return hex.EncodeToString(sum[:]), nil
}

// literal is the fingerprint as records of earlier versions of the bridge have it: of the data as it was written.
func literal(op factro.Operation, data []byte) string {
	sum := sha256.Sum256(append([]byte(op.Name+"\n"), data...))
	return hex.EncodeToString(sum[:])
}

// enter makes sure that the ledger says, before a call is made, that it may have been made. What an earlier delivery of
// the command has left there is honoured. over tells that the command has its verdict.
func (w *Worker) enter(ctx, stopping context.Context, j *job) (over bool, verdict error) {
	now := time.Now().UTC()
	if j.begun {
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
		return true, err
	}
	if known {
		return w.resume(ctx, stopping, j, have, now)
	}
	j.record, j.begun = have, true
	return false, nil
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
func (w *Worker) mark(ctx context.Context, j *job, now time.Time) (over bool, verdict error) {
	j.record.Open, j.record.CalledAt, j.again = false, now, false
	if err := w.save(ctx, j); err != nil {
		return true, err
	}
	return false, nil
}

// resume goes on with a command that the ledger knows already.
func (w *Worker) resume(ctx, stopping context.Context, j *job, have ledger.Record, now time.Time) (over bool, verdict error) {
	if over, verdict := w.known(ctx, j, have); over {
		return true, verdict
	}
	redriven := have.Result != nil
	if redriven {
		var r events.Result
		if err := json.Unmarshal(have.Result, &r); err != nil {
			return true, fmt.Errorf("result in the ledger: %w", err)
		}
		// What factro refused did not happen. What it failed on is looked for once more: it may have shown up late.
		have.Result, have.Open = nil, have.Open || r.Outcome == events.Rejected
	}
	if j.cmd.Redrive != have.Redrive {
		have.Redrive, have.Decided, have.Attempts = j.cmd.Redrive, false, 0
	}
	j.record, j.begun, j.attempts = have, true, have.Attempts
	j.record.Owner = w.id
	if have.Open || !j.op.Creates() {
		return w.mark(ctx, j, now)
	}
	// Whoever has begun it may still be at it: from here on it cannot write, and so not repeat, what is ours.
	if err := w.save(ctx, j); err != nil {
		return true, err
	}
	interrupted := fmt.Errorf("the bridge was interrupted at %s", have.CalledAt.Format(time.RFC3339))
	if over, verdict := w.resolve(ctx, stopping, j, coreapi.Answer{Err: interrupted}); over {
		return true, verdict
	}
	return w.mark(ctx, j, time.Now().UTC())
}

// known decides about a command by its record, if that is enough to decide: it was another command, or it is finished.
func (w *Worker) known(ctx context.Context, j *job, have ledger.Record) (over bool, verdict error) {
	if !j.describedBy(have) {
		return true, w.end(ctx, j, events.Rejected, coreapi.Answer{}, conflict(have))
	}
	if have.Result == nil {
		return false, nil
	}
	var r events.Result
	if err := json.Unmarshal(have.Result, &r); err != nil {
		return true, fmt.Errorf("result in the ledger: %w", err)
	}
	if j.cmd.Redrive != "" && j.cmd.Redrive != have.Redrive && r.Outcome != events.Applied {
		return false, nil // the operator wants it to be tried once more
	}
	j.record.Log = have.Log
	return true, w.tell(ctx, j, r)
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
func (w *Worker) recall(ctx context.Context, j *job) (over bool, verdict error) {
	if w.api.Clear() {
		return false, nil // it will be seen at once anyway
	}
	known, have, err := w.recorded(ctx, j)
	if err != nil || !known {
		return false, nil //nolint:nilerr // it is a short cut; the way round tells
	}
	return w.known(ctx, j, have)
}

// late rejects a command whose expirytime has passed. One that factro may have begun is carried on with, and one that is
// finished has its result: whether it is one of these is in the ledger, since it may have been in other hands before.
func (w *Worker) late(ctx context.Context, j *job) (over bool, verdict error) {
	if j.expiry.IsZero() || time.Now().Before(j.expiry) || j.attempts > 0 || j.again || j.resumed {
		return false, nil
	}
	if !j.begun && !j.dryRun {
		known, have, err := w.recorded(ctx, j)
		if err != nil {
			return true, err
		}
		if known {
			if over, verdict := w.known(ctx, j, have); over {
				return true, verdict
			}
			if j.resumed = have.Result == nil && (!have.Open || have.Attempts > 0); j.resumed {
				return false, nil
			}
		}
	}
	return true, w.end(ctx, j, events.Rejected, coreapi.Answer{}, &events.Error{Code: events.CodeExpired, Message: "expirytime had passed"})
}

// noted adds an attempt to the log of the command.
func (j *job) noted(ctx context.Context, judged coreapi.Judgement, a coreapi.Answer) {
	entry := bus.Attempt{At: time.Now().UTC(), Status: a.Status}
	if judged != coreapi.Done {
		entry.Error = a.Text()
	}
	if s := trace.SpanContextFromContext(ctx); s.HasTraceID() {
		entry.Trace = s.TraceID().String()
	}
	j.record.Attempts, j.record.Log = j.attempts, bus.Log(j.record.Log, entry)
}

// save writes the record as it is now into the ledger, without its log if the ledger does not take it otherwise.
func (w *Worker) save(ctx context.Context, j *job) error {
	err := w.saveOnce(ctx, j)
	if bus.Permanent(err) && len(j.record.Log) > 0 {
		log := j.record.Log
		j.record.Log = nil
		err = w.saveOnce(ctx, j)
		j.record.Log = log // for the dead letter
	}
	return err
}

func (w *Worker) saveOnce(ctx context.Context, j *job) error {
	err := insist(ctx, func(ctx context.Context) error {
		saved, err := w.ledger.Save(ctx, w.cloud, j.ledgerID, j.record)
		if err == nil {
			j.record = saved
		}
		return err
	})
	if errors.Is(err, bus.ErrTaken) {
		w.log.WarnContext(ctx, "another bridge has taken over the command in hand", "cloud", w.cloud, "event_id", j.cmd.Event.ID())
	}
	return err
}

// release writes down that no call so far can have had an effect.
func (w *Worker) release(ctx context.Context, j *job) error {
	j.record.Open = true
	return w.save(ctx, j)
}

// forget takes a command back out of the ledger for which nothing was called.
func (w *Worker) forget(ctx context.Context, j *job) error {
	return insist(ctx, func(ctx context.Context) error {
		return w.ledger.Forget(ctx, w.cloud, j.ledgerID, j.record)
	})
}

// finish writes the result of a command into the ledger. An answer that is too large to be kept for every command is left
// out; the result says so.
func (w *Worker) finish(ctx context.Context, j *job, r events.Result) error {
	if len(r.Response) > maxKept {
		r.Response, r.Omitted = nil, true
	}
	err := fitting(r, func(r events.Result) (err error) {
		if j.record.Result, err = json.Marshal(r); err != nil {
			return fmt.Errorf("result of %s: %w", r.Operation, err)
		}
		return w.save(ctx, j)
	})
	if bus.Permanent(err) || errors.Is(err, bus.ErrRefusing) {
		// It leaves the command unfinished in the ledger, but the sender still gets his result. To wait would hold up the
		// commands behind it.
		w.metrics.unwritten(ctx)
		w.log.ErrorContext(ctx, "the broker refuses the ledger's record of a finished command; should the command be sent again, it may be carried out again",
			"cloud", w.cloud, "operation", events.Token(r.Operation), "event_id", shorten(j.cmd.Event.ID()), "error", err)
		return nil
	}
	return err
}
