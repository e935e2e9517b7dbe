package bridge

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/contract"
)

func TestContractDocuments(t *testing.T) {
	t.Parallel()
	b := &Bridge{metrics: http.NotFoundHandler()}
	b.cfg.NATS.Prefix = "acme"
	h := b.admin(nil, nil) // whoever asks for documents asks neither the broker nor a worker
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w
	}
	for path, want := range map[string]struct {
		status      int
		contentType string
		body        string
	}{
		"/contract/asyncapi.yaml":                 {http.StatusOK, "application/yaml", "address: acme.event.{cloud}."},
		"/contract/asyncapi/task.yaml":            {http.StatusOK, "application/yaml", "address: acme.event.{cloud}.task.{id}.{action}"},
		"/contract/asyncapi/bridge":               {http.StatusOK, "application/yaml", "address: acme.dead.webhook.{cloud}"},
		"/contract/asyncapi/tasks.yaml":           {http.StatusNotFound, "application/problem+json", "want one of absence, "},
		"/contract/schemas/":                      {http.StatusOK, "application/json", `{"name":"command.createTask","id":"urn:factro:schema:command.createTask"}`},
		"/contract/schemas/event":                 {http.StatusOK, "application/schema+json", `"$id": "urn:factro:schema:event"`},
		"/contract/schemas/result.setTaskState":   {http.StatusOK, "application/schema+json", `"$id": "urn:factro:schema:result.setTaskState"`},
		"/contract/schemas/command.createTask":    {http.StatusOK, "application/schema+json", `"$id": "urn:factro:schema:command.createTask"`},
		"/contract/schemas/createTask.json":       {http.StatusOK, "application/schema+json", `"$id": "urn:factro:schema:command.createTask"`},
		"/contract/schemas/answer.listTasks.json": {http.StatusOK, "application/schema+json", `"$id": "urn:factro:schema:answer.listTasks"`},
		"/contract/schemas/fly":                   {http.StatusNotFound, "application/problem+json", "/contract/schemas/ lists them"},
		"/contract/schemas/a/b":                   {http.StatusNotFound, "application/problem+json", "/contract/ lists"},
		"/contract/x":                             {http.StatusNotFound, "application/problem+json", "/contract/ lists"},
		"/contract/":                              {http.StatusOK, "text/plain; charset=utf-8", "/contract/asyncapi.yaml"},
	} {
		w := get(http.MethodGet, path)
		if w.Code != want.status || w.Header().Get("Content-Type") != want.contentType || !strings.Contains(w.Body.String(), want.body) {
			t.Errorf("%s: %d %s, want %d %s with %s\n%.300s", path, w.Code, w.Header().Get("Content-Type"), want.status, want.contentType, want.body, w.Body)
		}
		if strings.HasSuffix(want.contentType, "json") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s is not JSON: %.300s", path, w.Body)
		}
	}
	if w := get(http.MethodPost, "/contract/schemas/event"); w.Code == http.StatusOK {
		t.Errorf("a POST is answered with %d", w.Code)
	}
	// What a bridge tells is what is printed and what is in the documents.
	text, err := contract.AsyncAPI("acme")
	if got := get(http.MethodGet, "/contract/asyncapi.yaml").Body.String(); err != nil || got != string(text) {
		t.Errorf("the bridge tells another contract (%v)", err)
	}
}
