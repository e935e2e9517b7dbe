package main

import (
	"bytes"
	"fmt"
	"strings"
)

const refPrefix = "#/components/schemas/"

func refName(s map[string]any) string {
	ref, _ := s["$ref"].(string)
	return strings.TrimPrefix(ref, refPrefix)
}

// properties returns the properties of a component schema, those of its allOf parts included.
func (d *document) properties(name string) (map[string]map[string]any, []string) {
	properties, required := map[string]map[string]any{}, []string{}
	var collect func(s map[string]any)
	collect = func(s map[string]any) {
		if ref := refName(s); ref != "" {
			s = d.Components.Schemas[ref]
		}
		parts, _ := s["allOf"].([]any)
		for _, p := range parts {
			collect(p.(map[string]any))
		}
		own, _ := s["properties"].(map[string]any)
		for k, v := range own {
			properties[k] = v.(map[string]any)
		}
		names, _ := s["required"].([]any)
		for _, n := range names {
			required = append(required, n.(string))
		}
	}
	collect(d.Components.Schemas[name])
	return properties, required
}

type field struct {
	name, typ, format, doc string
	required, nullable     bool
	enum                   []string
}

// field describes one property for people and for completion; the schema itself stays the law.
func (d *document) field(name string, s map[string]any) field {
	f := field{name: name}
	f.doc, _ = s["description"].(string)
	for _, key := range []string{"allOf", "anyOf"} {
		parts, _ := s[key].([]any)
		for _, p := range parts {
			if part := p.(map[string]any); part["type"] == "null" {
				f.nullable = true
			} else {
				s = part
			}
		}
	}
	if ref := refName(s); ref != "" {
		s = d.Components.Schemas[ref]
	}
	switch t := s["type"].(type) {
	case string:
		f.typ = t
	case []any:
		for _, v := range t {
			if v == "null" {
				f.nullable = true
			} else {
				f.typ = v.(string)
			}
		}
	}
	f.format, _ = s["format"].(string)
	if pattern, ok := s["pattern"].(string); ok {
		f.format = pattern
	}
	values, _ := s["enum"].([]any)
	for _, v := range values {
		f.enum = append(f.enum, fmt.Sprint(v))
	}
	return f
}

func (f field) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "{Name: %q, Type: %q", f.name, f.typ)
	if f.format != "" {
		fmt.Fprintf(out, ", Format: %q", f.format)
	}
	if f.required {
		out.WriteString(", Required: true")
	}
	if f.nullable {
		out.WriteString(", Nullable: true")
	}
	if f.enum != nil {
		fmt.Fprintf(out, ", Enum: %#v", f.enum)
	}
	if f.doc != "" {
		fmt.Fprintf(out, ", Doc: %q", f.doc)
	}
	out.WriteString("},\n")
}
