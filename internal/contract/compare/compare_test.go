package compare

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func TestOurOwnDescriptionHasNoDifference(t *testing.T) {
	t.Parallel()
	c, err := Descriptions(factro.OpenAPI)
	if err != nil || len(c.Differences) != 0 || len(c.Names) != 0 || c.Same != len(factro.Operations()) {
		t.Errorf("got %+v, %v", c, err)
	}
}

// known is a description that the changes are made in.
const known = `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /tasks/{taskId}/state:
    put:
      operationId: setTaskState
      parameters: [{name: taskId, in: path, required: true, schema: {type: string, format: uuid}}]
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/StateChange'}}}
      responses: {'200': {description: d}}
  /tasks:
    get:
      operationId: listTasks
      parameters: [{name: startDate, in: query, schema: {type: string, format: date}}]
      responses:
        '200': {description: d, content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Task'}}}}}
components:
  schemas:
    State: {type: string, enum: [planned, closed]}
    StateChange:
      type: object
      required: [state]
      properties:
        state: {$ref: '#/components/schemas/State'}
        pausedUntil: {type: [string, 'null'], format: date-time}
    Task:
      allOf:
        - {$ref: '#/components/schemas/StateChange'}
        - type: object
          required: [id]
          properties:
            id: {type: string, format: uuid}
            parent: {anyOf: [{$ref: '#/components/schemas/Task'}, {type: 'null'}]}
`

