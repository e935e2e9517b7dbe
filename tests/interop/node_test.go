package interop

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// needNode ends a test that cannot run without Node, and says so.
func needNode(t *testing.T) {
	t.Helper()
	if nodeAbsent != "" {
		t.Skipf("DID NOT RUN: %s, so nothing is proven about JavaScript and AsyncAPI", nodeAbsent)
	}
}

// node runs a script of js and returns the JSON objects that it printed, one a line.
func (s *site) node(t *testing.T, script string, args ...string) []map[string]any {
	t.Helper()
	cmd, stdout, stderr := s.program(t, "node", append([]string{script}, args...)...)
	cmd.Dir = "js"
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, stdout, stderr)
	}
	return objects(t, stdout.String())
}

func objects(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v in the line %s", err, line)
		}
		out = append(out, o)
	}
	return out
}

// asObject is an event in its JSON form.
func asObject(t *testing.T, e event.Event) map[string]any {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, string(text))[0]
}

// JavaScript reads our events in binary mode, umlauts and all, and those that our codec writes in structured mode.
func TestNodeReadsEvents(t *testing.T) {
	t.Parallel()
	needNode(t)
	s := startSite(t)
	s.deliver(t, `{"action":"TaskGeprüft","createdAt":"2026-01-02T03:04:05.678Z","context":{"entityId":"Büro 100 % \"Süd\"","note":"schön"}}`)
	stored := s.stored(t, prefix.EventStream("demo"), "factro.event.demo.task._._")
	want, err := events.FromMsg(stored.Header, stored.Data)
	if err != nil {
		t.Fatal(err)
	}
	if want.Subject() != `task/Büro 100 % "Süd"` {
		t.Fatalf("the event is not the one that is meant:\n%s", want)
	}
	msg, err := events.ToStructuredMsg("factro.event.demo.task.structured.Copy", want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}

	got := s.node(t, "subscribe.mjs", "factro.event.demo.>", "2")
	for i, mode := range []string{"binary", "structured"} {
		if len(got) != 2 || !reflect.DeepEqual(got[i], asObject(t, want)) {
			t.Fatalf("%s mode:\ngot  %v\nwant %v", mode, got, asObject(t, want))
		}
	}
}

// JavaScript sends commands in every form and gets their results, with umlauts in the data and in an attribute.
func TestNodeSendsCommands(t *testing.T) {
	t.Parallel()
	needNode(t)
	s := startSite(t)
	for _, mode := range []string{"binary", "structured", "plain"} {
		title, correlation := "Prüfung 100 % "+mode, `Büro "Süd"`
		attributes, _ := json.Marshal(map[string]string{"id": "js-" + mode, "correlationid": correlation})
		got := s.node(t, "command.mjs", cloud, "task.createTask", s.newTask(title), mode, string(attributes))
		if len(got) != 1 {
			t.Fatalf("%s: got %d results: %v", mode, len(got), got)
		}
		result := got[0]
		data, _ := result["data"].(map[string]any)
		response, _ := data["response"].(map[string]any)
		if mode == "plain" { // it has no attributes but its id
			correlation = ""
		}
		if got, _ := result["correlationid"].(string); got != correlation {
			t.Errorf("%s: the result has the correlation id %q, want %q", mode, got, correlation)
		}
		if result["type"] != "com.factro.result.applied" || result["causationid"] != "js-"+mode || response["title"] != title {
			t.Errorf("%s: got the result %v, keys %v", mode, result, slices.Sorted(maps.Keys(data)))
		}
		if n := s.tasks(title); n != 1 {
			t.Errorf("%s: factro has %d tasks of this title, want 1", mode, n)
		}
	}
}
