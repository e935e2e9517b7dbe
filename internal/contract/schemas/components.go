package schemas

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// refPrefix is how a schema in this room refers to a component. A document puts its own place instead.
const refPrefix = "#/$defs/"

// Components are the schemas that others refer to, by name: those of the Core API, as the description has them, and the
// contract's own. x-confidence stays with what it is said of; where the facts come from is the description's affair.
var Components = sync.OnceValue(func() map[string]map[string]any {
	var doc struct {
		Components struct {
			Schemas map[string]map[string]any `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(factro.OpenAPI, &doc); err != nil {
		panic(fmt.Sprintf("openapi.yaml: %v", err)) // it is compiled in, and the table was made from it
	}
	all := doc.Components.Schemas
	for _, schema := range all {
		withoutSources(schema)
	}
	withKeyRefs(all)
	for name, schema := range ownComponents() {
		if _, taken := all[name]; taken {
			panic("component schema " + name + " is the Core API's")
		}
		all[name] = schema
	}
	return all
})

// Component returns a component by its name, also one of those that describe an answer.
func Component(name string) map[string]any {
	if schema, ok := answerComponents()[name]; ok {
		return schema
	}
	return Components()[name]
}

func withoutSources(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "x-sources")
		for _, e := range v {
			withoutSources(e)
		}
	case []any:
		for _, e := range v {
			withoutSources(e)
		}
	}
}

// Ref is a schema that is a component. Where anything else is said beside it, it stands in an allOf, since draft-07 reads
// nothing beside a $ref.
func Ref(name string) map[string]any {
	return map[string]any{"$ref": refPrefix + name}
}

// Needed returns the names of the components that a schema refers to, and those that these refer to, sorted. look returns
// a component in the form that it has in the document.
func Needed(schema any, look func(name string) map[string]any) []string {
	found := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, e := range v {
				if name := ComponentOf(e); key == "$ref" && !found[name] {
					found[name] = true
					walk(look(name))
				}
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(schema)
	return slices.Sorted(maps.Keys(found))
}

// bundle makes a schema a document of its own, with the components that it needs. All of it is strict.
func bundle(id string, schema map[string]any) ordered.Object {
	schema = strict(schema)
	look := func(name string) map[string]any { return strict(Component(name)) }
	doc := append(ordered.Object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", id},
	}, Ordered(schema, refPrefix)...)
	defs := ordered.Object{}
	for _, name := range Needed(schema, look) {
		defs = append(defs, ordered.Member{name, Ordered(look(name), refPrefix)})
	}
	if len(defs) > 0 {
		doc = append(doc, ordered.Member{"$defs", defs})
	}
	return doc
}
