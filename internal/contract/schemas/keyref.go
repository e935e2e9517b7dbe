package schemas

import (
	"maps"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// keyRef is the name of the component that stands for an id.
const keyRef = "ExternalKeyRef"

func keyRefSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"externalkey"}, "additionalProperties": false,
		"description": "An object by its external key, in the place of its id. The bridge replaces it by the id. A key that is not known is an error, " + events.CodeUnknownKey + ".",
		"properties": map[string]any{"externalkey": map[string]any{
			"type": "string", "minLength": 1, "maxLength": attr.MaxExternalKey,
			"description": "The externalkey of the command that created the object, or one that was set with bridge keys.",
		}},
	}
}

// withKeyRefs has the ids in the bodies of requests be external keys as well. Schemas of answers have no request's fields: a schema that
// both used would get the same ones, and a test looks for that.
func withKeyRefs(components map[string]map[string]any) {
	for _, op := range factro.Operations() {
		of, name := factro.FieldEntities, op.BodySchema
		if op.Body == factro.BodyList {
			of = op.ItemEntities
		}
		var walk func(schema map[string]any)
		walk = func(schema map[string]any) {
			if ref, ok := schema["$ref"]; ok {
				walk(components[ComponentOf(ref)])
			}
			properties, _ := schema["properties"].(map[string]any)
			keyRefsIn(properties, of)
			parts, _ := schema["allOf"].([]any)
			for _, part := range parts {
				if part, ok := part.(map[string]any); ok {
					walk(part)
				}
			}
		}
		walk(components[name])
	}
}

// keyRefsIn has the properties that hold ids of objects take external keys.
func keyRefsIn(properties map[string]any, kindsOf func(string) []string) {
	for name, property := range properties {
		schema, ok := property.(map[string]any)
		if !ok || len(kindsOf(name)) == 0 || takesKey(schema) {
			continue
		}
		id := maps.Clone(schema)
		both := map[string]any{}
		for _, key := range []string{"description", "x-confidence"} {
			if text, said := id[key]; said {
				both[key] = text
				delete(id, key)
			}
		}
		both["anyOf"] = ordered.List{Ref(keyRef), id} // the last one is what is meant otherwise
		properties[name] = both
	}
}

func takesKey(schema map[string]any) bool {
	parts, _ := schema["anyOf"].([]any)
	for _, part := range parts {
		if part, ok := part.(map[string]any); ok {
			if ref, _ := part["$ref"].(string); strings.HasSuffix(ref, "/"+keyRef) {
				return true
			}
		}
	}
	return false
}
