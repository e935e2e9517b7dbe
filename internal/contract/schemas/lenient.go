package schemas

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
)

// answerComponents are the Core API's components as they describe what factro answers, each as answer.<name>. A command is
// checked against what is known; an answer is taken as it comes, and readers should do the same.
var answerComponents = sync.OnceValue(func() map[string]map[string]any {
	own, all := ownComponents(), map[string]map[string]any{}
	for name, schema := range Components() {
		if _, ours := own[name]; !ours {
			all[AnswerPrefix+name] = lenient(schema)
		}
	}
	return all
})

// lenient is a schema of the Core API that takes what factro may add: known values are only listed, and what may
// be null may be absent. Nothing is changed in the schema itself.
func lenient(schema map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range schema {
		switch key {
		case "$ref":
			out[key] = refPrefix + AnswerPrefix + ComponentOf(value)
		case "enum":
			out["examples"] = value
		case "required":
			if names := neverNull(schema, value); len(names) > 0 {
				out[key] = names
			}
		case "properties":
			properties, _ := value.(map[string]any)
			loose := map[string]any{}
			for name, property := range properties {
				loose[name] = lenientValue(property)
			}
			out[key] = loose
		case "allOf", "anyOf", "oneOf", "items", "additionalProperties":
			out[key] = lenientValue(value)
		default:
			out[key] = value
		}
	}
	if values, ok := schema["enum"].([]any); ok {
		doc, _ := schema["description"].(string)
		out["description"] = strings.TrimSpace(doc + " " + knownValues(values))
	}
	return out
}

func lenientValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return lenient(value)
	case []any:
		l := make(ordered.List, len(value))
		for i, e := range value {
			l[i] = lenientValue(e)
		}
		return l
	}
	return value
}

// neverNull are the names that stay required.
func neverNull(schema map[string]any, required any) ordered.List {
	properties, _ := MergedProperties(schema)
	names, _ := required.([]any)
	return slices.DeleteFunc(slices.Clone(names), func(name any) bool {
		return Nullable(properties[fmt.Sprint(name)])
	})
}

func knownValues(values ordered.List) string {
	var known []string
	for _, v := range values {
		if v != nil {
			known = append(known, fmt.Sprint(v))
		}
	}
	return "Known values, there may be others: " + strings.Join(known, ", ") + "."
}