// TestDiffOfOneChange makes one change in a description each, and wants that one told and no other.
func TestDiffOfOneChange(t *testing.T) {
	t.Parallel()
	state := func(kind, field, ours, fresh string) Difference {
		return Difference{Kind: kind, Route: "PUT /tasks/{}/state", Operation: "setTaskState", Field: field, Ours: ours, Fresh: fresh}
	}
	list := func(kind, field, ours, fresh string) Difference {
		return Difference{Kind: kind, Route: "GET /tasks", Operation: "listTasks", Field: field, Ours: ours, Fresh: fresh}
	}
	for name, tt := range map[string]struct {
		old, fresh string
		want       []Difference
	}{
		"nothing":               {"", "", nil},
		"only names of schemas": {"StateChange", "TaskController_state_Dto", nil},
		"another path": {"  /tasks:", "  /todos:", []Difference{
			{Kind: Removed, Route: "GET /tasks", Operation: "listTasks"}, {Kind: Added, Route: "GET /todos", Operation: "listTasks"},
		}},
		"another method": {"    put:", "    patch:", []Difference{
			{Kind: Added, Route: "PATCH /tasks/{}/state", Operation: "setTaskState"},
			{Kind: Removed, Route: "PUT /tasks/{}/state", Operation: "setTaskState"},
		}},
		"another parameter's name": {"taskId", "id", []Difference{state(Changed, "path 1", "taskId: string (uuid)", "id: string (uuid)")}},
		"a query less": {"{name: startDate, in: query, schema: {type: string, format: date}}", "", []Difference{
			list(Removed, "query startDate", "string (date), optional", ""),
		}},
		"a field more": {"            id: {", "            neu: {type: integer}\n            id: {", []Difference{
			list(Added, "answer[].neu", "", "integer, optional"),
		}},
		"no longer required": {"required: [state]", "required: []", []Difference{
			list(Changed, "answer[].state", "string: closed | planned, required", "string: closed | planned, optional"),
			state(Changed, "request.state", "string: closed | planned, required", "string: closed | planned, optional"),
		}},
		"no null": {"type: [string, 'null'], format: date-time", "type: string, format: date-time", []Difference{
			list(Changed, "answer[].pausedUntil", "string (date-time) or null, optional", "string (date-time), optional"),
			state(Changed, "request.pausedUntil", "string (date-time) or null, optional", "string (date-time), optional"),
		}},
		"a value more": {"enum: [planned,", "enum: [frozen, planned,", []Difference{
			list(Changed, "answer[].state", "string: closed | planned, required", "string: closed | frozen | planned, required"),
			state(Changed, "request.state", "string: closed | planned, required", "string: closed | frozen | planned, required"),
		}},
		"an answer": {"responses: {'200': {description: d}}", "responses: {'201': {description: d, content: {application/json: {schema: {type: boolean}}}}}", []Difference{
			state(Added, "answer", "", "boolean"),
		}},
		"only a media type's parameter":         {"application/json", "application/json; charset=utf-8", nil},
		"only any media type":                   {"application/json", "'*/*'", nil},
		"a form beside JSON":                    {"content: {application/json: {schema: {$ref: '#/components/schemas/StateChange'}}}", "content: {application/json: {schema: {$ref: '#/components/schemas/StateChange'}}, application/x-www-form-urlencoded: {schema: {type: object}}}", nil},
		"only null in a list of values":         {"pausedUntil: {type: [string, 'null'], format: date-time}", "pausedUntil: {type: string, nullable: true, enum: [null], format: date-time}", nil},
		"only a list of values without a type":  {"State: {type: string, enum:", "State: {enum:", nil},
		"only an answer without content before": {"      responses:\n        '200': {description: d, content", "      responses:\n        '200': {description: d}\n        '201': {description: d, content", nil},
		"another good answer": {"      responses:\n        '200': {description: d, content", "      responses:\n        '202': {description: d, content: {application/json: {schema: {type: boolean}}}}\n        '200': {description: d, content", []Difference{
			list(Added, "answer 202", "", "boolean"),
		}},
		"no longer a body": {"        required: true\n", "        required: false\n", []Difference{
			state(Changed, "request", "object, required", "object, optional"),
		}},
		"a query that must be": {"in: query,", "in: query, required: true,", []Difference{
			list(Changed, "query startDate", "string (date), optional", "string (date), required"),
		}},
		"a limit": {"id: {type: string, format: uuid}", "id: {type: string, format: uuid, maxLength: 36}", []Difference{
			list(Changed, "answer[].id", "string (uuid), required", "string (uuid), maxLength 36, required"),
		}},
		"a map's values": {"parent: {", "map: {type: object, additionalProperties: {type: integer}}\n            parent: {", []Difference{
			list(Added, "answer[].map", "", "object, optional"), list(Added, "answer[].map.*", "", "integer"),
		}},
		"a part of a file": {"content: {application/json: {schema: {$ref: '#/components/schemas/StateChange'}}}", "content: {multipart/form-data: {schema: {type: object, properties: {document: {type: string}}}}}", []Difference{
			state(Changed, "request", "object, required", "multipart/form-data, required"),
			state(Added, "request.document", "", "string, optional"),
			state(Removed, "request.pausedUntil", "string (date-time) or null, optional", ""),
			state(Removed, "request.state", "string: closed | planned, required", ""),
		}},
		"a file": {"content: {application/json: {schema: {$ref: '#/components/schemas/StateChange'}}}", "content: {multipart/form-data: {schema: {type: object}}}", []Difference{
			state(Changed, "request", "object, required", "multipart/form-data, required"),
			state(Removed, "request.pausedUntil", "string (date-time) or null, optional", ""),
			state(Removed, "request.state", "string: closed | planned, required", ""),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(known, tt.old) {
				t.Fatalf("%q is not in the description", tt.old)
			}
			c, err := diff([]byte(known), asJSON(t, replaced(known, tt.old, tt.fresh)))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(c.Differences, tt.want) {
				t.Errorf("got  %+v\nwant %+v", c.Differences, tt.want)
			}
		})
	}
}

// TestDiffFindsThePrefix: whatever stands before the paths that we know, and whatever else stands beside them.
func TestDiffFindsThePrefix(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/core", "/api/core", "/api/core/v1"} {
		text := strings.ReplaceAll(known, "\n  /tasks", "\n  "+prefix+"/tasks") // the paths alone stand so
		if prefix != "" {
			text = strings.Replace(text, "paths:", "paths:\n  /health: {get: {responses: {'200': {description: d}}}}", 1)
		}
		c, err := diff([]byte(known), asJSON(t, text))
		if err != nil || c.Prefix != prefix || c.Same != 2 || len(c.Differences) != min(len(prefix), 1) {
			t.Errorf("%s: got %+v, %v", prefix, c, err)
		}
	}
}

func replaced(text, old, fresh string) string {
	if old == "" {
		return text
	}
	return strings.ReplaceAll(text, old, fresh)
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
	c, err := Descriptions([]byte(script))
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
		if _, err := Descriptions([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
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
		if got, err := Actions([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	if got, err := Actions(factro.OpenAPI); err == nil {
		t.Errorf("our own description has no list of actions, but got %v", got)
	}
}
