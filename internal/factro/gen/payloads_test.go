package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

const typedThing = `
paths:
  /tasks/{taskId}:
    get:
      tags: [tasks]
      operationId: getTask
      summary: Read.
      x-confidence: observed
      parameters:
        - {name: taskId, in: path, schema: {type: string}}
        - {name: since, in: query, schema: {type: string, format: date}}
      responses: {'200': {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Task'}}}}}}
    put:
      tags: [tasks]
      operationId: moveTask
      summary: Move a task
      description: Not twice.
      x-confidence: inferred
      x-batch-atomicity: atomic
      parameters: [{name: taskId, in: path, description: The task., schema: {type: string, format: uuid}}]
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Move'}}}}
      responses: {'200': {content: {application/json: {schema: {$ref: '#/components/schemas/Task'}}}}}
  /rights:
    get:
      tags: [rights]
      operationId: listRights
      responses: {'200': {content: {application/json: {schema: {$ref: '#/components/schemas/Rights'}}}}}
components:
  schemas:
    Move:
      type: object
      required: [state]
      properties:
        state: {$ref: '#/components/schemas/State'}
        taskId: {type: string}
        at: {type: [string, 'null'], format: date-time, x-confidence: observed}
        urlIds: {type: array, items: {type: string}}
    Task: {type: object, description: A task, required: [parts], properties: {parts: {type: array, items: {$ref: '#/components/schemas/Task'}}}}
    Rights: {type: object, description: By id., additionalProperties: {type: array, items: {}}}
    State: {type: string, description: A state., enum: [inProcess, done], x-confidence: documented}
`

func TestPayloads(t *testing.T) {
	t.Parallel()
	files, err := payloads([]byte(typedThing))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"command_task_gen.go": {
			"// MoveTask is the command moveTask. Move a task. Not twice.\n//\n// It is PUT /tasks/{taskId} (inferred). A list takes effect as a whole or not at all.\n",
			"\t// The task. A UUID.\n\tFromTaskID string `json:\"fromTaskId\"`\n",
			"\t// May be null. (Observed.)\n\tAt     Optional[Time]",
			"State              `json:\"state\"`",
			"URLIDs Optional[[]string] `json:\"urlIds,omitzero\"`",
			"func (MoveTask) Operation() events.Operation {\n\treturn events.Operation{Name: \"moveTask\", Resource: \"task\"}\n}",
			`func (MoveTask) Answer(r events.Result) (Task, error) { return answer[Task](r, "moveTask") }`,
		},
		"query_task_gen.go": {
			"import (\n\t\"io\"\n\n\t\"github.com/factro-bridge/factro-bridge/pkg/events\"\n)\n\n// GetTask is the query getTask. Read.\n//\n// It is GET /tasks/{taskId} (observed).\ntype GetTask struct {\n",
			"\tTaskID string `json:\"taskId\"`\n",
			"\t// A date, such as 2026-09-01.\n\tSince Optional[string] `json:\"since,omitzero\"`\n",
			"func (GetTask) Operation() events.Operation {\n\treturn events.Operation{Name: \"getTask\", Resource: \"task\"}\n}",
			`func (GetTask) Answer(r io.Reader) ([]Task, error) { return queryAnswer[[]Task](r, "getTask") }`,
		},
		"query_right_gen.go": {"func (ListRights) Answer(r io.Reader) (Rights, error)"},
		"types_gen.go": {
			"// Rights: By id.\ntype Rights map[string][]any\n",
			"// State: A state. (Documented.) These are the known values; factro may have more.\ntype State string",
			`StateInProcess State = "inProcess"`,
			"Parts []Task `json:\"parts\"`",
		},
		"list_gen_test.go": {
			"package payload_test", "var payloads = []events.Payload{\n\tpayload.MoveTask{},\n}", "var queries = []events.Payload{\n\tpayload.GetTask{},\n",
		},
	} {
		for _, text := range want {
			if !bytes.Contains(files[name], []byte(text)) {
				t.Errorf("%s lacks %s\n%s", name, text, files[name])
			}
		}
	}
	if len(files) != 5 || bytes.Contains(files["command_task_gen.go"], []byte("getTask")) {
		t.Errorf("got %d files, or a read among the commands", len(files))
	}
}

// TestPayloadsRefuse: a struct with a hole would drop what its sender sets.
func TestPayloadsRefuse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ old, new, want string }{
		"unknown atomicity": {"x-batch-atomicity: atomic", "x-batch-atomicity: half", `unknown batch atomicity "half"`},
		"inline object":     {"taskId: {type: string}", "taskId: {type: object, properties: {a: {type: string}}}", "has no Go type"},
		"no type":           {"taskId: {type: string}", "taskId: {}", "has no Go type"},
		"either of two":     {"taskId: {type: string}", "taskId: {anyOf: [{type: string}, {type: integer}]}", "anyOf of 2 schemas"},
		"enum of numbers":   {"State: {type: string", "State: {type: number", "enumeration of number"},
		"no properties":     {"properties: {parts: ", "x-properties: {parts: ", "has no properties"},
		"odd values":        {"additionalProperties: {type: array, items: {}}", "additionalProperties: {}", "has no Go type"},
		"query of nothing":  {"responses: {'200': {content: {application/json: {schema: {type: array", "x-responses: {'200': {content: {application/json: {schema: {type: array", "is a query without an answer"},
		"missing schema":    {"State: {type", "Stage: {type", "schema State: is not there"},
		"not YAML at all":   {"paths:", "paths: [", "did not find"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(typedThing, tt.old, tt.new, 1)
			if changed == typedThing {
				t.Fatal("nothing was changed")
			}
			if files, err := payloads([]byte(changed)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %d files, %v; want %s", len(files), err, tt.want)
			}
		})
	}
}

// TestNoPayloadIsLeft: a file of a resource that is gone would still compile.
func TestNoPayloadIsLeft(t *testing.T) {
	t.Parallel()
	files, err := payloads(read(t, "../openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob("../" + payloadFolder + "*_gen*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if files[filepath.Base(path)] == nil {
			t.Errorf("%s is not written any more", path)
		}
	}
	if len(found) != len(files) {
		t.Errorf("there are %d files, want %d", len(found), len(files))
	}
}

func TestGoName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"taskId": "TaskID", "contactIds": "ContactIDs", "utcOffset": "UTCOffset", "id": "ID", "zipCode": "ZipCode", "inProcess": "InProcess",
		"identity": "Identity", "10": "10", "": "",
	} {
		if got := goName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestWriteDoc(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	writeDoc(&out, "\t", strings.Repeat("größe ", 25))
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))) + 3; n > 120 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("got %d lines, want 2:\n%s", n, out.String())
	}
}
