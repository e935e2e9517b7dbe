package mirror

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/suggest"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
)

// condition is what a field has to be.
type condition struct{ field, value string }

// conditionsOf reads --where.
func conditionsOf(given []string) ([]condition, error) {
	var all []condition
	for _, text := range given {
		field, value, ok := strings.Cut(text, "=")
		if !ok || field == "" {
			return nil, exit.Usage("--where: %q is no condition such as taskState=done", text)
		}
		all = append(all, condition{field, value})
	}
	return all, nil
}

// meets says whether an object has all values. A field that is absent or null is an empty text.
func meets(all []condition, fields map[string]json.RawMessage) bool {
	return !slices.ContainsFunc(all, func(c condition) bool { return valueText(fields[c.field]) != c.value })
}

// schemaOf are the fields of a resource that are known, by their names. None are known of a resource without a description.
func schemaOf(resource string) map[string]map[string]any {
	var name strings.Builder
	for word := range strings.SplitSeq(resource, "-") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	properties, _ := schemas.PropertiesOfComponent(name.String())
	return properties
}

// unknownFields says which conditions are about fields that are not known. Objects may have them nevertheless.
func unknownFields(resource string, all []condition) (unknown []string) {
	known := slices.Sorted(maps.Keys(schemaOf(resource)))
	for _, c := range all {
		if len(known) > 0 && !slices.Contains(known, c.field) {
			unknown = append(unknown, c.field+suggest.DidYouMean(c.field, known))
		}
	}
	return unknown
}
