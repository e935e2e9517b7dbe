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
  /things:
    get:
      tags: [things]
      operationId: listThings
      responses: {'200': {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}}}}}
  /boxes/{boxId}/things:
    get:
      tags: [things]
      operationId: listThingsOfBox
      parameters: [{name: boxId, in: path, schema: {type: string}}]
      responses: {'200': {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}}}}}
  /things/{thingId}:
    get:
      tags: [things]
      operationId: getThing
      x-mirror: {list: listThingsOfBox, each: box, noise: [changed], touches: {name: box, of: {kind-in: ofType}}}
      parameters: [{name: thingId, in: path, schema: {type: string}}]
      responses: {'200': {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}}
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
    Thing: {type: object, x-odd: 1, required: [name], properties: {name: {type: [string, 'null']}, changed: {}, of: {}, ofType: {}}}
`

// TestGenerateRefusesWhatItCannotRead: a table with a hole would be worse than none.
func TestGenerateRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ old, new, want string }{
		"as it is":         {"", "", ""},
		"two tags":         {"[things]", "[things, others]", "has 2 tags"},
		"no tag":           {"tags: [things]", "tags: []", "has 0 tags"},
		"odd body":         {"application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}\n      responses", "text/plain: {schema: {}}}}\n      responses", "neither JSON nor multipart"},
		"inline schema":    {"schema: {$ref: '#/components/schemas/Thing'}}}}}", "schema: {type: string}}}}}", "neither a reference"},
		"no lane":          {"x-lane: thingId", "", "has no x-lane"},
		"odd lane":         {"x-lane: thingId", "x-lane: otherId", "is no parameter"},
		"no such batch":    {"operation: updateThings", "operation: updateAll", "is no operation"},
		"partial batch":    {"x-batch-atomicity: atomic", "x-batch-atomicity: partial", "is not atomic"},
		"another method":   {"/things/things:\n    put", "/things/things:\n    delete", "does something else"},
		"nameless":         {", names: {thingId: id}", "", "does not say where thingId goes"},
		"one name more":    {"thingId: id}", "thingId: id, otherId: id}", "for what is no parameter"},
		"no list of them":  {"list: listThingsOfBox", "list: getThing", "does not list Thing"},
		"a list of all":    {"list: listThingsOfBox", "list: listThings", "but each is \"box\""},
		"a list of some":   {"each: box, ", "", "but each is \"\""},
		"a mirrored write": {"operationId: updateThings", "operationId: updateThings\n      x-mirror: {}", "reads nothing"},
		"another list":     {"operationId: listThings\n", "operationId: listThings\n      x-mirror: {list: listThingsOfBox}\n", "has to name it"},
		"odd noise":        {"noise: [changed]", "noise: [loud]", "\"loud\", which is no property of Thing"},
		"touches nothing":  {"touches: {name: box", "touches: {name: {}", "what kind of object name touches"},
		"odd kind":         {"kind-in: ofType", "kind-in: type", "\"type\", which is no property of Thing"},
		"not YAML at all":  {"paths:", "paths: [", "did not find"},
		"odd sets":         {"{label: name}", "{label: title}", "is no property of the body"},
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
