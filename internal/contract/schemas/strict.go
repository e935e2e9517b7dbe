package schemas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
)

// strict is a schema for validators in their strict mode, with their default settings. Nothing is changed in the schema
// itself.
//
//   - Such a validator refuses a keyword or a format that it does not know, and some know no format at all. Neither says
//     anything that the bridge checks, so both stand in a $comment.
//   - It warns of several types in one place, so these are alternatives.
//   - A property that may be anything refers to AnyJSON: from nothing but a description, generators of types make an object.
func strict(schema map[string]any) map[string]any {
	out, comments := map[string]any{}, []string{}
	if doc, ok := schema["$comment"].(string); ok {
		comments = append(comments, doc)
	}
	for key, value := range schema {
		switch key {
		case "x-confidence", "format", "$comment":
		case "type":
			types, _ := value.([]any)
			if n := len(types); n < 2 || n == 2 && slices.Contains(types, "null") {
				out[key] = value
				break
			}
			choices := ordered.List{}
			for _, t := range types {
				choices = append(choices, map[string]any{"type": t})
			}
			out["anyOf"] = choices
		case "properties":
			properties, _ := value.(map[string]any)
			named := map[string]any{}
			for name, property := range properties {
				named[name] = strictPart(key, property)
			}
			out[key] = named
		case "items", "additionalProperties", "allOf", "anyOf", "oneOf", "not", "if", "then", "else":
			out[key] = strictPart(key, value)
		default:
			out[key] = value
		}
	}
	if choices, split := out["anyOf"].(ordered.List); split && schema["type"] != nil {
		for _, limit := range []string{"minLength", "maxLength", "pattern"} { // it warns of these where there is no string
			if value, ok := out[limit]; ok {
				moveTo(choices, "string", limit, value)
				delete(out, limit)
			}
		}
	}
	for _, key := range []string{"format", "x-confidence"} {
		if value, ok := schema[key]; ok {
			comments = append(comments, fmt.Sprintf("%s: %v", strings.TrimPrefix(key, "x-"), value))
		}
	}
	if len(comments) > 0 {
		out["$comment"] = strings.Join(comments, "; ")
	}
	return out
}

func moveTo(choices ordered.List, kind, key string, value any) {
	for _, c := range choices {
		if choice, ok := c.(map[string]any); ok && choice["type"] == kind {
			choice[key] = value
		}
	}
}

// strictPart is strict for what stands below a keyword of a schema.
func strictPart(key string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		part := strict(value)
		if slices.Contains([]string{"properties", "items", "additionalProperties"}, key) && saysNothing(part) {
			part["allOf"] = ordered.List{Ref(anyJSON)}
		}
		return part
	case []any:
		parts := make(ordered.List, len(value))
		for i, e := range value {
			parts[i] = strictPart(key, e)
		}
		return parts
	}
	return value
}

// saysNothing says whether a schema takes every value.
func saysNothing(schema map[string]any) bool {
	for key := range schema {
		if key != "description" && key != "title" && key != "examples" && key != "$comment" {
			return false
		}
	}
	return true
}

// anyJSON is the name of the component for whatever JSON can hold.
const anyJSON = "AnyJSON"

func anyJSONSchema() map[string]any {
	choices := ordered.List{}
	for _, t := range []string{"object", "array", "string", "number", "boolean", "null"} {
		choices = append(choices, map[string]any{"type": t})
	}
	return map[string]any{"description": "Any JSON.", "anyOf": choices}
}
