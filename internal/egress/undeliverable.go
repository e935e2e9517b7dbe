package egress

import (
	"context"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Undeliverable tells the sender of a command that the broker gave up the command before the bridge reached a verdict. mistake is
// the reason if the message could not be read as a command, otherwise nil. Calling it twice is harmless.
func (w *Worker) Undeliverable(ctx context.Context, cmd events.Command, mistake, reason error) error {
	cmd.Cloud = w.cloud
	now := time.Now().UTC()
	message := reason.Error()
	if mistake != nil {
		message += "; besides, " + mistake.Error()
	}
	j := &job{cmd: cmd, startedAt: now}
	r := events.Result{
		Operation: cmd.Operation, Outcome: events.Dead, StartedAt: now, FinishedAt: &now,
		Error: &events.Error{Code: events.CodeUndeliverable, Message: coreapi.Shorten(message)},
	}
	err := persist.Shrinking(r, func(r events.Result) error { return w.publish(ctx, j, r) })
	if publish.Permanent(err) {
		w.reportRefusedResult(ctx, j, r, err)
		return nil
	}
	return err
}
