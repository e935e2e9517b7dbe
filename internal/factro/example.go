package factro

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Example returns data for the operation, as a command or a query carries it: one JSON object, whose ids are those of
// the example tenant. It has what is required, and of a body that requires nothing what makes sense of it.
func (o Operation) Example() json.RawMessage {
	var out exampleObject
	for i, p := range o.Params { // the fields begin with the parameters
		out.add(p.Field, o.exampleOf(p.Name, map[string]any{"type": o.Fields[i].Type, "format": o.Fields[i].Format}, 0))
	}
	switch o.Body {
	case BodyObject:
		o.addExampleBody(&out)
	case BodyList:
		var element exampleObject
		o.addExampleBody(&element)
		out.add("items", "["+element.String()+"]")
	case BodyMultipart:
		out.add("file", `{"name":"Übersicht.txt","contentType":"text/plain","data":"R3LDvMOfZSBhdXMgS8O2bG4="}`)
	case BodyNone:
	}
	return json.RawMessage(out.String())
}

func (o Operation) addExampleBody(out *exampleObject) {
	shown := exampleOptions[o.BodySchema]
	properties, required := propertiesOf(component(o.BodySchema))
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		switch {
		case name == "id": // of an element of a batch
			out.add(name, quoted(exampleElements[o.BodySchema]))
		case !slices.Contains(required, name) && !slices.Contains(shown, name):
		case slices.ContainsFunc(o.Params, func(p Param) bool { return p.Name == name }): // a move, so to somewhere else
			out.add(name, quoted(exampleTargets[name]))
		default:
			out.add(name, o.exampleOf(name, properties[name], 0))
		}
	}
}

// ExampleAnswer returns a good answer to the operation with every property that is known; nil if none is promised. It is
// made from the description, not from what factro was seen to answer.
func (o Operation) ExampleAnswer() json.RawMessage {
	one := map[string]any{"$ref": "#/$defs/" + o.AnswerSchema}
	switch o.Answer {
	case AnswerObject:
		return json.RawMessage(o.exampleOf("", one, 0))
	case AnswerList:
		return json.RawMessage("[" + o.exampleOf("", one, 0) + "]")
	case AnswerVoid:
	}
	return nil
}

// maxExampleDepth ends what holds its own kind, such as comments on comments.
const maxExampleDepth = 3

// exampleOf is the JSON of a value: by its name where that says enough, else by its schema.
func (o Operation) exampleOf(name string, schema map[string]any, depth int) string {
	schema, componentName := resolved(schema, "")
	if values, isEnum := schema["enum"].([]any); isEnum {
		return exampleChoice(name, values)
	}
	switch kindOf(schema) {
	case "array":
		items, _ := schema["items"].(map[string]any)
		if depth >= maxExampleDepth || len(items) == 0 {
			return "[]"
		}
		return "[" + o.exampleOf("", items, depth+1) + "]"
	case "object":
		return o.exampleObject(componentName, schema, depth)
	case "boolean":
		return exampleNamed(name, "tf", "false")
	case "integer", "number":
		doc, _ := schema["description"].(string)
		if strings.Contains(strings.ToLower(doc), "milliseconds") {
			return "1788251400000"
		}
		return exampleNamed(name, "-0123456789", "1")
	}
	switch schema["format"] {
	case "date", "date-time":
		return exampleDay(name, schema["format"] == "date")
	}
	if id := o.exampleIDOf(name, componentName); id != "" {
		return quoted(id)
	}
	if schema["format"] == "uuid" {
		return quoted(exampleOtherID)
	}
	return exampleNamed(name, `"`, `"Text"`)
}

// exampleObject is an object with all its properties, or of a map one entry.
func (o Operation) exampleObject(componentName string, schema map[string]any, depth int) string {
	var out exampleObject
	properties, _ := propertiesOf(schema)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if name == "id" {
			out.add(name, quoted(o.exampleIDOf(name, componentName)))
			continue
		}
		out.add(name, o.exampleOf(name, properties[name], depth+1))
	}
	if values, isMap := schema["additionalProperties"].(map[string]any); isMap {
		out.add(ExampleColleague, o.exampleOf("", values, depth+1))
	}
	return out.String()
}

