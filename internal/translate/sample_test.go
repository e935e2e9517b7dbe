package translate_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// sampler makes values that a schema allows.
type sampler struct {
	defs map[string]map[string]any
	// all tells whether optional properties are there too.
	all bool
}

var components = sync.OnceValues(func() (map[string]map[string]any, error) {
	var doc struct {
		Defs map[string]map[string]any `json:"$defs"`
	}
	err := json.Unmarshal(factro.Schemas, &doc)
	return doc.Defs, err
})

func newSampler(t testing.TB, all bool) sampler {
	t.Helper()
	defs, err := components()
	if err != nil {
		t.Fatal(err)
	}
	return sampler{defs, all}
}

// data returns data for a command: every parameter with a value that a path has to escape, and the body's properties.
func (s sampler) data(o factro.Operation) map[string]any {
	data := map[string]any{}
	switch o.Body {
	case factro.BodyObject:
		s.addProperties(data, s.defs[o.BodySchema])
	case factro.BodyList:
		one := map[string]any{}
		s.addProperties(one, s.defs[o.BodySchema])
		data["items"] = []any{one, one}
	case factro.BodyMultipart:
		data["file"] = map[string]any{"name": "plan.txt", "contentType": "text/plain", "data": "aGFsbG8="}
	case factro.BodyNone:
	}
	for _, p := range o.Params {
		if !p.Query || s.all {
			data[p.Field] = "id-of." + p.Name + "_2026-01-31T09:30:00+01:00~@,="
		}
	}
	return data
}

func (s sampler) addProperties(into, schema map[string]any) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = s.defs[strings.TrimPrefix(ref, "#/$defs/")]
	}
	parts, _ := schema["allOf"].([]any)
	for _, part := range parts {
		s.addProperties(into, part.(map[string]any))
	}
	properties, _ := schema["properties"].(map[string]any)
	required := map[string]bool{}
	names, _ := schema["required"].([]any)
	for _, name := range names {
		required[name.(string)] = true
	}
	for name, property := range properties {
		if required[name] || s.all {
			into[name] = s.value(property.(map[string]any))
		}
	}
}

func (s sampler) value(schema map[string]any) any {
	if ref, ok := schema["$ref"].(string); ok {
		return s.value(s.defs[strings.TrimPrefix(ref, "#/$defs/")])
	}
	for _, key := range []string{"allOf", "anyOf"} {
		if parts, ok := schema[key].([]any); ok {
			return s.value(parts[0].(map[string]any))
		}
	}
	if values, ok := schema["enum"].([]any); ok {
		return values[0]
	}
	if schema["pattern"] != nil {
		return "09:30" // the only pattern is that of a clock time
	}
	kind := schema["type"]
	if kinds, ok := kind.([]any); ok {
		kind = kinds[0]
	}
	switch kind {
	case "integer":
		return json.Number("12345678901234567890123")
	case "number":
		return json.Number("1.10")
	case "boolean":
		return false
	case "array":
		return []any{s.value(schema["items"].(map[string]any))}
	case "object":
		object := map[string]any{}
		s.addProperties(object, schema)
		return object
	case "string":
		return "Größe <1> & 2"
	}
	return nil
}
