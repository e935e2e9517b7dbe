package sim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/courier"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// A simulator that was killed goes on where it had answered: nothing of the first one is closed here, as in a crash.
func TestJournalAfterCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got := make(chan string, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ Action string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got <- body.Action
	}))
	t.Cleanup(receiver.Close)
	change := func(c *Config) {
		c.StateDir = dir
		c.Webhooks = []Webhook{{URL: receiver.URL, Action: "*", Header: "X-Key", Value: "geheim"}}
	}

	first := start(t, change)
	made := map[string]bool{}
	create := func(h *harness, title string) tenant.Object {
		t.Helper()
		var o tenant.Object
		r := h.core("POST", "/tasks", tenant.Object{"title": title, "targetParentId": factro.ExamplePackage})
		if err := json.Unmarshal(r.body, &o); err != nil || r.status != http.StatusOK {
			t.Fatalf("create: %d %s", r.status, r.body)
		}
		made[o.ID()] = true
		return o
	}
	kept, gone := create(first, "Prüfung"), create(first, "Abbau")
	if r := first.core("PUT", "/tasks/"+kept.ID(), tenant.Object{"title": "Prüfung der Anlage"}); r.status != http.StatusNoContent && r.status != http.StatusOK {
		t.Fatalf("update: %d %s", r.status, r.body)
	}
	if r := first.core("DELETE", "/tasks/"+gone.ID(), nil); r.status != http.StatusNoContent {
		t.Fatalf("delete: %d %s", r.status, r.body)
	}
	if r := first.core("PUT", "/tasks/"+gone.ID(), tenant.Object{"title": "zu spät"}); r.status != http.StatusNotFound {
		t.Fatalf("update of what is gone: %d %s", r.status, r.body)
	}
	if err := first.sim.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	delivered := len(got)
	if delivered != 4 {
		t.Fatalf("%d webhooks were delivered, want 4", delivered)
	}
	// What a crash leaves of a line in the middle of being written, and of a delivery.
	waiting := courier.PayloadLine{ID: "p", HookID: "h", Hook: first.sim.cfg.Webhooks[0], Action: "TaskWaited", Entity: kept.ID(), CreatedAt: first.sim.cfg.Now()}
	if err := first.sim.journal.write(line{Payload: &waiting}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.sim.journal.file.WriteString(`{"changes":[{"kind":"ta`); err != nil {
		t.Fatal(err)
	}

	second := start(t, change)
	second.sim.courier.Resume()
	tasks := second.sim.Objects("task")
	if len(tasks) != 1 || tasks[0]["title"] != "Prüfung der Anlage" || tasks[0]["id"] != kept.ID() {
		t.Errorf("the tasks are %v, want the one that was kept", tasks)
	}
	if err := second.sim.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got) != delivered+1 {
		t.Errorf("%d webhooks came after the crash, want only the one that had waited", len(got)-delivered)
	}
	if next := create(second, "danach"); len(made) != 3 || next["number"] == kept["number"] || next["number"] == gone["number"] {
		t.Errorf("ids %v and number %v were given before", made, next["number"])
	}
	if n := len(second.sim.courier.Stored(time.Time{}, "")); n != 6 {
		t.Errorf("factro has %d stored payloads, want 6", n)
	}
	if err := second.sim.Idle(t.Context()); err != nil { // a delivery that ends after the reset leaves a line that means nothing
		t.Fatal(err)
	}
	second.sim.Reset()
	if text, err := os.ReadFile(filepath.Join(dir, "journal.jsonl")); err != nil || len(text) != 0 {
		t.Errorf("after a reset the journal holds %q, %v", text, err)
	}
}