// exampleIDOf is the id that a name stands for. An object's own id is found by the name of its schema.
func (o Operation) exampleIDOf(name, componentName string) string {
	if name == "id" {
		name = strings.ToLower(componentName[:1]) + componentName[1:] + "Id"
		for _, kind := range []string{"Comment", "Document", "Tag"} { // TaskComment
			if strings.HasSuffix(componentName, kind) {
				name = strings.ToLower(kind) + "Id"
			}
		}
		if id := o.exampleIDOf(name, ""); id != "" {
			return id
		}
		return exampleOtherID
	}
	for _, below := range exampleIDsBelow {
		if id, ok := below.ids[name]; ok && strings.HasPrefix(o.Path, below.path) {
			return id
		}
	}
	return exampleIDs[name]
}

// exampleNamed is the value of a name, if its JSON begins as it should.
func exampleNamed(name, first, otherwise string) string {
	if value, ok := exampleValues[name]; ok && strings.ContainsRune(first, rune(value[0])) {
		return value
	}
	return otherwise
}

func exampleChoice(name string, values []any) string {
	for _, v := range values {
		if text, err := json.Marshal(v); err == nil && string(text) == exampleValues[name] {
			return string(text)
		}
	}
	text, err := json.Marshal(values[0])
	if err != nil {
		panic(err) // it was read from JSON
	}
	return string(text)
}

// exampleDay is a day, or the instant as which factro's web UI writes one: midnight in Berlin.
func exampleDay(name string, plain bool) string {
	day := "2026-09-02"
	if name == "endDate" {
		day = "2026-09-03"
	}
	if plain {
		return quoted(day)
	}
	return quoted(day + "T22:00:00.000Z")
}

// exampleObject is a JSON object that keeps the order in which it is written.
type exampleObject struct{ bytes.Buffer }

func (e *exampleObject) add(name, value string) {
	if e.Len() > 0 {
		e.WriteByte(',')
	}
	e.WriteString(quoted(name) + ":" + value)
}

func (e *exampleObject) String() string { return "{" + e.Buffer.String() + "}" }

// quoted is a string in JSON; none of those here needs an escape.
func quoted(s string) string { return `"` + s + `"` }

// components are the component schemas by their names.
var components = sync.OnceValue(func() map[string]map[string]any {
	var doc struct {
		Defs map[string]map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(Schemas, &doc); err != nil {
		panic(err) // it is generated
	}
	return doc.Defs
})

func component(name string) map[string]any { return components()[name] }

// resolved follows references, the first part of what is combined or chosen from, and tells the last component's name.
func resolved(schema map[string]any, componentName string) (map[string]any, string) {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		return resolved(component(name), name)
	}
	for _, key := range []string{"anyOf", "allOf"} {
		if parts, ok := schema[key].([]any); ok && (key == "anyOf" || len(parts) == 1) {
			return resolved(parts[0].(map[string]any), componentName) //nolint:errcheck // a schema is an object
		}
	}
	return schema, componentName
}

// kindOf is the JSON type of a schema, the first one if it may be null as well.
func kindOf(schema map[string]any) string {
	switch kind := schema["type"].(type) {
	case string:
		return kind
	case []any:
		return kind[0].(string) //nolint:errcheck // types are strings
	}
	if schema["allOf"] != nil || schema["properties"] != nil {
		return "object"
	}
	return ""
}

// propertiesOf are the properties of a schema and of its parts, and the names of those that are required.
func propertiesOf(schema map[string]any) (properties map[string]map[string]any, required []string) {
	properties = map[string]map[string]any{}
	var collect func(map[string]any)
	collect = func(s map[string]any) {
		s, _ = resolved(s, "")
		parts, _ := s["allOf"].([]any)
		for _, part := range parts {
			collect(part.(map[string]any)) //nolint:errcheck // a schema is an object
		}
		own, _ := s["properties"].(map[string]any)
		for name, property := range own {
			properties[name] = property.(map[string]any) //nolint:errcheck // a schema is an object
		}
		names, _ := s["required"].([]any)
		for _, name := range names {
			required = append(required, name.(string)) //nolint:errcheck // names are strings
		}
	}
	collect(schema)
	return properties, required
}
