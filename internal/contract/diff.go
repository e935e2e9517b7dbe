package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Kinds of a Difference.
const (
	Added   = "added"   // the fresh description has it, ours does not
	Removed = "removed" // ours has it, the fresh one does not
	Changed = "changed"
)

// Difference is one point in which a description of the Core API differs from ours.
type Difference struct {
	Kind string `json:"kind"`
	// Route is the method and the path, with parameters as {}; their names are the author's choice.
	Route string `json:"route"`
	// Operation is our name of the operation, or theirs if we do not have it.
	Operation string `json:"operation"`
	// Field is where in the operation: "path 1", "query startDate", "request.title", "answer[].id"; empty if the whole
	// operation was added or removed.
	Field string `json:"field,omitempty"`
	// Ours and Fresh are the two descriptions of the field.
	Ours  string `json:"ours,omitempty"`
	Fresh string `json:"fresh,omitempty"`
}

// Comparison is what comes out of Diff.
type Comparison struct {
	Differences []Difference `json:"differences"`
	// Same counts the operations without a difference.
	Same int `json:"same"`
	// Names are the operations that the two call differently, ours to theirs. Our names are the contract's: they stand in
	// subjects, and renaming one breaks senders.
	Names map[string]string `json:"names,omitempty"`
}

// Diff compares a fresh description of factro's Core API with the one that the bridge is made from. It takes OpenAPI 3 as
// JSON or YAML, or the file swagger-ui-init.js of the vendor's pages, which holds it.
func Diff(fresh []byte) (Comparison, error) {
	return diff(factro.OpenAPI, fresh)
}

func diff(known, fresh []byte) (Comparison, error) {
	theirs, err := readOpenAPI(fresh)
	if err != nil {
		return Comparison{}, err
	}
	ours, err := readOpenAPI(known)
	if err != nil {
		return Comparison{}, fmt.Errorf("our own description: %w", err)
	}
	c := Comparison{Differences: []Difference{}, Names: map[string]string{}}
	for _, route := range slices.Sorted(maps.Keys(union(ours, theirs))) {
		our, have := ours[route]
		their, stays := theirs[route]
		switch {
		case !have:
			c.Differences = append(c.Differences, Difference{Kind: Added, Route: route, Operation: their.name})
		case !stays:
			c.Differences = append(c.Differences, Difference{Kind: Removed, Route: route, Operation: our.name})
		default:
			changes := compare(route, our, their)
			c.Differences = append(c.Differences, changes...)
			if len(changes) == 0 {
				c.Same++
			}
			if their.name != "" && their.name != our.name {
				c.Names[our.name] = their.name
			}
		}
	}
	return c, nil
}

func compare(route string, our, their described) []Difference {
	var out []Difference
	for _, field := range slices.Sorted(maps.Keys(union(our.fields, their.fields))) {
		d := Difference{Kind: Changed, Route: route, Operation: our.name, Field: field, Ours: our.fields[field], Fresh: their.fields[field]}
		switch {
		case d.Ours == d.Fresh:
			continue
		case d.Ours == "":
			d.Kind = Added
		case d.Fresh == "":
			d.Kind = Removed
		}
		out = append(out, d)
	}
	return out
}

func union[V any](a, b map[string]V) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}

// parameter is a parameter in a path.
var parameter = regexp.MustCompile(`\{[^}]*\}`)

// described is an operation in a form in which two descriptions can be compared, whatever they call their parts.
type described struct {
	name   string
	fields map[string]string // where -> what, such as "request.title" -> "string, required"
}

// readOpenAPI reads a description as operations by their routes.
func readOpenAPI(text []byte) (map[string]described, error) {
	doc, err := loadOpenAPI(text)
	if err != nil {
		return nil, err
	}
	base := basePath(doc)
	out := map[string]described{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			d := described{name: op.OperationID, fields: map[string]string{}}
			d.addParameters(path, append(slices.Clone(item.Parameters), op.Parameters...))
			if op.RequestBody != nil && op.RequestBody.Value != nil {
				d.addContent("request", op.RequestBody.Value.Content)
			}
			d.addContent("answer", goodAnswer(op))
			out[method+" "+parameter.ReplaceAllString(strings.TrimPrefix(path, base), "{}")] = d
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the description has no operations")
	}
	return out, nil
}

func loadOpenAPI(text []byte) (*openapi3.T, error) {
	if at := bytes.Index(text, []byte(`"swaggerDoc":`)); at >= 0 && !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		// JavaScript around JSON: the decoder stops behind the object.
		var doc json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(text[at+len(`"swaggerDoc":`):])).Decode(&doc); err != nil {
			return nil, fmt.Errorf("swaggerDoc: %w", err)
		}
		text = doc
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") || doc.Paths == nil {
		return nil, fmt.Errorf("it is no OpenAPI 3 document with paths: openapi is %q", doc.OpenAPI)
	}
	return doc, nil
}

