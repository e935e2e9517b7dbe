package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/egress/search"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// keyPause is how long a command waits before it looks again at a key that another command has reserved.
const keyPause = time.Second

// makeCall translates the data into a call, with ids in the places of external keys.
func (j *job) makeCall(ids map[string]string) (err error) {
	if j.data, err = translate.WithIDs(j.cmd.Event.Data(), j.refs, ids); err != nil {
		return err
	}
	if j.call, err = translate.Command(j.op, j.data); ids == nil && len(j.refs) > 0 && j.call.EntityID == translate.Placeholder {
		j.call.EntityID = "" // nobody knows it yet
	}
	return err
}

// resolveKeys replaces the external keys in the data by ids, and reserves the command's own key. A command that has ended already
// keeps its result, whatever has become of the keys.
func (w *Worker) resolveKeys(ctx context.Context, j *job) finding {
	var begun map[string]string
	if !j.dryRun {
		known, record, err := w.findRecord(finishing(ctx), j)
		if err != nil {
			return j.fail(err)
		}
		if known {
			if e := w.decideByRecord(j, record); e != goOn {
				return e
			}
			begun = record.Refs
		}
	}
	if e := w.rejectExpired(ctx, j); e != goOn {
		return e
	}
	found, err := w.external.Resolve(finishing(ctx), j.cmd, j.refs, begun)
	if e := j.unresolved(found, err); e != goOn {
		return e
	}
	j.named, j.record.Refs = found.Named, found.IDs
	if err := j.makeCall(found.IDs); err != nil {
		return j.reject(coreapi.Mistaken(err))
	}
	if j.key.Name == "" {
		return j.planned()
	}
	return w.reserveKey(ctx, j)
}

// unresolved ends or returns a command whose keys cannot be used now.
func (j *job) unresolved(found externalkey.Found, err error) finding {
	switch {
	case err != nil:
		return j.fail(err)
	case found.Reason != nil:
		return j.reject(found.Reason)
	case found.Pending != nil:
		j.verdict = commands.RetryAfter(fmt.Errorf("an earlier command gives its %s the external key, and has not ended", found.Pending.Kind), keyPause)
		return keyPending
	}
	return goOn
}

// reserveKey reserves the external key that the command gives its object, or finds the object that has it.
func (w *Worker) reserveKey(ctx context.Context, j *job) finding {
	var found externalkey.Found
	var err error
	if j.dryRun {
		found, err = w.external.Foresee(finishing(ctx), &j.key)
	} else {
		found, err = w.external.Reserve(finishing(ctx), &j.key, keys.OwnerOf(j.cmd))
	}
	if e := j.unresolved(found, err); e != goOn {
		return e
	}
	crashpoint("after-key")
	switch {
	case j.key.Updating():
		if j.op, j.call, err = j.key.Call(j.data); err != nil {
			return j.reject(coreapi.Mistaken(err))
		}
	case j.key.Existing() && j.dryRun:
		now := time.Now().UTC()
		return j.remember(events.Result{
			Operation: j.op.Name, Outcome: events.Applied, StartedAt: j.startedAt.UTC(), FinishedAt: &now, Existing: true, Resource: w.existingResource(j),
		})
	case j.key.Existing():
		return w.recordExisting(ctx, j)
	}
	return j.planned()
}

// recordExisting ends a create whose object exists. The ledger keeps its result like any other, so that a redelivery gets the same one.
func (w *Worker) recordExisting(ctx context.Context, j *job) finding {
	if !j.owned() {
		j.record.StartedAt, j.record.Owner, j.record.Open = time.Now().UTC(), w.id, true
		j.record.Redrive, j.record.Plain = j.cmd.Redrive, j.cmd.Source() == ""
		known, record, err := w.ledger.Begin(finishing(ctx), w.cloud, j.ledgerID, j.record)
		switch {
		case err != nil:
			return j.fail(err)
		case known:
			if e := w.decideByRecord(j, record); e != goOn {
				return e
			}
			record.Result, record.Redrive = nil, j.cmd.Redrive
		}
		j.own(record, known)
	}
	return j.conclude(events.Applied, coreapi.Answer{}, nil)
}

