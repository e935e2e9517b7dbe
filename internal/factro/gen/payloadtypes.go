package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// types writes the component schemas that the commands refer to, and those that these refer to.
func (p *payloadWriter) types() ([]byte, error) {
	done := map[string]string{}
	for len(done) < len(p.pending) {
		for _, name := range slices.Sorted(maps.Keys(p.pending)) {
			if _, ok := done[name]; ok {
				continue
			}
			var out bytes.Buffer
			if err := p.component(&out, name); err != nil {
				return nil, fmt.Errorf("schema %s: %w", name, err)
			}
			done[name] = out.String()
		}
	}
	out := bytes.NewBufferString(generatedHeader(payloadPackage))
	for _, name := range slices.Sorted(maps.Keys(done)) {
		out.WriteString("\n" + done[name])
	}
	return out.Bytes(), nil
}

// component writes the type of a component schema: a struct, or the constants of an enumeration.
func (p *payloadWriter) component(out *bytes.Buffer, name string) error {
	schema, ok := p.doc.Components.Schemas[name]
	if !ok {
		return errors.New("is not there")
	}
	doc, _ := schema["description"].(string)
	confidence, _ := schema["x-confidence"].(string)
	text := fmt.Sprintf("%s: %s", name, sentence(doc))
	if confidence != "" {
		text += " (" + strings.ToUpper(confidence[:1]) + confidence[1:] + ".)"
	}
	if values, ok := schema["enum"].([]any); ok {
		return enumeration(out, name, text, schema["type"], values)
	}
	properties, required := p.doc.properties(name)
	if len(properties) == 0 {
		return p.dictionary(out, name, text, schema)
	}
	writeDoc(out, "", text)
	fmt.Fprintf(out, "type %s struct {\n", name)
	for _, property := range slices.Sorted(maps.Keys(properties)) {
		if err := p.property(out, property, properties[property], "", slices.Contains(required, property)); err != nil {
			return err
		}
	}
	out.WriteString("}\n")
	return nil
}

// dictionary writes the type of an object whose keys are data, such as ids.
func (p *payloadWriter) dictionary(out *bytes.Buffer, name, text string, schema map[string]any) error {
	values, ok := schema["additionalProperties"].(map[string]any)
	if !ok {
		return errors.New("has no properties")
	}
	typ, err := p.goType(values)
	if err != nil {
		return err
	}
	writeDoc(out, "", text)
	fmt.Fprintf(out, "type %s map[string]%s\n", name, typ)
	return nil
}

// enumeration writes a type of strings or integers and its known values.
func enumeration(out *bytes.Buffer, name, text string, typ any, values []any) error {
	kind := map[any]string{"string": "string", "integer": "int64"}[typ]
	if kind == "" {
		return fmt.Errorf("is an enumeration of %v, want string or integer", typ)
	}
	writeDoc(out, "", text+" These are the known values; factro may have more.")
	fmt.Fprintf(out, "type %s %s\n\n// Known values of %s.\nconst (\n", name, kind, name)
	for _, v := range values {
		fmt.Fprintf(out, "\t%s%s %s = %#v\n", name, goName(fmt.Sprint(v)), name, v)
	}
	out.WriteString(")\n")
	return nil
}

// goType is the Go type of a schema, without regard to whether it may be null.
func (p *payloadWriter) goType(s map[string]any) (string, error) {
	if name := refName(s); name != "" {
		p.pending[name] = true
		return name, nil
	}
	for _, key := range []string{"allOf", "anyOf"} {
		parts, _ := s[key].([]any)
		parts = slices.DeleteFunc(slices.Clone(parts), func(v any) bool { return v.(map[string]any)["type"] == "null" })
		switch len(parts) {
		case 0:
		case 1:
			return p.goType(parts[0].(map[string]any))
		default:
			return "", fmt.Errorf("%s of %d schemas has no Go type", key, len(parts))
		}
	}
	switch t := p.doc.field("", s).typ; t {
	case "string":
		if s["format"] == "date-time" {
			return "Time", nil
		}
		return "string", nil
	case "integer":
		return "int64", nil
	case "number":
		return "float64", nil
	case "boolean":
		return "bool", nil
	case "array":
		items, ok := s["items"].(map[string]any)
		if ok && len(items) == 0 { // elements of any form
			return "[]any", nil
		}
		element, err := p.goType(items)
		return "[]" + element, err
	case "object":
		if _, ok := s["properties"]; !ok {
			return "map[string]any", nil
		}
		fallthrough
	default:
		return "", fmt.Errorf("the type %q has no Go type: %v", t, s)
	}
}

// initialisms are the words that Go writes in capitals.
var initialisms = map[string]string{"Id": "ID", "Ids": "IDs", "Url": "URL", "Utc": "UTC"}

// goName makes an exported Go name of a camel-case name.
func goName(s string) string {
	var out strings.Builder
	word := func(w string) {
		if w == "" {
			return
		}
		w = strings.ToUpper(w[:1]) + w[1:]
		if capitals, ok := initialisms[w]; ok {
			w = capitals
		}
		out.WriteString(w)
	}
	start := 0
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			word(s[start:i])
			start = i
		}
	}
	word(s[start:])
	return out.String()
}

// sentence ends a text with a full stop, if it is one at all.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, ")") {
		return s
	}
	return s + "."
}

// writeDoc writes a comment, wrapped at 120 columns with a tab as four. An empty line of a comment is an empty text
// without indent.
func writeDoc(out *bytes.Buffer, indent, text string) {
	const width = 120
	words := strings.Fields(text)
	if len(words) == 0 {
		if indent == "" {
			out.WriteString("//\n")
		}
		return
	}
	begin := indent + "//"
	column := 4*len(indent) + 2
	out.WriteString(begin)
	for _, w := range words {
		if size := len([]rune(w)) + 1; column+size > width {
			out.WriteString("\n" + begin)
			column = 4*len(indent) + 2
		}
		out.WriteString(" " + w)
		column += len([]rune(w)) + 1
	}
	out.WriteString("\n")
}
