package tests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	factroapi "github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// TestDriftIsCounted: an action that is in no list and a key that nobody knew flow through, and show in the metrics.
func TestDriftIsCounted(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	list := filepath.Join(t.TempDir(), "actions.txt")
	writeFile(t, list, "TaskErfunden # from a document of tomorrow\n")
	b := newBridge(t, bridgeConfig{
		nats: n.URL(), clouds: map[string]string{"blue": f.url}, env: []string{"FACTRO_BRIDGE_KNOWN_ACTIONS_FILE=" + list},
	}).start()
	_, js := n.Connect(t)
	stream := watchStream(t, js, prefix.EventStream("blue"))
	for _, body := range []string{
		`{"action":"TaskErfunden","context":{"entityId":"known"}}`,
		`{"action":"TaskCreated","context":{"entityId":"known-too"}}`,
		`{"action":"SomethingNew","context":{"entityId":"one"}}`,
		`{"action":"SomethingNew","context":{"entityId":"two"},"neu":{"x":1}}`,
	} {
		if status := b.webhook(http.DefaultClient, "blue", body); status != http.StatusAccepted {
			t.Fatalf("%s: %d", body, status)
		}
	}
	stream.find(t, "the last one", func(m message) bool { return strings.HasSuffix(m.subject, ".something.two.SomethingNew") })
	_, metrics := b.get("/metrics")
	for what, count := range map[string]string{"action": " 2", "key": " 1"} {
		line := `factro_bridge_webhooks_unknown_total{factro_cloud="blue",what="` + what + `"}` + count + "\n"
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no line %s", line)
		}
	}
}

// TestContractDiff compares a description with one operation more, as an operator does.
func TestContractDiff(t *testing.T) {
	t.Parallel()
	same, fresh := filepath.Join(t.TempDir(), "same.yaml"), filepath.Join(t.TempDir(), "fresh.yaml")
	writeFile(t, same, string(factroapi.OpenAPI))
	writeFile(t, fresh, strings.Replace(string(factroapi.OpenAPI), "  /todo-list:\n", "  /todo-lists:\n", 1))
	if out, errOut, code := bridgeCommand(t, "contract", "diff", same); code != 0 || !strings.Contains(out, fmt.Sprintf("0 added, 0 removed, 0 changed, %d the same", len(factroapi.Operations()))) {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	out, errOut, code := bridgeCommand(t, "contract", "diff", fresh)
	if code != 6 || !strings.Contains(out, "+ GET /todo-lists") || !strings.Contains(out, "- GET /todo-list  listTodoLists") {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	if out, errOut, code := bridgeCommand(t, "contract", "diff", fresh, "--json"); code != 6 || !strings.Contains(out, `"kind": "added"`) {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	if _, errOut, code := bridgeCommand(t, "contract", "diff", filepath.Join(t.TempDir(), "none")); code != 1 || !strings.Contains(errOut, "no such file") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if out, _, code := bridgeCommand(t, "contract", "actions"); code != 0 || !strings.Contains(out, "TaskExecutorChanged") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if err := os.WriteFile(fresh, []byte(`{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{},"components":{"schemas":{`+
		`"Action":{"type":"string","enum":["TaskGelöscht"]}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errOut, code := bridgeCommand(t, "contract", "actions", fresh); code != 0 || out != "TaskGelöscht\n" {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
}
