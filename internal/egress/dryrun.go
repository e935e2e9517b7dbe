package egress

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// answerDryRun answers a dry run with the call that the command would make.
func (w *Worker) answerDryRun(ctx context.Context, j *job) finding {
	if e := w.rejectExpired(ctx, j); e != goOn {
		return e
	}
	// The command itself would be refused, so the dry run is refused too. An error of the ledger does not stop a dry run.
	if known, have, err := w.findRecord(finishing(ctx), j); err == nil && known && !j.matches(have) {
		return j.reject(conflict(have))
	}
	object, err := w.findObject(finishing(ctx), j.call.Upload)
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
	planned, err := json.Marshal(plannedCall(call, object))
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

// plannedCall describes a call without the API key. object is the file, if it is in the object store.
func plannedCall(call translate.Call, object objects.File) events.PlannedCall {
	path, query, _ := strings.Cut(call.Target, "?")
	c := events.PlannedCall{Method: call.Method, Path: path, Query: query, ContentType: call.ContentType, Body: jsonOrNil(call.Body)}
	if u := call.Upload; u != nil {
		c.ContentType = "multipart/form-data"
		c.File = &events.PlannedFile{Name: u.Name, ContentType: u.ContentType, Size: cmp.Or(u.Size, object.Size), Object: u.Object}
	}
	return c
}

func jsonOrNil(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	return nil
}