// settleKey gives the command's own external key the id of the object that was created, or frees it. It also frees the key of an
// object that the command has deleted. It runs before the result is published, so that who has the result can use the key.
func (w *Worker) settleKey(ctx context.Context, j *job) finding {
	if j.dryRun {
		return goOn
	}
	ctx = finishing(ctx)
	if _, field := j.op.Deletes(); field != "" && j.result.Outcome == events.Applied {
		if err := w.external.Deleted(ctx, j.op, translate.IDIn(j.data, field, j.record.Refs)); err != nil {
			w.log.WarnContext(ctx, "the external key of a deleted object could not be freed; it is freed when it is used", "cloud", w.cloud,
				"operation", j.op.Name, "error", err)
		}
	}
	err := retryUntilStopped(ctx, func(ctx context.Context) error {
		return w.external.Settle(ctx, &j.key, j.cmd.Identity(), j.result, j.record.Made, j.conclusion.outcome == "")
	})
	if err != nil {
		return j.fail(err)
	}
	crashpoint("after-key-settled")
	return goOn
}

// freeKeys frees external keys whose objects factro does not know. A 404 alone does not say which object is missing, so factro is asked
// for each. A create that was carried out as an update of such an object is made after all.
func (w *Worker) freeKeys(ctx context.Context, j *job) finding {
	refused, lost := j.answer, false
	suspects := j.named
	if j.key.Updating() {
		suspects = map[string]keys.Entry{"": j.key.Entry} // the others are asked for if the create is refused too
	}
	for pointer, e := range suspects {
		gone, err := w.isGone(ctx, j, pointer, e)
		switch {
		case errors.Is(err, search.ErrStopped):
			return j.stop(err)
		case err != nil:
			w.log.WarnContext(ctx, "factro does not tell whether the object of an external key exists; the key is kept", "cloud", w.cloud,
				"operation", j.op.Name, "event_id", j.cmd.Event.ID(), "error", err)
			continue
		case !gone:
			continue
		}
		if err := w.external.Forget(finishing(ctx), e); err != nil {
			return j.fail(err)
		}
		w.log.InfoContext(ctx, "factro does not know the object of an external key; the key is free", "cloud", w.cloud, "resource", e.Kind, "resource_id", e.ID)
		lost = lost || pointer == ""
	}
	if !lost || j.attempts >= maxAttempts {
		return j.conclude(events.Rejected, refused, refused.Refusal())
	}
	if err := w.recordNoEffect(finishing(ctx), j); err != nil {
		return j.fail(err)
	}
	j.op = j.key.Lost()
	return keyed
}

// isGone asks factro whether it knows an object. Where there is no operation for that, the refused call is the answer, if it named
// only this object in its path.
func (w *Worker) isGone(ctx context.Context, j *job, pointer string, e keys.Entry) (bool, error) {
	op, field, known := factro.ReaderOf(e.Kind)
	if !known {
		alone := pointer == "" && strings.Count(j.op.Path, "{") == 1
		for _, ref := range j.refs {
			alone = alone || ref.Pointer == pointer && ref.InPath(j.op)
		}
		return alone, nil
	}
	id, err := json.Marshal(e.ID)
	if err != nil {
		return false, err
	}
	_, err = w.reads(j).Read(ctx, op.Name, map[string]json.RawMessage{field: id}, search.Discard)
	if no, ok := errors.AsType[*search.RefusedError](err); ok {
		return no.Status == http.StatusNotFound, nil
	}
	return false, err
}

// existingResource is the object that has the create's external key.
func (w *Worker) existingResource(j *job) *events.Resource {
	kind, id := j.key.Entry.Kind, j.key.Entry.ID
	return &events.Resource{Type: kind, ID: id, URL: factro.WebLink(w.webOrigin, w.mandant.Get(), kind, id)}
}
