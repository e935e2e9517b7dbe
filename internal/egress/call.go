package egress

import (
	"context"
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// await waits until a call may be made. What expires meanwhile is not called.
func (w *Worker) await(ctx context.Context, j *job) finding {
	if err := w.turn(ctx, j); err != nil {
		return j.stop(fmt.Errorf("stopped before the call: %w", err))
	}
	return w.late(ctx, j)
}

// turn waits for the turn of a command, or of a read that it needs.
func (w *Worker) turn(ctx context.Context, j *job) error {
	before := w.hand.is(status.Waiting)
	defer func() { w.hand.is(before) }()
	return w.api.AwaitSlot(ctx, func(o coreapi.Obstacle) { w.deferred(ctx, j, o) })
}

// try makes one attempt.
func (w *Worker) try(ctx context.Context, j *job) finding {
	ctx = finishing(ctx)
	defer j.file.Close()
	call, err := translate.Dated(j.op, j.call, j.record.Dated)
	if err != nil {
		return j.fail(err)
	}
	j.attempts++
	j.calls++
	w.hand.is(status.Calling)
	crashpoint("before-call")
	a, judgement := w.api.Exchange(ctx, coreapi.Attempt{Op: j.op, Number: j.attempts, File: j.file}, call, w.api.Key())
	crashpoint("after-call")
	j.answer = a
	j.noted(ctx, judgement, a)
	w.hand.called(j.attempts, coreapi.FailureCode(judgement, a))
	if ctx.Err() != nil && a.Err != nil {
		// Told to stop, and the call took longer than the grace. The ledger knows that a create may have happened.
		j.verdict = fmt.Errorf("stopped during the call: %w", a.Err)
		if a.Unsent {
			j.verdict = errors.Join(j.verdict, w.release(ctx, j))
		}
		return stopped
	}
	return w.judged(ctx, j, judgement)
}

// judged says what the judgement of a call means for its command.
func (w *Worker) judged(ctx context.Context, j *job, judgement coreapi.Judgement) finding {
	a := j.answer
	notCalled := judgement == coreapi.Throttled || judgement == coreapi.Unauthorized || a.Unasked()
	switch judgement {
	case coreapi.Done:
		return j.conclude(events.Applied, a, nil)
	case coreapi.Refused:
		return j.conclude(events.Rejected, a, a.Refusal())
	case coreapi.Unknown:
		if err := w.save(ctx, j); err != nil {
			return j.fail(err)
		}
		if j.op.Creates() {
			return doubtful
		}
	case coreapi.Throttled, coreapi.Unauthorized, coreapi.Failed:
		if notCalled {
			j.attempts-- // factro did not work on it; the gate is closed now and says when to go on
			j.record.Attempts = j.attempts
		}
		if err := w.release(ctx, j); err != nil {
			return j.fail(err)
		}
	}
	switch {
	case notCalled:
		return held
	case j.attempts >= maxAttempts:
		return j.conclude(events.Dead, a, exhausted(fmt.Sprintf("factro failed on this command %s: %s", plural.Of(j.attempts, "time"), a.Text()), a))
	}
	return repeat
}

// pause waits before the next attempt.
func (w *Worker) pause(ctx context.Context, j *job) finding {
	w.hand.is(status.Retrying)
	if err := coreapi.Sleep(ctx, delivery.Backoff(j.attempts)); err != nil {
		return j.stop(fmt.Errorf("stopped between attempts: %w", err))
	}
	return goOn
}
