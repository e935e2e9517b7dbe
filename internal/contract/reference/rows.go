package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// row is a field in a table: a property of an operation's data or of a schema.
type row struct {
	Name, Type     string
	Required, Null bool
	Doc            string

	// ref is the component schema that the type links to, if any.
	ref string
}

// dataRows are the fields of an operation's data, in the order of the table: parameters first.
func dataRows(op factro.Operation) []row {
	properties, _ := schemas.PropertiesOfComponent(op.BodySchema)
	var rows []row
	for i, f := range op.Fields {
		r := row{Name: f.Name, Required: f.Required, Null: f.Nullable, Doc: f.Doc}
		schema, inBody := properties[f.Name]
		switch {
		case i < len(op.Params) || !inBody && op.Body == factro.BodyObject:
			r.Type = typeWords(f.Type, f.Format, f.Enum)
		case op.Body == factro.BodyList:
			r.ref, r.Type, r.Doc = op.BodySchema, "list of "+link(op.BodySchema), ""
		case op.Body == factro.BodyMultipart:
			r.Type = "[file](subjects.md#files)"
		default:
			r.Type, r.ref, _ = typeOf(schema)
		}
		rows = append(rows, r)
	}
	return rows
}

// schemaRows are the properties of a schema, sorted; those that are required first.
func schemaRows(schema map[string]any) []row {
	properties, required := schemas.MergedProperties(schema)
	var rows []row
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		r := row{Name: name, Required: slices.Contains(required, name)}
		r.Type, r.ref, r.Null = typeOf(properties[name])
		r.Doc, _ = properties[name]["description"].(string)
		rows = append(rows, r)
	}
	return rows
}

// typeOf says in words what a schema allows, which component it is about, if that has a section, and whether null is
// allowed.
func typeOf(schema map[string]any) (text, component string, null bool) {
	null = schemas.Nullable(schema)
	schema = schemas.MeantPart(schema)
	if to, ok := schema["$ref"]; ok {
		component = schemas.ComponentOf(to)
		schema = schemas.Components()[component]
		if properties, _ := schemas.MergedProperties(schema); len(properties) > 0 {
			return link(component), component, null
		}
	}
	kind, isText := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		for _, k := range kinds {
			if k != "null" && kind == "" {
				kind, isText = fmt.Sprint(k), true
			}
		}
	}
	if !isText {
		kind = "any"
	}
	if items, ok := schema["items"].(map[string]any); ok {
		of, about, _ := typeOf(items)
		return "list of " + of, about, null
	}
	if values, ok := schema["additionalProperties"].(map[string]any); ok {
		of, about, _ := typeOf(values)
		return "map to " + of, about, null
	}
	format, _ := schema["format"].(string)
	if pattern, ok := schema["pattern"].(string); ok {
		format = pattern
	}
	var enum []string
	values, _ := schema["enum"].([]any)
	for _, v := range values {
		enum = append(enum, fmt.Sprint(v))
	}
	return typeWords(kind, format, enum), "", null
}

func typeWords(kind, format string, enum []string) string {
	switch {
	case enum != nil:
		return kind + ": `" + strings.Join(enum, "` `") + "`"
	case strings.HasPrefix(format, "^"):
		return kind + ", `" + format + "`"
	case format != "":
		return kind + ", " + format
	case kind == "":
		return "any"
	}
	return kind
}

func link(component string) string {
	return "[" + component + "](#" + anchor("Schema "+component) + ")"
}

// anchor is the fragment by which a heading is found.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ToLower(heading), " ", "-")
}

var cellEscapes = strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`, "\n", " ")

// cell is text in a table or a paragraph.
func cell(text string) string { return cellEscapes.Replace(text) }

// codeSpan is text that is shown as it is.
func codeSpan(text string) string { return "`" + text + "`" }