// basePath is what a description may have before all of its paths: the vendor's may name them from the host on.
func basePath(doc *openapi3.T) string {
	const base = "/api/core"
	for path := range doc.Paths.Map() {
		if !strings.HasPrefix(path, base+"/") {
			return ""
		}
	}
	return base
}

func (d described) addParameters(path string, parameters openapi3.Parameters) {
	position := map[string]int{}
	for i, name := range parameter.FindAllString(path, -1) {
		position[strings.Trim(name, "{}")] = i + 1
	}
	for _, p := range parameters {
		if p.Value == nil || p.Value.In != openapi3.ParameterInPath && p.Value.In != openapi3.ParameterInQuery {
			continue
		}
		where, what := "query "+p.Value.Name, ""
		if p.Value.In == openapi3.ParameterInPath { // its name is a property of the command's data
			where, what = fmt.Sprintf("path %d", position[p.Value.Name]), p.Value.Name+": "
		}
		if p.Value.Schema != nil && p.Value.Schema.Value != nil {
			what += typeText(p.Value.Schema.Value)
		}
		d.fields[where] = what
	}
}

// goodAnswer is the content of the first answer that is a success.
func goodAnswer(op *openapi3.Operation) openapi3.Content {
	if op.Responses == nil {
		return nil
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses.Map())) {
		if r := op.Responses.Value(status); strings.HasPrefix(status, "2") && r.Value != nil {
			return r.Value.Content
		}
	}
	return nil
}

func (d described) addContent(where string, content openapi3.Content) {
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		media := content[kind]
		if media == nil || media.Schema == nil || media.Schema.Value == nil {
			continue
		}
		if kind != "application/json" {
			d.fields[where] = kind
			continue
		}
		d.addSchema(where, media.Schema.Value, "", nil)
	}
}

// addSchema adds a value and all that is in it. above are the schemas that it is in: what holds itself is told once.
func (d described) addSchema(where string, s *openapi3.Schema, remark string, above []*openapi3.Schema) {
	s, null := meant(s)
	text := typeText(s)
	if null {
		text += " or null"
	}
	d.fields[where] = text + remark
	if slices.Contains(above, s) {
		return
	}
	above = append(slices.Clone(above), s)
	if s.Items != nil && s.Items.Value != nil {
		d.addSchema(where+"[]", s.Items.Value, "", above)
	}
	properties, required := map[string]*openapi3.Schema{}, []string{}
	collect(s, properties, &required)
	for name, property := range properties {
		remark := ", optional"
		if slices.Contains(required, name) {
			remark = ", required"
		}
		d.addSchema(where+"."+name, property, remark, above)
	}
}

// collect gathers the properties of a schema and of its parts.
func collect(s *openapi3.Schema, properties map[string]*openapi3.Schema, required *[]string) {
	for _, part := range s.AllOf {
		if part.Value != nil {
			collect(part.Value, properties, required)
		}
	}
	for name, p := range s.Properties {
		if p.Value != nil {
			properties[name] = p.Value
		}
	}
	*required = append(*required, s.Required...)
}

// meant takes away what is only a way to write: a single part of allOf, and null as one of two choices.
func meant(s *openapi3.Schema) (_ *openapi3.Schema, null bool) {
	null = s.Nullable || s.Type.Includes(openapi3.TypeNull)
	for _, choices := range []openapi3.SchemaRefs{s.AnyOf, s.OneOf} {
		rest := slices.DeleteFunc(slices.Clone(choices), func(r *openapi3.SchemaRef) bool { return r.Value == nil || r.Value.Type.Is(openapi3.TypeNull) })
		if len(rest) == 1 {
			inner, also := meant(rest[0].Value)
			return inner, null || also || len(rest) < len(choices)
		}
	}
	if len(s.AllOf) == 1 && s.AllOf[0].Value != nil && len(s.Properties) == 0 {
		inner, also := meant(s.AllOf[0].Value)
		return inner, null || also
	}
	return s, null
}

// typeText is the type of a value in words, without the null.
func typeText(s *openapi3.Schema) string {
	var kinds []string
	for _, kind := range s.Type.Slice() {
		if kind != openapi3.TypeNull {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	text := cmp.Or(strings.Join(kinds, " or "), "any")
	if len(kinds) == 0 && (len(s.Properties) > 0 || len(s.AllOf) > 0) {
		text = openapi3.TypeObject
	}
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprint(v))
		}
		slices.Sort(values)
		text += ": " + strings.Join(values, " | ")
	}
	return text
}
