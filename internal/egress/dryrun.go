package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/content"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// answerDryRun answers a dry run with the call that the command would make.
func (w *Worker) answerDryRun(ctx context.Context, j *job) finding {
	if e := w.rejectExpired(ctx, j); e != goOn {
		return e
	}
	// The command itself would be refused, so the dry run is refused too. An error of the ledger does not stop a dry run.
	if known, have, err := w.findRecord(persist.Finishing(ctx), j); err == nil && known && !j.matches(have) {
		return j.reject(have.Conflict())
	}
	object, err := content.Find(persist.Finishing(ctx), w.files, j.call.Upload)
	if err != nil {
		j.fileErr = err
		return fileUnread
	}
	now := time.Now().UTC()
	dated, _ := w.api.At(now)
	call, err := translate.Dated(j.op, j.call, dated)
	if err != nil {
		return j.fail(fmt.Errorf("dry run: %w", err))
	}
	planned, err := json.Marshal(translate.Planned(call, object.Size))
	if err != nil {
		return j.fail(fmt.Errorf("dry run: %w", err))
	}
	r := events.Result{
		Operation: j.cmd.Operation, Outcome: events.Applied, StartedAt: j.startedAt.UTC(), FinishedAt: &now, Resource: w.resource(j, coreapi.Answer{}),
		Existing: j.key.Updating(),
	}
	if r.Response = planned; len(planned) > maxResponse {
		r.Response, r.Omitted = nil, true
	}
	return j.remember(r)
}
