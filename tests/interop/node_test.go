package interop

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
)

// needNode ends a test that cannot run without Node, and says so.
func needNode(t *testing.T) {
	t.Helper()
	if nodeAbsent != "" {
		t.Skipf("DID NOT RUN: node: %s, so nothing is proven about JavaScript and AsyncAPI", nodeAbsent)
	}
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

// JavaScript sends commands in the forms that its page does not use and gets their results, with umlauts in the data and in an
// attribute.
func TestNodeSendsCommands(t *testing.T) {
	t.Parallel()
	needNode(t)
	s := startSite(t)
	p := s.page(t, languages[0])
	forms, err := os.ReadFile("js/forms.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "forms.mjs"), forms, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"structured", "plain"} {
		title, correlation := "Prüfung 100 % "+form, `Büro "Süd"`
		attributes := asJSON(t, map[string]string{"id": "js-" + form, "correlationid": correlation})
		out, errOut, code := p.run(t, "forms", form, cloud, "task.createTask", s.newTask(title), attributes)
		if code != 0 {
			t.Fatalf("%s: exit code %d\n%s", form, code, errOut)
		}
		result := objects(t, out)[0]
		data, _ := result["data"].(map[string]any)
		response, _ := data["response"].(map[string]any)
		if form == "plain" { // it has no attributes but its id
			correlation = ""
		}
		if got, _ := result["correlationid"].(string); got != correlation {
			t.Errorf("%s: the result has the correlation id %q, want %q", form, got, correlation)
		}
		if result["type"] != "com.factro.result.applied" || result["causationid"] != "js-"+form || response["title"] != title {
			t.Errorf("%s: got the result %v, keys %v", form, result, slices.Sorted(maps.Keys(data)))
		}
		if n := s.tasks(title); n != 1 {
			t.Errorf("%s: factro has %d tasks of this title, want 1", form, n)
		}
	}
}
