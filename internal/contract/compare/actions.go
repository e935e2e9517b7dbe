package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Actions takes the names of the webhooks' actions out of factro's own description of its API: the values of the schema
// Action (so named in the vendor's document, by one source), else of a list that has one of the names that are known.
func Actions(openAPI []byte) ([]string, error) {
	doc, err := loadOpenAPI(openAPI)
	if err != nil {
		return nil, err
	}
	if doc.Components != nil {
		if s := doc.Components.Schemas["Action"]; s != nil && s.Value != nil && len(s.Value.Enum) > 0 {
			return names(s.Value.Enum), nil
		}
	}
	var found []string
	visit(doc, func(s *openapi3.Schema) {
		values := names(s.Enum)
		isKnown := func(a factro.Action) bool { return slices.Contains(values, a.Name) }
		if len(values) > len(found) && slices.ContainsFunc(factro.Actions(), isKnown) {
			found = values
		}
	})
	if found == nil {
		return nil, fmt.Errorf("the description has neither a schema Action nor a list of values with %s in it", factro.Actions()[0].Name)
	}
	return found, nil
}

func names(values []any) []string {
	var out []string
	for _, v := range values {
		if name, ok := v.(string); ok && strings.TrimSpace(name) != "" {
			out = append(out, name)
		}
	}
	return out
}

// visit shows every schema of a description, each once.
func visit(doc *openapi3.T, show func(*openapi3.Schema)) {
	seen := map[*openapi3.Schema]bool{}
	var look func(*openapi3.SchemaRef)
	look = func(r *openapi3.SchemaRef) {
		if r == nil || r.Value == nil || seen[r.Value] {
			return
		}
		s := r.Value
		seen[s] = true
		show(s)
		look(s.Items)
		for _, parts := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
			for _, part := range parts {
				look(part)
			}
		}
		for _, p := range s.Properties {
			look(p)
		}
	}
	if doc.Components != nil {
		for _, s := range doc.Components.Schemas {
			look(s)
		}
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for _, p := range op.Parameters {
				if p.Value != nil {
					look(p.Value.Schema)
				}
			}
		}
	}
}
