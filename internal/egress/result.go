package egress

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// end makes the final result of what became of a command, and writes it into the ledger.
func (w *Worker) end(ctx context.Context, j *job) finding {
	ctx = finishing(ctx)
	outcome, a, reason := j.conclusion.outcome, j.answer, j.conclusion.reason
	now := time.Now().UTC()
	r := events.Result{
		Operation: j.cmd.Operation, Outcome: outcome, Status: a.Status, Attempts: j.attempts,
		StartedAt: j.startedAt.UTC(), FinishedAt: &now, Error: reason, CommandDigest: identity.CommandDigest(j.cmd.Event.Data()),
	}
	if outcome == events.Applied {
		switch r.Adopted = j.conclusion.adopted; {
		case !json.Valid(a.Body):
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
	// The ledger before the result: a crash in between publishes the same result again instead of calling again. What
	// was refused before anything was called is not in the ledger and need not be.
	switch {
	case j.begun() && (j.attempts > 0 || !j.record.Open):
		if err := w.finish(ctx, j, r); err != nil {
			return j.fail(err)
		}
	case j.begun():
		if err := w.forget(ctx, j); err != nil {
			return j.fail(err)
		}
	}
	crashpoint("after-ledger")
	j.result = r
	return goOn
}

// tell publishes the final result of a command, and settles it with the verdict that goes with it.
func (w *Worker) tell(ctx context.Context, j *job) finding {
	j.verdict = w.told(finishing(ctx), j, j.result)
	return goOn
}

// told publishes a final result and returns the verdict.
func (w *Worker) told(ctx context.Context, j *job, r events.Result) error {
	err := fitting(r, func(r events.Result) error {
		return insist(ctx, func(ctx context.Context) error { return w.publish(ctx, j, r) })
	})
	switch {
	case err == nil:
		w.concluded.Add(1)
	case publish.Permanent(err):
		// Not even the bare outcome is taken. To try for ever would hold up all commands behind it.
		w.lost(ctx, j, r, err)
	case !errors.Is(err, publish.ErrRefusing):
		return err
	}
	crashpoint("after-result")
	w.metrics.finished(ctx, j, r)
	code := ""
	if r.Error != nil {
		code = r.Error.Code
	}
	w.log.InfoContext(ctx, "command finished", "cloud", w.cloud, "operation", events.Token(r.Operation), "event_id", j.cmd.Event.ID(),
		"outcome", string(r.Outcome), "code", code, "status", r.Status, "attempts", r.Attempts, "duration", time.Since(j.startedAt).String())
	verdict := w.verdict(j, r)
	if errors.Is(err, publish.ErrRefusing) {
		return w.later(j, r, verdict, err)
	}
	return verdict
}

// verdict is what a result means for its command.
func (w *Worker) verdict(j *job, r events.Result) error {
	if r.Outcome == events.Applied {
		return nil
	}
	return commands.Terminal(deadletter.Letter{
		Subject: w.cfg.Prefix.DeadCommand(w.cloud, j.cmd.Resource, j.cmd.Operation),
		Code:    r.Error.Code, Reason: errors.New(r.Error.Message), Status: r.Status, Log: j.record.Log,
	})
}

// later is the verdict about a command whose result the broker refuses again and again: it is parked, so that the next
// command can come.
func (w *Worker) later(j *job, r events.Result, verdict, why error) error {
	subject, e, id, err := w.result(j, r)
	if err != nil {
		return err
	}
	return commands.Pending(verdict, subject, e, id, why)
}

// lost tells of a result that the broker never takes. Its command is settled all the same.
func (w *Worker) lost(ctx context.Context, j *job, r events.Result, err error) {
	w.metrics.lost(ctx)
	w.log.ErrorContext(ctx, "the broker refuses the result of a command for good; it is not published", "cloud", w.cloud,
		"operation", events.Token(r.Operation), "event_id", shorten(j.cmd.Event.ID()), "outcome", string(r.Outcome), "error", err)
}

// deferred tells the sender that the command has to wait. It is a courtesy: if it cannot be published, the command goes
// on all the same.
func (w *Worker) deferred(ctx context.Context, j *job, o coreapi.Obstacle) {
	at := o.Until.UTC()
	r := events.Result{
		Operation: j.cmd.Operation, Outcome: events.Deferred, Attempts: j.attempts, StartedAt: j.startedAt.UTC(), RetryAt: &at,
		Error: &events.Error{Code: o.Code, Message: o.Message()}, Resource: w.resource(j, coreapi.Answer{}),
	}
	w.metrics.finished(ctx, j, r)
	ctx, cancel := context.WithTimeout(finishing(ctx), courtesy)
	defer cancel()
	if err := w.publish(ctx, j, r); err != nil {
		w.log.WarnContext(ctx, "deferred result could not be published", "cloud", w.cloud, "event_id", j.cmd.Event.ID(), "error", err)
	}
}

// result is a result as it is published. One that the ledger has from an older bridge has no digest: it is of the same data,
// else the command would be a conflict.
func (w *Worker) result(j *job, r events.Result) (subject string, e event.Event, id string, err error) {
	if r.CommandDigest == "" {
		r.CommandDigest = identity.CommandDigest(j.cmd.Event.Data())
	}
	if e, err = translate.Result(j.cmd, r, variant(j, r), time.Now()); err != nil {
		return "", e, "", err
	}
	return w.cfg.Prefix.Result(w.cloud, j.cmd.Resource, j.cmd.Operation, r.Outcome), e, w.cloud + "." + e.ID(), nil
}

// publish stores a result and sends the sender its copy.
func (w *Worker) publish(ctx context.Context, j *job, r events.Result) error {
	subject, e, id, err := w.result(j, r)
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
	if err := w.results.Reply(ctx, j.cmd.ReplyTo, e); err != nil { // the stream has the result, and that is what counts
		w.log.WarnContext(ctx, "copy of the result could not be sent", "cloud", w.cloud, "event_id", j.cmd.Event.ID(), "error", err)
	}
	return nil
}

// resource names the object, with a link into the web UI once an answer has told the mandant's id.
func (w *Worker) resource(j *job, a coreapi.Answer) *events.Resource {
	r, mandantID := translate.Resource(j.op, j.call.EntityID, a.Body)
	w.mandant.learn(mandantID)
	r.URL = factro.WebLink(w.webOrigin, w.mandant.get(), r.Type, r.ID)
	return r
}

// insist repeats what must not be left undone now that the call is made: NATS may be away for a while. It ends shortly
// after ctx, which is when the bridge has to stop: what became known in the last moment is written down too. And it ends
// when to repeat is no use: the broker refuses it for good, or refuses everything for so long that others would wait.
func insist(ctx context.Context, do func(context.Context) error) error {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(overrun, cancel) })
	defer stop()
	for n := 1; ; n++ {
		err := do(late)
		if err == nil || publish.Permanent(err) || errors.Is(err, publish.ErrRefusing) || errors.Is(err, ledger.ErrTaken) {
			return err
		}
		if coreapi.Sleep(late, delivery.Backoff(n)) != nil {
			return err
		}
	}
}

