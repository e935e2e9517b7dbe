package egress

import (
	"context"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Forecast is how long n commands take from now on: until calls may be made, and then by the number of calls that are allowed. A
// command is taken for one call.
func (w *Worker) Forecast(n int) time.Duration {
	wait := w.api.Estimate(n) // has the time for which the budget is used up
	if o := w.api.CommandObstacle(); o.Code != events.CodeThrottled && !o.Until.IsZero() {
		wait += max(time.Until(o.Until), 0)
	}
	return wait
}

// Defer tells the sender of a command that waits for its turn. A command that will be rejected is not worth it.
func (w *Worker) Defer(ctx context.Context, cmd events.Command, mistake error, wait commands.Wait) error {
	cmd.Cloud = w.cloud
	j := &job{cmd: cmd, mistake: mistake, startedAt: time.Now()}
	if w.prepare(j, mistake) != nil {
		return nil
	}
	o := w.api.CommandObstacle()
	// The estimate is a moment old.
	for _, earliest := range []time.Time{j.startedAt, o.Until} {
		if wait.Until.Before(earliest) {
			wait.Until = earliest
		}
	}
	r := events.Result{
		Operation: j.cmd.Operation, Outcome: events.Deferred, StartedAt: j.startedAt.UTC(), RetryAt: new(wait.Until.UTC()), Resource: w.resource(j, coreapi.Answer{}),
	}
	switch {
	case o.Code == events.CodePaused:
		r.RetryAt = nil // nobody knows when an operator resumes them
		r.Error = &events.Error{Code: o.Code, Message: o.Message()}
	case wait.Held:
		r.RetryAt = nil // nor when somebody decides about the dead letter
		r.Error = &events.Error{Code: events.CodeHeld, Message: "a dead letter about the same thing has to be sent again or dropped first"}
	case o.Code != "":
		r.Error = &events.Error{Code: o.Code, Message: o.Message()}
	default:
		r.Error = &events.Error{Code: events.CodeQueued, Message: fmt.Sprintf("about %s before it", plural.Of(wait.Before, "command"))}
	}
	ctx, cancel := context.WithTimeout(ctx, deferredTimeout)
	defer cancel()
	w.metrics.countResult(ctx, j, r)
	return w.publish(ctx, j, r)
}
