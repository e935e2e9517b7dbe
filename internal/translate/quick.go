package translate

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// quick finds data that is valid for sure, without the values and the big numbers that the validator makes. It knows a few keywords.
// What it is not sure of, it leaves to the validator.
type quick struct {
	required   []string
	properties map[string][]*plain // all have to hold
}

// plain is the schema of a value that is neither an object nor an array.
type plain struct {
	unsure    bool     // it has more than what is here
	types     []string // any of them; nil for all
	enum      []string // as they are written, nil for all
	minLength int
	allOf     []*plain
	anyOf     []*plain // nil for no choice
}

// quickOf returns the quick way for a schema, nil if there is none.
func quickOf(s *jsonschema.Schema) *quick {
	q := &quick{properties: map[string][]*plain{}}
	if !q.add(s, 0) {
		return nil
	}
	return q
}

// add adds what a schema demands of an object.
func (q *quick) add(s *jsonschema.Schema, depth int) bool {
	open, isBool := s.AdditionalProperties.(bool)
	if depth > maxQuickDepth || s.Types != nil && !slices.Contains(s.Types.ToStrings(), "object") || isBool && !open ||
		beyond(s, "Types", "Required", "Properties", "AllOf", "Ref", "AdditionalProperties") || s.AdditionalProperties != nil && !isBool {
		return false
	}
	q.required = append(q.required, s.Required...)
	for name, p := range s.Properties {
		q.properties[name] = append(q.properties[name], plainOf(p, 0))
	}
	for _, other := range s.AllOf {
		if !q.add(other, depth+1) {
			return false
		}
	}
	return s.Ref == nil || q.add(s.Ref, depth+1)
}

// maxQuickDepth ends schemas that refer to themselves.
const maxQuickDepth = 8

func plainOf(s *jsonschema.Schema, depth int) *plain {
	if depth > maxQuickDepth || beyond(s, "Types", "Enum", "MinLength", "AllOf", "AnyOf", "Ref") {
		return &plain{unsure: true}
	}
	p := &plain{}
	if s.Types != nil {
		p.types = s.Types.ToStrings()
	}
	if s.Enum != nil {
		p.enum = []string{}
		for _, v := range s.Enum.Values {
			if text, err := jsontext.Encode(v); err == nil {
				p.enum = append(p.enum, string(text))
			}
		}
	}
	if s.MinLength != nil {
		p.minLength = *s.MinLength
	}
	for _, other := range s.AllOf {
		p.allOf = append(p.allOf, plainOf(other, depth+1))
	}
	if s.Ref != nil {
		p.allOf = append(p.allOf, plainOf(s.Ref, depth+1))
	}
	for _, other := range s.AnyOf {
		p.anyOf = append(p.anyOf, plainOf(other, depth+1))
	}
	return p
}

// notes are the fields of a schema that demand nothing.
var notes = []string{
	"DraftVersion", "Location", "ID", "Anchor", "RecursiveAnchor", "DynamicAnchor", "Title", "Description", "Default", "Comment", "ReadOnly",
	"WriteOnly", "Examples", "Deprecated",
}

// beyond says whether a schema has more than some of its fields.
func beyond(s *jsonschema.Schema, known ...string) bool {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && !v.Field(i).IsZero() && !slices.Contains(notes, f.Name) && !slices.Contains(known, f.Name) {
			return true
		}
	}
	return false
}

// sure says whether data, which is valid text, is valid for sure.
func (q *quick) sure(data []byte) bool {
	if q == nil {
		return false
	}
	var room [16]jsontext.Member
	all, ok := jsontext.Members(data, room[:0])
	if !ok {
		return false
	}
	for _, m := range all {
		if m.Value[0] == '{' || m.Value[0] == '[' || isNumber(string(m.Value)) && (len(m.Value) > maxQuickNumber || strings.ContainsAny(string(m.Value), "eE")) {
			return false
		}
		for _, p := range q.properties[m.Name] {
			if !p.sure(m.Value) {
				return false
			}
		}
	}
	for _, name := range q.required {
		if !slices.ContainsFunc(all, func(m jsontext.Member) bool { return m.Name == name }) {
			return false
		}
	}
	return true
}

// maxQuickNumber bounds the characters of a number, far below what the validator takes.
const maxQuickNumber = 20

func (p *plain) sure(value json.RawMessage) bool {
	if p.unsure || p.types != nil && !slices.ContainsFunc(p.types, func(t string) bool { return isOf(t, value) }) ||
		p.enum != nil && !slices.Contains(p.enum, string(value)) || p.minLength > 0 && value[0] == '"' && !atLeast(p.minLength, value) {
		return false
	}
	for _, other := range p.allOf {
		if !other.sure(value) {
			return false
		}
	}
	return p.anyOf == nil || slices.ContainsFunc(p.anyOf, func(other *plain) bool { return other.sure(value) })
}

// isOf says whether a value is of a type for sure. 1.0 may be an integer.
func isOf(name string, value json.RawMessage) bool {
	switch name {
	case "string":
		return value[0] == '"'
	case "null":
		return value[0] == 'n'
	case "boolean":
		return value[0] == 't' || value[0] == 'f'
	case "number":
		return isNumber(string(value))
	case "integer":
		return isNumber(string(value)) && !strings.Contains(string(value), ".")
	}
	return false
}

// atLeast says whether a string has a number of characters for sure. One with escapes may have as few as one.
func atLeast(n int, value json.RawMessage) bool {
	text := string(value[1 : len(value)-1])
	if strings.Contains(text, `\`) {
		return n <= 1
	}
	return utf8.RuneCountInString(text) >= n
}