// fitting does something with a result, and if that is refused for good once more without factro's answer, and then with
// the bare outcome.
func fitting(r events.Result, do func(events.Result) error) error {
	err := do(r)
	if r.Response != nil && publish.Permanent(err) {
		r.Response, r.Omitted = nil, true
		err = do(r)
	}
	if publish.Permanent(err) {
		err = do(bareOutcome(r))
	}
	return err
}

// bareOutcome is a result with nothing in it that could be large.
func bareOutcome(r events.Result) events.Result {
	r.Omitted = r.Omitted || r.Response != nil
	r.Response = nil
	if r.Resource != nil && (len(r.Resource.ID) > 128 || len(r.Resource.URL) > 512) {
		r.Resource = nil
	}
	if r.Error != nil {
		r.Error = &events.Error{
			Code: r.Error.Code, Message: shorten(r.Error.Message), Status: r.Error.Status,
			Detail: coreapi.Detail("left out: with all of it, the message was refused by the broker"),
		}
	}
	return r
}

// shorten cuts a message for people to what people read.
func shorten(s string) string {
	const most = 1 << 10
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// variant tells results apart that share an id but are not the same message: a rehearsal from the performance, one
// postponement from the next, what became of a command from what became of it when an operator sent it once more, and what
// is said of one message from what is said of another one with the same id. Without it the stream would take the second for a
// repetition of the first. A redelivery of a message has the same variant.
func variant(j *job, r events.Result) string {
	suffix := ""
	if j.cmd.Redrive != "" {
		suffix = ".redrive." + j.cmd.Redrive
	}
	switch {
	case r.Outcome == events.Deferred && r.RetryAt != nil:
		return suffix + "." + strconv.FormatInt(r.RetryAt.Unix(), 10)
	case j.dryRun:
		suffix += ".dryrun"
	}
	if j.cmd.Position != "" && (j.dryRun || r.Error != nil && ofMessage[r.Error.Code]) {
		suffix += "." + j.cmd.Position
	}
	return suffix
}

// ofMessage are the codes of what is said of a message and not of a command that the ledger knows: a second message with the
// same id may have other data, and its sender has to hear of it, too.
var ofMessage = map[string]bool{
	events.CodeInvalid: true, events.CodeUnknownOperation: true, events.CodeConflict: true, events.CodeExpired: true,
	events.CodeUndeliverable: true,
}
