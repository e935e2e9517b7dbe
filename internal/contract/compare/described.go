package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// parameter is a parameter in a path.
var parameter = regexp.MustCompile(`\{[^}]*\}`)

// described is an operation in a form in which two descriptions can be compared, whatever they call their parts.
type described struct {
	name   string
	fields map[string]string // where -> what, such as "request.title" -> "string, required"
}

// operationsOf are the operations of a description by their routes. Two paths that differ in the names of their parameters
// only are one route; the first one counts.
func operationsOf(doc *openapi3.T, prefix string) map[string]described {
	out := map[string]described{}
	paths := doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path]
		for method, op := range item.Operations() {
			route := method + " " + routeOf(path, prefix)
			if _, taken := out[route]; taken {
				continue
			}
			d := described{name: op.OperationID, fields: map[string]string{}}
			d.addParameters(path, append(slices.Clone(item.Parameters), op.Parameters...))
			if op.RequestBody != nil && op.RequestBody.Value != nil {
				d.addContent("request", op.RequestBody.Value.Content, optionally(op.RequestBody.Value.Required))
			}
			for where, content := range goodAnswers(op) {
				d.addContent(where, content, "")
			}
			out[route] = d
		}
	}
	return out
}

func routeOf(path, prefix string) string {
	return parameter.ReplaceAllString(strings.TrimPrefix(path, prefix), "{}")
}

// prefixOf finds what a description has before the paths that we know: the vendor's may begin at the host, at the
// application, or at a version. It is the beginning under which most of its routes are ours.
func prefixOf(doc *openapi3.T, ours map[string]described) string {
	known := map[string]bool{}
	for route := range ours {
		_, path, _ := strings.Cut(route, " ")
		known[path] = true
	}
	best, most := "", -1
	for _, prefix := range slices.Sorted(maps.Keys(beginnings(doc))) {
		n := 0
		for path := range doc.Paths.Map() {
			if strings.HasPrefix(path, prefix) && known[routeOf(path, prefix)] {
				n++
			}
		}
		if n > most { // of equals the shortest
			best, most = prefix, n
		}
	}
	return best
}

// beginnings are the first segments of the paths, up to four of them, none included.
func beginnings(doc *openapi3.T) map[string]bool {
	out := map[string]bool{"": true}
	for path := range doc.Paths.Map() {
		segments := strings.Split(path, "/")
		for n := 2; n <= min(len(segments)-1, 5); n++ {
			out[strings.Join(segments[:n], "/")] = true
		}
	}
	return out
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
		if p.Value.In == openapi3.ParameterInQuery {
			what += optionally(p.Value.Required)
		}
		d.fields[where] = what
	}
}

func optionally(required bool) string {
	if required {
		return ", required"
	}
	return ", optional"
}

// goodAnswers are the contents of the answers that are a success. The first is called the answer, whatever its status: which
// of them a create has is not known. Another one is reported if it is not the same.
func goodAnswers(op *openapi3.Operation) map[string]openapi3.Content {
	out := map[string]openapi3.Content{}
	if op.Responses == nil {
		return out
	}
	responses := op.Responses.Map()
	var first openapi3.Content
	for _, status := range append(slices.Sorted(maps.Keys(responses)), "default") {
		r := responses[status]
		switch isDefault := status == "default"; {
		case r == nil, r.Value == nil, len(r.Value.Content) == 0, !isDefault && !strings.HasPrefix(status, "2"), isDefault && first != nil:
		case first == nil:
			first = r.Value.Content
			out["answer"] = first
		case !maps.Equal(contentText(first), contentText(r.Value.Content)):
			out["answer "+status] = r.Value.Content
		}
	}
	return out
}

func contentText(c openapi3.Content) map[string]string {
	d := described{fields: map[string]string{}}
	d.addContent("", c, "")
	return d.fields
}

// addContent adds what a body or an answer is: its JSON, if it has that form, else what else it is.
func (d described) addContent(where string, content openapi3.Content, remark string) {
	kinds := map[string]*openapi3.MediaType{}
	for kind, media := range content {
		if name, _, err := mime.ParseMediaType(kind); err == nil {
			kind = name
		}
		if kind == "*/*" { // it says nothing, and JSON is what this API speaks
			kind = jsonKind
		}
		if media != nil && media.Schema != nil && media.Schema.Value != nil {
			kinds[kind] = media
		}
	}
	if media := kinds[jsonKind]; media != nil {
		d.addSchema(where, media.Schema.Value, remark, nil)
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		d.addSchema(where, kinds[kind].Schema.Value, remark, nil)
		d.fields[where] = kind + remark
	}
}

const jsonKind = "application/json"

// addSchema adds a value and all that is in it. above are the schemas that it is in: what holds itself is reported once.
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
	if values := s.AdditionalProperties.Schema; values != nil && values.Value != nil {
		d.addSchema(where+".*", values.Value, "", above)
	}
	properties, required := map[string]*openapi3.Schema{}, []string{}
	collect(s, properties, &required)
	for name, property := range properties {
		d.addSchema(where+"."+name, property, optionally(slices.Contains(required, name)), above)
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
	null = s.Nullable || s.Type.Includes(openapi3.TypeNull) || slices.Contains(s.Enum, nil)
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
