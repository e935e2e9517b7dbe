package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// typeText is the type of a value in words, without the null.
func typeText(s *openapi3.Schema) string {
	var values, kinds []string
	for _, v := range s.Enum {
		if v != nil {
			values = append(values, fmt.Sprint(v))
			kinds = append(kinds, kindOf(v))
		}
	}
	slices.Sort(values)
	if s.Type != nil {
		kinds = slices.DeleteFunc(slices.Clone(s.Type.Slice()), func(kind string) bool { return kind == openapi3.TypeNull })
	}
	slices.Sort(kinds)
	text := cmp.Or(strings.Join(slices.Compact(kinds), " or "), "any")
	if len(kinds) == 0 && (len(s.Properties) > 0 || len(s.AllOf) > 0) {
		text = openapi3.TypeObject
	}
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	if len(values) > 0 {
		text += ": " + strings.Join(values, " | ")
	}
	for _, limit := range []struct {
		word  string
		value any
		is    bool
	}{
		{"pattern", s.Pattern, s.Pattern != ""},
		{"minLength", s.MinLength, s.MinLength > 0},
		{"maxLength", deref(s.MaxLength), s.MaxLength != nil},
		{"minItems", s.MinItems, s.MinItems > 0},
		{"maxItems", deref(s.MaxItems), s.MaxItems != nil},
		{"minimum", deref(s.Min), s.Min != nil},
		{"maximum", deref(s.Max), s.Max != nil},
	} {
		if limit.is {
			text += fmt.Sprintf(", %s %v", limit.word, limit.value)
		}
	}
	return text
}

// kindOf is the type of an enumeration's value, for one that does not say it.
func kindOf(v any) string {
	if _, ok := v.(string); ok {
		return openapi3.TypeString
	}
	return openapi3.TypeInteger
}

func deref[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
