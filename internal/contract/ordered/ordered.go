package ordered

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// Object is a JSON object that keeps the order in which it was written: a document is read from above.
type Object []Member

// Member is one of its members. It is an alias, so that a document can be written down without the names of these two fields.
type Member = struct {
	Key   string
	Value any
}

// List is a JSON array.
type List = []any

// Inline is a value that YAML writes on one line, as JSON does. Examples are copied from there.
type Inline struct{ Value any }

// MarshalJSON writes the value.
func (i Inline) MarshalJSON() ([]byte, error) { return jsontext.Encode(i.Value) }

// MarshalJSON writes the members in their order.
func (o Object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		key, err := jsontext.Encode(m.Key)
		if err != nil {
			return nil, err
		}
		value, err := jsontext.Encode(m.Value)
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

// Indented is JSON for people, with a line feed at its end.
func Indented(v any) ([]byte, error) {
	raw, err := jsontext.Encode(v)
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

// YAML is a value as a YAML document.
func YAML(v any) ([]byte, error) {
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
	case Object:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, m := range v {
			key, err := yamlNode(m.Key)
			if err != nil {
				return nil, err
			}
			value, err := yamlNode(m.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.Key, err)
			}
			n.Content = append(n.Content, key, value)
		}
		return n, nil
	case List:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i, e := range v {
			value, err := yamlNode(e)
			if err != nil {
				return nil, fmt.Errorf("%d: %w", i, err)
			}
			n.Content = append(n.Content, value)
		}
		return n, nil
	case Inline:
		return inlineNode(v.Value)
	case string: // as Encode would make it, in a hundredth of the time: nearly all values are strings
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}, nil
	default:
		n := new(yaml.Node)
		return n, n.Encode(v)
	}
}

// inlineNode reads the value's JSON as YAML, which it is, too: so it keeps its order, its quotes and its one line.
func inlineNode(v any) (*yaml.Node, error) {
	raw, err := jsontext.Encode(v)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}
