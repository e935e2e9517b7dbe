package coreapi

import (
	"context"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// pause is the pause of the cloud's commands, if they are paused.
func (a *API) pause() (control.Pause, bool) {
	return a.cfg.Pauses.Paused(a.cfg.Cloud, control.Commands)
}

// awaitResumed waits until the commands are not paused. report, if it is not nil, hears of a pause, and then is nil: an operator's
// pause is no short one.
func (a *API) awaitResumed(ctx context.Context, report *func(Obstacle)) error {
	if err := a.cfg.Pauses.AwaitKnown(ctx); err != nil {
		return err
	}
	if p, paused := a.pause(); paused && *report != nil {
		(*report)(Obstacle{Code: events.CodePaused, pause: p})
		*report = nil
	}
	return a.cfg.Pauses.AwaitFree(ctx, a.cfg.Cloud, control.Commands)
}

// sleepUnlessPaused waits for a time, or until something is paused or resumed.
func (a *API) sleepUnlessPaused(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-a.cfg.Pauses.Changed():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PausedQueries is the obstacle for queries while an operator has paused them; the zero value if nobody has.
func (a *API) PausedQueries(ctx context.Context) Obstacle {
	if a.cfg.Pauses.AwaitKnown(ctx) != nil {
		return Obstacle{}
	}
	if p, paused := a.cfg.Pauses.Paused(a.cfg.Cloud, control.Queries); paused {
		return Obstacle{Code: events.CodePaused, pause: p}
	}
	return Obstacle{}
}

// pausedCondition is the pause of an operator as a condition of the status.
func pausedCondition(p control.Pause) *status.Condition {
	return &status.Condition{State: status.Paused, Reason: status.ReasonOperator, Since: Instant(p.When), By: p.Who, Why: p.Why}
}
