package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// object is a JSON object that keeps the order in which it was written: a document is read from above.
type object []member

type member struct {
	key   string
	value any
}

// list is a JSON array.
type list = []any

// inline is a value that YAML writes on one line, as JSON does. Examples are copied from there.
type inline struct{ value any }

// MarshalJSON writes the value.
func (i inline) MarshalJSON() ([]byte, error) { return plainJSON(i.value) }

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		key, err := plainJSON(m.key)
		if err != nil {
			return nil, err
		}
		value, err := plainJSON(m.value)
		if err != nil {
			return nil, err
		}
		out.Write(key)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// plainJSON is JSON without the escapes for HTML: nothing here goes into a page.
func plainJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// indented is plainJSON for people, with a line feed at its end.
func indented(v any) ([]byte, error) {
	raw, err := plainJSON(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// yamlText is a value as a YAML document.
func yamlText(v any) ([]byte, error) {
	n, err := yamlNode(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

func yamlNode(v any) (*yaml.Node, error) {
	switch v := v.(type) {
	case object:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, m := range v {
			key, err := yamlNode(m.key)
			if err != nil {
				return nil, err
			}
			value, err := yamlNode(m.value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.key, err)
			}
			n.Content = append(n.Content, key, value)
		}
		return n, nil
	case list:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i, e := range v {
			value, err := yamlNode(e)
			if err != nil {
				return nil, fmt.Errorf("%d: %w", i, err)
			}
			n.Content = append(n.Content, value)
		}
		return n, nil
	case inline:
		return inlineNode(v.value)
	case string: // as Encode would make it, in a hundredth of the time: nearly all values are strings
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}, nil
	default:
		n := new(yaml.Node)
		return n, n.Encode(v)
	}
}

// inlineNode reads the value's JSON as YAML, which it is, too: so it keeps its order, its quotes and its one line.
func inlineNode(v any) (*yaml.Node, error) {
	raw, err := plainJSON(v)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

// keywords is the order in which a schema is read. What is not listed follows by name.
var keywords = []string{
	"$schema", "$id", "title", "description", "$comment", "x-confidence", "type", "const", "enum", "format", "allOf", "anyOf", "oneOf",
	"required", "properties", "additionalProperties", "items", "minItems", "examples", "$defs",
}

// schemaOf brings a schema into reading order and points its references at the components below prefix.
func schemaOf(schema map[string]any, prefix string) object {
	var o object
	for _, key := range slices.SortedFunc(maps.Keys(schema), byKeyword) {
		value := schema[key]
		switch key {
		case "$ref":
			value = prefix + componentOf(value)
		case "properties":
			value = propertiesOf(value, prefix)
		default:
			value = valueOf(value, prefix)
		}
		o = append(o, member{key, value})
	}
	return o
}

// propertiesOf sorts by name: a property called type or title is no keyword.
func propertiesOf(value any, prefix string) object {
	properties, _ := value.(map[string]any)
	o := object{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		o = append(o, member{name, valueOf(properties[name], prefix)})
	}
	return o
}

func valueOf(value any, prefix string) any {
	switch value := value.(type) {
	case map[string]any:
		return schemaOf(value, prefix)
	case []any:
		l := make(list, len(value))
		for i, e := range value {
			l[i] = valueOf(e, prefix)
		}
		return l
	default:
		return value
	}
}

func byKeyword(a, b string) int {
	rank := func(key string) int {
		if i := slices.Index(keywords, key); i >= 0 {
			return i
		}
		return len(keywords)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
}

// componentOf is the name at the end of a reference, which is how all documents here refer to a component schema.
func componentOf(ref any) string {
	text, _ := ref.(string)
	return text[strings.LastIndexByte(text, '/')+1:]
}
