package egress

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/crash"
	"github.com/factro-bridge/factro-bridge/internal/egress/delay"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// recordResult makes the final result of a command and writes it into the ledger.
func (w *Worker) recordResult(ctx context.Context, j *job) finding {
	ctx = persist.Finishing(ctx)
	outcome, a, reason := j.conclusion.outcome, j.answer, j.conclusion.reason
	now := time.Now().UTC()
	r := events.Result{
		Operation: j.cmd.Operation, Outcome: outcome, Status: a.Status, Attempts: j.attempts,
		StartedAt: j.startedAt.UTC(), FinishedAt: &now, Error: reason, CommandDigest: j.commandDigest(),
	}
	if outcome == events.Applied {
		r = translate.WithSet(r, j.op, j.call)
		switch r.Adopted = j.conclusion.adopted; {
		case !jsontext.Whole(a.Body) && !json.Valid(a.Body):
		case len(a.Body) <= maxResponse:
			r.Response = a.Body
		default:
			r.Omitted = true
		}
		if j.op.Creates() {
			j.record.Made = translate.MadeIDs(j.op, a.Body)
		}
	}
	if j.op.Name != "" {
		r.Resource = w.resource(j, a)
	}
	if outcome == events.Applied && j.key.Existing() {
		r.Existing, r.Resource = true, w.existingResource(j)
	}
	// The ledger is written before the result. After a crash in between, the bridge publishes the same result again and does not
	// call factro again. A command that was refused before any call need not be in the ledger.
	switch {
	case j.owned() && (j.attempts > 0 || !j.record.Open || r.Existing):
		if err := w.saveResult(ctx, j, r); err != nil {
			return j.fail(err)
		}
	case j.owned():
		if err := w.forget(ctx, j); err != nil {
			return j.fail(err)
		}
	case !j.notBefore.IsZero() && !j.dryRun:
		if err := w.delays.Forget(ctx, j.cmd, j.ledgerID); err != nil {
			return j.fail(err)
		}
	}
	crash.Point("after-ledger")
	j.result = r
	return goOn
}

// publishResult publishes the final result of a command and sets the verdict.
func (w *Worker) publishResult(ctx context.Context, j *job) finding {
	j.verdict = w.publishFinal(persist.Finishing(ctx), j, j.result)
	return goOn
}

// publishFinal publishes a final result and returns the verdict.
func (w *Worker) publishFinal(ctx context.Context, j *job, r events.Result) error {
	err := persist.Shrinking(r, func(r events.Result) error {
		return persist.UntilStopped(ctx, func(ctx context.Context) error { return w.publish(ctx, j, r) })
	})
	switch {
	case err == nil:
		w.concluded.Add(1)
	case publish.Permanent(err):
		// The broker refuses even the bare outcome. Endless retries would block all commands behind this one.
		w.reportRefusedResult(ctx, j, r, err)
	case !errors.Is(err, publish.ErrRefusing):
		return err
	}
	crash.Point("after-result")
	w.metrics.Count(ctx, j.op, j.startedAt, r)
	code := ""
	if r.Error != nil {
		code = r.Error.Code
	}
	w.log.LogAttrs(ctx, slog.LevelInfo, "command finished", slog.String("cloud", w.cloud), slog.String("operation", events.Token(r.Operation)),
		slog.String("event_id", j.cmd.Event.ID()), slog.String("outcome", string(r.Outcome)), slog.String("code", code), slog.Int("status", r.Status),
		slog.Int("attempts", r.Attempts), slog.String("duration", time.Since(j.startedAt).String()))
	verdict := w.verdict(j, r)
	if errors.Is(err, publish.ErrRefusing) {
		return w.pendingVerdict(j, r, verdict, err)
	}
	return verdict
}

// verdict is the verdict for the bus that follows from a result.
func (w *Worker) verdict(j *job, r events.Result) error {
	if r.Outcome == events.Applied || delay.IsCancelled(r) {
		return nil // to cancel a command is no failure
	}
	return commands.Terminal(deadletter.Letter{
		Subject: w.cfg.Prefix.DeadCommand(w.cloud, j.cmd.Resource, j.cmd.Operation),
		Code:    r.Error.Code, Reason: errors.New(r.Error.Message), Status: r.Status, Log: j.record.Log,
	})
}

