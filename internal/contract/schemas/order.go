package schemas

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
)

// keywords is the order in which a schema is read. What is not listed follows by name.
var keywords = []string{
	"$schema", "$id", "title", "description", "$comment", "x-confidence", "type", "const", "enum", "format", "allOf", "anyOf", "oneOf",
	"required", "properties", "additionalProperties", "items", "minItems", "examples", "$defs",
}

// Ordered brings a schema into reading order and points its references at the components below prefix.
func Ordered(schema map[string]any, prefix string) ordered.Object {
	var o ordered.Object
	for _, key := range slices.SortedFunc(maps.Keys(schema), byKeyword) {
		value := schema[key]
		switch key {
		case "$ref":
			value = prefix + ComponentOf(value)
		case "properties":
			value = propertiesOf(value, prefix)
		default:
			value = valueOf(value, prefix)
		}
		o = append(o, ordered.Member{key, value})
	}
	return o
}

// propertiesOf sorts by name: a property called type or title is no keyword.
func propertiesOf(value any, prefix string) ordered.Object {
	properties, _ := value.(map[string]any)
	o := ordered.Object{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		o = append(o, ordered.Member{name, valueOf(properties[name], prefix)})
	}
	return o
}

func valueOf(value any, prefix string) any {
	switch value := value.(type) {
	case map[string]any:
		return Ordered(value, prefix)
	case []any:
		l := make(ordered.List, len(value))
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

// ComponentOf is the name at the end of a reference, which is how all documents here refer to a component schema.
func ComponentOf(ref any) string {
	text, _ := ref.(string)
	return text[strings.LastIndexByte(text, '/')+1:]
}
