package query

import (
	"context"
	"net/http"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// resolve replaces the external keys in a query's data by ids. A key that a command has reserved has to wait for the end of that
// command. named are the objects that do not exist if factro answers 404.
func (r *Reader) resolve(ctx context.Context, op factro.Operation, data []byte) (resolved []byte, named []keys.Entry, wrong *queries.Answer) {
	refs, err := translate.KeyRefs(op, data)
	if err != nil {
		return nil, nil, &queries.Answer{Status: http.StatusBadRequest, Error: coreapi.Mistaken(err)}
	}
	if len(refs) == 0 {
		return data, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, keyWait)
	defer cancel()
	ids := map[string]string{}
	var unknown, unclear []events.FieldError
	for _, ref := range refs {
		found, err := r.find(ctx, ref)
		switch {
		case err != nil:
			return nil, nil, &queries.Answer{Status: http.StatusServiceUnavailable, RetryAfter: keyAgain, Error: &events.Error{
				Code: events.CodeUnavailable, Message: "an external key cannot be looked up: " + err.Error(),
			}}
		case len(found) == 0:
			unknown = append(unknown, ref.UnknownKey())
			continue
		case len(found) > 1:
			unclear = append(unclear, ref.UnclearKey())
			continue
		}
		ids[ref.Pointer] = found[0].ID
		if ref.InPath(op) {
			named = append(named, found[0])
		}
	}
	switch {
	case len(unclear) > 0:
		return nil, nil, &queries.Answer{Status: http.StatusBadRequest, Error: coreapi.Mistaken(&translate.InvalidError{Fields: unclear})}
	case len(unknown) > 0:
		return nil, nil, &queries.Answer{Status: http.StatusNotFound, Error: coreapi.UnknownKey(unknown)}
	}
	if resolved, err = translate.WithIDs(data, refs, ids); err != nil {
		return nil, nil, &queries.Answer{Status: http.StatusBadRequest, Error: coreapi.Mistaken(err)}
	}
	return resolved, named, nil
}

// find returns the objects that a reference can mean. It waits while a command has reserved the key.
func (r *Reader) find(ctx context.Context, ref translate.KeyRef) ([]keys.Entry, error) {
	var found []keys.Entry
	for _, kind := range ref.Kinds {
		for {
			e, known, err := r.keys.Look(ctx, r.api.Cloud(), kind, ref.Key)
			if err != nil {
				return nil, err
			}
			if known && e.Pending() {
				if err := coreapi.Sleep(ctx, keyPause); err != nil {
					return nil, errPending
				}
				continue
			}
			if known && e.ID != "" {
				found = append(found, e)
			}
			break
		}
	}
	return found, nil
}

// free frees the external keys of objects that factro does not know.
func (r *Reader) free(ctx context.Context, a queries.Answer, named []keys.Entry) {
	if a.Status != http.StatusNotFound || a.Error == nil || a.Error.Code != events.CodeRefused {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTimeout)
	defer cancel()
	for _, e := range named {
		if err := r.keys.Forget(ctx, r.api.Cloud(), e); err != nil {
			r.log.WarnContext(ctx, "the external key of an object that factro does not know cannot be freed", "cloud", r.api.Cloud(), "resource", e.Kind, "error", err)
			continue
		}
		r.log.InfoContext(ctx, "factro does not know the object of an external key; the key is free", "cloud", r.api.Cloud(), "resource", e.Kind, "resource_id", e.ID)
	}
}