// pendingVerdict is the verdict for a command whose result the broker keeps refusing. The command is parked, so that the next one
// can run.
func (w *Worker) pendingVerdict(j *job, r events.Result, verdict, why error) error {
	subject, e, id, err := w.resultEvent(j, r)
	if err != nil {
		return err
	}
	return commands.Pending(verdict, subject, e, id, why)
}

// reportRefusedResult logs and counts a result that the broker will never accept. The command is settled nevertheless.
func (w *Worker) reportRefusedResult(ctx context.Context, j *job, r events.Result, err error) {
	w.metrics.ResultRefused(ctx)
	w.log.ErrorContext(ctx, "the broker refuses the result of a command for good; it is not published", "cloud", w.cloud,
		"operation", events.Token(r.Operation), "event_id", coreapi.Shorten(j.cmd.Event.ID()), "outcome", string(r.Outcome), "error", err)
}

// publishDeferred tells the sender that the command has to wait. A failure is only logged: the command goes on.
func (w *Worker) publishDeferred(ctx context.Context, j *job, obstacle coreapi.Obstacle) {
	w.publishWaiting(ctx, j, obstacle.Until, &events.Error{Code: obstacle.Code, Message: obstacle.Message()})
}

// publishWaiting tells the sender why the command waits, and until when unless that is zero.
func (w *Worker) publishWaiting(ctx context.Context, j *job, until time.Time, why *events.Error) {
	var at *time.Time // unknown while an operator has paused the commands
	if !until.IsZero() {
		at = new(until.UTC())
	}
	r := events.Result{
		Operation: j.cmd.Operation, Outcome: events.Deferred, Attempts: j.attempts, StartedAt: j.startedAt.UTC(), RetryAt: at,
		Error: why, Resource: w.resource(j, coreapi.Answer{}),
	}
	w.metrics.Count(ctx, j.op, j.startedAt, r)
	ctx, cancel := context.WithTimeout(persist.Finishing(ctx), deferredTimeout)
	defer cancel()
	if err := w.publish(ctx, j, r); err != nil {
		w.log.WarnContext(ctx, "deferred result could not be published", "cloud", w.cloud, "event_id", j.cmd.Event.ID(), "error", err)
	}
}

// resultEvent makes the event of a result. A result that an older bridge wrote into the ledger has no digest. Its data is the same,
// otherwise the command would be a conflict.
func (w *Worker) resultEvent(j *job, r events.Result) (subject string, e event.Event, id string, err error) {
	if r.CommandDigest == "" {
		r.CommandDigest = j.commandDigest()
	}
	if e, err = translate.Result(j.cmd, r, translate.Variant(j.cmd, j.dryRun, r), time.Now()); err != nil {
		return "", e, "", err
	}
	return w.cfg.Prefix.Result(w.cloud, j.cmd.Resource, j.cmd.Operation, r.Outcome), e, w.cloud + "." + e.ID(), nil
}

// publish stores a result and sends the sender its copy.
func (w *Worker) publish(ctx context.Context, j *job, r events.Result) error {
	subject, e, id, err := w.resultEvent(j, r)
	if err != nil {
		return err
	}
	if err := w.results.Publish(ctx, subject, e, id); err != nil {
		return err
	}
	if j.cmd.ReplyTo == "" {
		return nil
	}
	if !w.replies.Allow(ctx, j.cmd.ReplyTo, j.cmd.Event.ID()) {
		return nil
	}
	if err := w.results.Reply(ctx, j.cmd.ReplyTo, e); err != nil { // the copy is optional: the stream has the result
		w.log.WarnContext(ctx, "copy of the result could not be sent", "cloud", w.cloud, "event_id", j.cmd.Event.ID(), "error", err)
	}
	return nil
}

// resource names the object. It has a link into the web UI once an answer has contained the mandant's id.
func (w *Worker) resource(j *job, a coreapi.Answer) *events.Resource {
	r, mandantID := translate.Resource(j.op, j.call.EntityID, a.Body)
	w.mandant.Observe(mandantID)
	r.URL = factro.WebLink(w.webOrigin, w.mandant.Get(), r.Type, r.ID)
	return r
}
