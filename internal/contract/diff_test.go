package contract_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func TestOurOwnDescriptionHasNoDifference(t *testing.T) {
	t.Parallel()
	c, err := contract.Diff(factro.OpenAPI)
	if err != nil || len(c.Differences) != 0 || len(c.Names) != 0 || c.Same != len(factro.Operations()) {
		t.Errorf("got %+v, %v", c, err)
	}
}

// edit returns our description as JSON with one text replaced, as often as it is to be there.
func edit(t *testing.T, times int, old, fresh string) []byte {
	t.Helper()
	text := string(factro.OpenAPI)
	if n := strings.Count(text, old); n != times {
		t.Fatalf("%q is %d times in the description, want %d", old, n, times)
	}
	return asJSON(t, strings.ReplaceAll(text, old, fresh))
}

func asJSON(t *testing.T, text string) []byte {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDiffOfOneChange makes one change in the description each, and wants that one told.
func TestDiffOfOneChange(t *testing.T) {
	t.Parallel()
	route := "PUT /tasks/{}/state"
	changed := func(kind, field, ours, fresh string) contract.Difference {
		return contract.Difference{Kind: kind, Route: route, Operation: "setTaskState", Field: field, Ours: ours, Fresh: fresh}
	}
	const states = "closed | inProcess | planned | pushedBack | review | stopped"
	for name, tt := range map[string]struct {
		old, fresh string
		times      int
		want       contract.Difference
	}{
		"another path": {
			"  /todo-list:\n", "  /todo-lists:\n", 1,
			contract.Difference{Kind: contract.Added, Route: "GET /todo-lists", Operation: "listTodoLists"},
		},
		"another method": {
			"  /todo-list:\n    get:", "  /todo-list:\n    post:", 1,
			contract.Difference{Kind: contract.Removed, Route: "GET /todo-list", Operation: "listTodoLists"},
		},
		"a field more": {
			"      - state\n      properties:\n", "      - state\n      properties:\n        reason:\n          type: [string, 'null']\n", 1,
			changed(contract.Added, "request.reason", "", "string or null, optional"),
		},
		"a field less": {
			"        pausedUntil:\n          type: string\n          format: date-time\n          description: Only with pushedBack", "        description:\n          type: string\n          description: Only with pushedBack", 1,
			changed(contract.Removed, "request.pausedUntil", "string (date-time), optional", ""),
		},
		"no longer required": {
			"      required:\n      - state\n      properties:\n", "      properties:\n", 1,
			changed(contract.Changed, "request.state", "string: "+states+", required", "string: "+states+", optional"),
		},
		"a value more": {
			"      - pushedBack\n      - stopped\n      x-confidence: observed\n    ProjectState:", "      - pushedBack\n      - stopped\n      - frozen\n      x-confidence: observed\n    ProjectState:", 1,
			changed(contract.Changed, "request.state", "string: "+states+", required",
				"string: closed | frozen | inProcess | planned | pushedBack | review | stopped, required"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := contract.Diff(edit(t, tt.times, tt.old, tt.fresh))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(c.Differences, tt.want) {
				t.Errorf("got %+v, want %+v among them", c.Differences, tt.want)
			}
			for _, d := range c.Differences {
				if d.Route == route && d.Operation != "setTaskState" {
					t.Errorf("%+v has another operation's name", d)
				}
			}
		})
	}
}

// TestDiffReadsWhatTheVendorServes: OpenAPI 3.0 with nullable, whole paths, other names, and JavaScript around it.
func TestDiffReadsWhatTheVendorServes(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	if err := json.Unmarshal(asJSON(t, string(factro.OpenAPI)), &doc); err != nil {
		t.Fatal(err)
	}
	paths := map[string]any{}
	for path, item := range doc["paths"].(map[string]any) {
		paths["/api/core"+path] = item
	}
	paths["/api/core/todo-list"].(map[string]any)["get"].(map[string]any)["operationId"] = "TodoListController_get"
	doc["paths"], doc["openapi"] = paths, "3.0.0"
	old(doc)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	script := "window.onload = function() {\n  let options = {\n  \"swaggerDoc\": " + string(text) + ",\n  \"customOptions\": {}\n};\n}"
	c, err := contract.Diff([]byte(script))
	if err != nil || len(c.Differences) != 0 {
		t.Errorf("got %+v, %v", c.Differences, err)
	}
	if len(c.Names) != 1 || c.Names["listTodoLists"] != "TodoListController_get" {
		t.Errorf("got the names %v", c.Names)
	}
}

// old rewrites null as OpenAPI 3.0 does.
func old(v any) {
	switch v := v.(type) {
	case map[string]any:
		if kinds, ok := v["type"].([]any); ok && len(kinds) == 2 && kinds[1] == "null" {
			v["type"], v["nullable"] = kinds[0], true
		}
		if parts, ok := v["anyOf"].([]any); ok && len(parts) == 2 {
			if second, ok := parts[1].(map[string]any); ok && second["type"] == "null" {
				delete(v, "anyOf")
				v["allOf"], v["nullable"] = parts[:1], true
			}
		}
		for _, e := range v {
			old(e)
		}
	case []any:
		for _, e := range v {
			old(e)
		}
	}
}

func TestDiffOfWhatIsNoDescription(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "no OpenAPI 3 document",
		"<html>":                            "read the description",
		`{"swagger":"2.0","paths":{}}`:      "no OpenAPI 3 document",
		`{"openapi":"3.0.0","paths":{}}`:    "no operations",
		`x = {"swaggerDoc": {"openapi":"3.`: "swaggerDoc",
	} {
		if _, err := contract.Diff([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	named := `{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{},"components":{"schemas":{
		"Other":{"type":"string","enum":["TaskCreated","x","y","z"]},
		"Action":{"type":"string","enum":["TaskGelöscht","TaskCreated"]}}}}`
	inline := `{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/webhook/{type}":{"get":{"parameters":[
		{"name":"type","in":"path","required":true,"schema":{"type":"string","enum":["SomethingElse","TaskStateChanged"]}}],
		"responses":{"200":{"description":"d"}}}}}}`
	for text, want := range map[string][]string{
		named:  {"TaskGelöscht", "TaskCreated"},
		inline: {"SomethingElse", "TaskStateChanged"},
	} {
		if got, err := contract.Actions([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	if got, err := contract.Actions(factro.OpenAPI); err == nil {
		t.Errorf("our own description has no list of actions, but got %v", got)
	}
}
