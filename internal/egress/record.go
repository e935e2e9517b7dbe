package egress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// logAttempt adds an attempt to the log of the command.
func (j *job) logAttempt(ctx context.Context, judged coreapi.Judgement, a coreapi.Answer) {
	entry := ledger.Attempt{At: time.Now().UTC(), Status: a.Status, Millis: int(a.Took.Milliseconds())}
	if judged != coreapi.Done {
		entry.Error = a.Text()
	}
	if s := trace.SpanContextFromContext(ctx); s.HasTraceID() {
		entry.Trace = s.TraceID().String()
	}
	j.record.Attempts, j.record.Log = j.attempts, ledger.Log(j.record.Log, entry)
}

// save writes the current record into the ledger. If the ledger refuses it, it saves the record without its log.
func (w *Worker) save(ctx context.Context, j *job) error {
	err := w.saveOnce(ctx, j)
	if publish.Permanent(err) && len(j.record.Log) > 0 {
		log := j.record.Log
		j.record.Log = nil
		err = w.saveOnce(ctx, j)
		j.record.Log = log // for the dead letter
	}
	return err
}

func (w *Worker) saveOnce(ctx context.Context, j *job) error {
	err := persist.UntilStopped(ctx, func(ctx context.Context) error {
		saved, err := w.ledger.Save(ctx, w.cloud, j.ledgerID, j.record)
		if err == nil {
			j.record = saved
		}
		return err
	})
	if errors.Is(err, ledger.ErrTaken) {
		w.log.WarnContext(ctx, "another bridge has taken over the current command", "cloud", w.cloud, "event_id", j.cmd.Event.ID())
	}
	return err
}

// recordNoEffect records that no call so far can have had an effect.
func (w *Worker) recordNoEffect(ctx context.Context, j *job) error {
	j.record.Open = true
	return w.save(ctx, j)
}

// forget deletes the record of a command for which nothing was called.
func (w *Worker) forget(ctx context.Context, j *job) error {
	return persist.UntilStopped(ctx, func(ctx context.Context) error {
		return w.ledger.Forget(ctx, w.cloud, j.ledgerID, j.record)
	})
}

// saveResult writes the result of a command into the ledger. It leaves out an answer that is too large to keep, and marks that in
// the result.
func (w *Worker) saveResult(ctx context.Context, j *job, r events.Result) error {
	if len(r.Response) > maxKept {
		r.Response, r.Omitted = nil, true
	}
	err := persist.Shrinking(r, func(r events.Result) (err error) {
		if j.record.Result, err = translate.EncodeResult(r); err != nil {
			return fmt.Errorf("result of %s: %w", r.Operation, err)
		}
		return w.save(ctx, j)
	})
	if publish.Permanent(err) || errors.Is(err, publish.ErrRefusing) {
		// The command stays unfinished in the ledger, but the sender still gets the result. Waiting would block the commands
		// behind it.
		w.metrics.RecordRefused(ctx)
		w.log.ErrorContext(ctx, "the broker refuses the ledger's record of a finished command; if the command is sent again, it may be carried out again",
			"cloud", w.cloud, "operation", events.Token(r.Operation), "event_id", coreapi.Shorten(j.cmd.Event.ID()), "error", err)
		return nil
	}
	return err
}
