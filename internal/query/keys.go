package query

import (
	"context"
	"net/http"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
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
	found, err := r.find(ctx, refs)
	switch {
	case err != nil:
		return nil, nil, &queries.Answer{Status: http.StatusServiceUnavailable, RetryAfter: keyAgain, Error: &events.Error{
			Code: events.CodeUnavailable, Message: "an external key cannot be looked up: " + err.Error(),
		}}
	case found.Reason != nil && found.Reason.Code == events.CodeUnknownKey:
		return nil, nil, &queries.Answer{Status: http.StatusNotFound, Error: found.Reason}
	case found.Reason != nil:
		return nil, nil, &queries.Answer{Status: http.StatusBadRequest, Error: found.Reason}
	}
	for _, ref := range refs {
		if ref.InPath(op) {
			named = append(named, found.Named[ref.Pointer])
		}
	}
	if resolved, err = translate.WithIDs(data, refs, found.IDs); err != nil {
		return nil, nil, &queries.Answer{Status: http.StatusBadRequest, Error: coreapi.Mistaken(err)}
	}
	return resolved, named, nil
}

// find looks the keys up, and waits while a command has reserved one of them.
func (r *Reader) find(ctx context.Context, refs []translate.KeyRef) (externalkey.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, keyWait)
	defer cancel()
	for {
		found, err := externalkey.Resolve(ctx, r.api.Cloud(), r.keys, refs)
		if err != nil || found.Pending == nil {
			return found, err
		}
		if coreapi.Sleep(ctx, keyPause) != nil {
			return found, errPending
		}
	}
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
