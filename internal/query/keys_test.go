package query

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// fakeKeys implements Keys.
type fakeKeys struct {
	mu      sync.Mutex
	entries map[string]keys.Entry
	err     error
}

func (k *fakeKeys) Look(_ context.Context, _, kind, key string) (keys.Entry, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, known := k.entries[kind+" "+key]
	return e, known, k.err
}

func (k *fakeKeys) Forget(_ context.Context, _ string, e keys.Entry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.entries, e.Kind+" "+e.Key)
	return k.err
}

func (k *fakeKeys) set(kind, key, id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries[kind+" "+key] = keys.Entry{Kind: kind, Key: key, ID: id}
	if id == "" {
		k.entries[kind+" "+key] = keys.Entry{Kind: kind, Key: key, Owner: &keys.Owner{ID: "c-1"}}
	}
}

// TestExternalKeys: queries name objects by external keys.
func TestExternalKeys(t *testing.T) {
	t.Parallel()
	query := queries.Query{Address: events.Address{Cloud: "acme", Resource: "task", Operation: "getTask"}, Data: []byte(`{"taskId":{"externalkey":"JIRA-17"}}`)}
	x := newReading(t, apitest.Always(apitest.OK(`{"id":"t-1"}`)))
	if a := x.r.Query(t.Context(), query); a.Status != http.StatusNotFound || a.Error.Code != "unknown-key" || a.Error.FieldErrors()[0].Pointer != "/taskId" {
		t.Errorf("a key that is not known: %+v", a)
	}
	x.keys.set("task", "JIRA-17", "t-1")
	if a := x.r.Query(t.Context(), query); a.Status != http.StatusOK || x.Count("call GET /api/core/tasks/t-1") != 1 {
		t.Errorf("%+v: %s", a, x)
	}
	bad := query
	bad.Data = []byte(`{"taskId":{"externalkey":""}}`)
	if a := x.r.Query(t.Context(), bad); a.Status != http.StatusBadRequest || a.Error.FieldErrors()[0].Pointer != "/taskId/externalkey" {
		t.Errorf("an empty key: %+v", a)
	}
	x.keys.err = errors.New("away")
	if a := x.r.Query(t.Context(), query); a.Status != http.StatusServiceUnavailable || a.RetryAfter == 0 {
		t.Errorf("without NATS: %+v", a)
	}
}

// TestKeyOfMissing: a 404 about the object frees its key.
func TestKeyOfMissing(t *testing.T) {
	t.Parallel()
	for operation, freed := range map[string]bool{"getTask": true, "getTaskComment": false} {
		x := newReading(t, apitest.Always(apitest.Reply{Status: 404, Body: "no"}))
		x.keys.set("task", "JIRA-17", "t-1")
		q := queries.Query{Address: events.Address{Cloud: "acme", Resource: "task", Operation: operation}, Data: []byte(`{"taskId":{"externalkey":"JIRA-17"}}`)}
		if !freed {
			q.Data = []byte(`{"taskId":{"externalkey":"JIRA-17"},"commentId":"c-1"}`)
		}
		if a := x.r.Query(t.Context(), q); a.Status != http.StatusNotFound {
			t.Errorf("%s: %+v", operation, a)
		}
		if _, known, _ := x.keys.Look(t.Context(), "acme", "task", "JIRA-17"); known == freed {
			t.Errorf("after %s the key is known: %t", operation, known)
		}
	}
}

// TestPendingKey: a query waits for a command that creates the object, but not for ever.
func TestPendingKey(t *testing.T) {
	t.Parallel()
	query := queries.Query{Address: events.Address{Cloud: "acme", Resource: "task", Operation: "getTask"}, Data: []byte(`{"taskId":{"externalkey":"JIRA-17"}}`)}
	for name, after := range map[string]time.Duration{"soon": 2 * time.Second, "never": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, apitest.Always(apitest.OK(`{"id":"t-1"}`)))
				x.keys.set("task", "JIRA-17", "")
				end := time.AfterFunc(after, func() { x.keys.set("task", "JIRA-17", "t-1") })
				defer end.Stop()
				want := http.StatusOK
				if name == "never" {
					want = http.StatusServiceUnavailable
				}
				began := time.Now()
				if a := x.r.Query(t.Context(), query); a.Status != want || time.Since(began) > keyWait {
					t.Errorf("after %s: %+v", time.Since(began), a)
				}
			})
		})
	}
}
