package schemas

import (
	"fmt"
	"slices"
)

// PropertiesOfComponent are the properties of a component, and the names of those that are required.
func PropertiesOfComponent(name string) (map[string]map[string]any, []string) {
	return MergedProperties(Components()[name])
}

// MergedProperties are the properties of a schema, those of its parts included.
func MergedProperties(schema map[string]any) (properties map[string]map[string]any, required []string) {
	properties = map[string]map[string]any{}
	var collect func(s map[string]any)
	collect = func(s map[string]any) {
		if to, ok := s["$ref"]; ok {
			collect(Components()[ComponentOf(to)])
		}
		parts, _ := s["allOf"].([]any)
		for _, part := range parts {
			if p, ok := part.(map[string]any); ok {
				collect(p)
			}
		}
		own, _ := s["properties"].(map[string]any)
		for name, property := range own {
			properties[name], _ = property.(map[string]any)
		}
		names, _ := s["required"].([]any)
		for _, name := range names {
			required = append(required, fmt.Sprint(name))
		}
	}
	collect(schema)
	return properties, required
}

// Nullable says whether a schema allows null.
func Nullable(schema map[string]any) bool {
	for _, key := range []string{"allOf", "anyOf"} {
		parts, _ := schema[key].([]any)
		for _, part := range parts {
			if p, ok := part.(map[string]any); ok && p["type"] == "null" {
				return true
			}
		}
	}
	schema = MeantPart(schema)
	if to, ok := schema["$ref"]; ok {
		component := Components()[ComponentOf(to)]
		if properties, _ := MergedProperties(component); len(properties) > 0 {
			return false
		}
		schema = component
	}
	kinds, _ := schema["type"].([]any)
	return slices.Contains(kinds, any("null"))
}

// MeantPart is the last part of a schema that is not null; the schema itself if it has no parts.
func MeantPart(schema map[string]any) map[string]any {
	for _, key := range []string{"allOf", "anyOf"} {
		parts, _ := schema[key].([]any)
		for _, part := range parts {
			if p, ok := part.(map[string]any); ok && p["type"] != "null" {
				schema = p
			}
		}
	}
	return schema
}
