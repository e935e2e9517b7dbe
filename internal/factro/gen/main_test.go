package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGeneratedIsFresh compares bytes: who changes the description, or the generator, has to run it.
func TestGeneratedIsFresh(t *testing.T) {
	t.Parallel()
	table, schemas, err := generate(read(t, "../openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	commands, err := payloads(read(t, "../openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"../operations_gen.go": table, "../schemas_gen.json": schemas}
	for name, source := range commands {
		files["../"+payloadFolder+name] = source
	}
	for name, want := range files {
		if !bytes.Equal(read(t, name), want) {
			t.Errorf("%s is stale: run go generate ./internal/factro", name)
		}
	}
}

const small = `
paths:
  /things/{thingId}:
    put:
      tags: [things]
      operationId: updateThing
      summary: Change a thing.
      x-lane: thingId
      x-batched-by: {operation: updateThings, names: {thingId: id}}
      x-sets: {named: {label: name}}
      x-confidence: inferred
      parameters: [{name: thingId, in: path, schema: {type: string}}]
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
      responses: {'200': {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}}
  /things/things:
    put:
      tags: [things]
      operationId: updateThings
      x-batch-atomicity: atomic
      requestBody: {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}}}}
      responses: {'200': {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}}}}}
components:
  schemas:
    Thing: {type: object, x-odd: 1, required: [name], properties: {name: {type: [string, 'null']}}}
`

// TestGenerateRefusesWhatItCannotRead: a table with a hole would be worse than none.
func TestGenerateRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ old, new, want string }{
		"as it is":        {"", "", ""},
		"two tags":        {"[things]", "[things, others]", "has 2 tags"},
		"no tag":          {"tags: [things]", "tags: []", "has 0 tags"},
		"odd body":        {"application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}\n      responses", "text/plain: {schema: {}}}}\n      responses", "neither JSON nor multipart"},
		"inline schema":   {"schema: {$ref: '#/components/schemas/Thing'}}}}}", "schema: {type: string}}}}}", "neither a reference"},
		"no lane":         {"x-lane: thingId", "", "has no x-lane"},
		"odd lane":        {"x-lane: thingId", "x-lane: otherId", "is no parameter"},
		"no such batch":   {"operation: updateThings", "operation: updateAll", "is no operation"},
		"partial batch":   {"x-batch-atomicity: atomic", "x-batch-atomicity: partial", "is not atomic"},
		"another method":  {"/things/things:\n    put", "/things/things:\n    delete", "does something else"},
		"nameless":        {", names: {thingId: id}", "", "does not say where thingId goes"},
		"one name more":   {"thingId: id}", "thingId: id, otherId: id}", "for what is no parameter"},
		"odd sets":        {"{label: name}", "{label: title}", "is no property of the body"},
		"not YAML at all": {"paths:", "paths: [", "did not find"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, schemas, err := generate([]byte(strings.Replace(small, tt.old, tt.new, 1)))
			if tt.want == "" {
				if err != nil || !bytes.Contains(table, []byte(`Resource: "thing"`)) || bytes.Contains(schemas, []byte("x-odd")) {
					t.Errorf("%v\n%s\n%s", err, table, schemas)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSingular(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"tasks": "task", "companies": "company", "work-records": "work-record", "absences": "absence", "todo-lists": "todo-list",
	} {
		if got := singular(tag); got != want {
			t.Errorf("%s: got %s, want %s", tag, got, want)
		}
	}
}
