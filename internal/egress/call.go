package egress

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// awaitCall waits until a call may be made. It rejects the command if it expires while it waits.
func (w *Worker) awaitCall(ctx context.Context, j *job) finding {
	if err := w.awaitShared(ctx, j); err != nil {
		return j.stop(fmt.Errorf("stopped before the call: %w", err))
	}
	return w.rejectExpired(ctx, j)
}

// awaitSlot waits until factro may be called, for a command, for several together, or for a read that a command needs.
func (w *Worker) awaitSlot(ctx context.Context, all ...*part) error {
	has := slots.Asks(ctx)
	defer has()
	for _, p := range all {
		before := p.progress.SetState(status.Waiting)
		defer func() { p.progress.SetState(before) }() //nolint:revive // of all, when the wait is over
	}
	if err := w.api.AwaitSlot(ctx, func(o coreapi.Obstacle) {
		for _, p := range all {
			w.publishDeferred(p.ctx, p.job, o)
		}
	}); err != nil {
		return err
	}
	if err := commands.MayCall(ctx); err != nil {
		w.api.Forgo()
		return err
	}
	return nil
}

// attempt makes one attempt.
func (w *Worker) attempt(ctx context.Context, j *job) finding {
	ctx = persist.Finishing(ctx)
	defer j.file.Close()
	p := &part{job: j, ctx: ctx}
	var err error
	if p.call, err = translate.Dated(j.op, j.call, j.record.Dated); err != nil {
		return j.fail(err)
	}
	j.progress.SetState(status.Calling)
	switch err := w.exchange(p); {
	case err != nil:
		j.verdict = fmt.Errorf("stopped during the call: %w", err)
		return stopped
	case p.err != nil:
		return j.yield(ctx, w, p.err)
	case p.Alone != nil:
		return w.part(ctx, p)
	}
	a, judgement := p.Answer, p.Judgement
	if err := commands.MayCall(ctx); err != nil && a.Unsent { // the process stood still between the check before the call and its first byte
		return j.yield(ctx, w, err)
	}
	j.attempts++
	j.calls++
	j.answer = a
	j.logAttempt(ctx, judgement, a)
	j.progress.SetCall(j.attempts, coreapi.FailureCode(judgement, a))
	if ctx.Err() != nil && a.Err != nil {
		// The bridge is stopping, and the call took longer than the grace period. The ledger says that a create may have happened.
		j.verdict = fmt.Errorf("stopped during the call: %w", a.Err)
		if a.Unsent {
			j.verdict = errors.Join(j.verdict, w.recordNoEffect(ctx, j))
		}
		return stopped
	}
	return w.handleJudgement(ctx, j, judgement)
}

// yield returns a command that another bridge may have taken over, without the call that was recorded. If that bridge has not
// written the record yet, the record says that nothing was called.
func (j *job) yield(ctx context.Context, w *Worker, why error) finding {
	j.verdict = why
	if j.calls == 0 && j.ownership == fresh {
		j.verdict = errors.Join(why, w.recordNoEffect(ctx, j))
	}
	return stopped
}

// handleJudgement decides what the judgement of a call means for its command.
func (w *Worker) handleJudgement(ctx context.Context, j *job, judgement coreapi.Judgement) finding {
	a := j.answer
	notCalled := judgement == coreapi.Throttled || judgement == coreapi.Unauthorized || a.Unasked()
	switch judgement {
	case coreapi.Done:
		return j.conclude(events.Applied, a, nil)
	case coreapi.Refused:
		if a.Status == http.StatusNotFound && (len(j.refs) > 0 || j.key.Updating()) {
			return keyLost
		}
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
			j.attempts-- // factro did not process it; the gate is closed now and says when to go on
			j.record.Attempts = j.attempts
		}
		if err := w.recordNoEffect(ctx, j); err != nil {
			return j.fail(err)
		}
	}
	switch {
	case notCalled:
		return blocked
	case j.attempts >= maxAttempts:
		return j.conclude(events.Dead, a, exhausted(fmt.Sprintf("factro failed on this command %s: %s", plural.Of(j.attempts, "time"), a.Text()), a))
	}
	return attemptFailed
}

// pause waits before the next attempt.
func (w *Worker) pause(ctx context.Context, j *job) finding {
	j.progress.SetState(status.Retrying)
	if err := coreapi.Sleep(ctx, delivery.Backoff(j.attempts)); err != nil {
		return j.stop(fmt.Errorf("stopped between attempts: %w", err))
	}
	return goOn
}
