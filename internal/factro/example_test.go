package factro_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestExamplesFitTheirSchemas holds every example against the schema of its operation, formats included.
func TestExamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	add := func(id string, schema any) {
		t.Helper()
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
	}
	add(factro.SchemasID, json.RawMessage(factro.Schemas))
	holds := func(id, what string, schema any, example []byte) {
		t.Helper()
		add(id, schema)
		compiled, err := c.Compile(id)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(example))
		if err != nil {
			t.Fatalf("%s is not JSON: %v\n%s", what, err, example)
		}
		if err := compiled.Validate(value); err != nil {
			t.Errorf("%s: %v\n%s", what, err, example)
		}
	}
	answers := 0
	for _, op := range factro.Operations() {
		holds("urn:test:data:"+op.Name, "data of "+op.Name, op.DataSchema(), op.Example())
		answer := op.ExampleAnswer()
		if (answer == nil) != (op.Answer == factro.AnswerVoid) {
			t.Errorf("%s: the answer's example is %s, but the answer is %q", op.Name, answer, op.Answer)
		}
		if answer == nil {
			continue
		}
		answers++
		schema := map[string]any{"$ref": factro.SchemasID + "#/$defs/" + op.AnswerSchema}
		if op.Answer == factro.AnswerList {
			schema = map[string]any{"type": "array", "minItems": 1, "items": schema}
		}
		holds("urn:test:answer:"+op.Name, "answer of "+op.Name, schema, answer)
	}
	if answers < 100 {
		t.Errorf("only %d operations have an answer", answers)
	}
}
