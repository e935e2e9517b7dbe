package factro

import (
	_ "embed"
	"encoding/json"
	"maps"
)

// OpenAPI is the description that everything here is made from.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Schemas is one JSON Schema document (draft 2020-12) whose $defs are the component schemas of the description.
//
//go:embed schemas_gen.json
var Schemas []byte

// SchemasID is the URI under which the schemas that DataSchema returns refer to Schemas.
const SchemasID = "urn:factro:core-api:schemas"

// DataSchema returns the JSON Schema of the operation's data: one flat object with its parameters and the properties
// of its body side by side. It refers to Schemas by SchemasID. Properties that nobody told us of are allowed.
func (o Operation) DataSchema() map[string]any {
	properties, required := map[string]any{}, []any{}
	for _, p := range o.Params {
		properties[p.Field] = o.paramSchema(p)
		if !p.Query {
			required = append(required, p.Field)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	switch o.Body {
	case BodyObject:
		schema["allOf"] = []any{map[string]any{"$ref": SchemasID + "#/$defs/" + o.BodySchema}}
	case BodyList:
		properties["items"] = map[string]any{
			"type": "array", "minItems": 1,
			"items": map[string]any{"$ref": SchemasID + "#/$defs/" + o.BodySchema},
		}
		required = append(required, "items")
	case BodyMultipart:
		properties["file"] = maps.Clone(fileSchema)
		required = append(required, "file")
	case BodyNone:
	}
	schema["required"] = required
	return schema
}

// paramSchema is the schema of a parameter. It demands no format: that ids are UUIDs is only inferred from examples.
func (o Operation) paramSchema(p Param) map[string]any {
	schema := map[string]any{"type": "string", "minLength": 1}
	for _, f := range o.Fields {
		if f.Name == p.Field && f.Type != "" && f.Type != "string" {
			schema["type"] = []any{f.Type, "string"} // in a URL all is text, so the value may come as that
		}
	}
	return schema
}

// maxObjectName bounds what a reference names, in characters. NATS puts both into subjects, which have to be short. What
// opens the object bounds the bytes as well.
const maxObjectName = 512

// fileSchema is the form of an upload in a command's data: the content itself, or where it is in the bridge's object
// store. The Core API itself takes a multipart body.
var fileSchema = map[string]any{
	"type":     "object",
	"required": []any{"name"},
	"properties": map[string]any{
		"name":        map[string]any{"type": "string", "minLength": 1},
		"contentType": map[string]any{"type": "string"},
		"data":        map[string]any{"type": "string", "contentEncoding": "base64"},
		"object": map[string]any{
			"type":     "object",
			"required": []any{"bucket", "name"},
			"properties": map[string]any{
				"bucket": map[string]any{"type": "string", "minLength": 1, "maxLength": maxObjectName},
				"name":   map[string]any{"type": "string", "minLength": 1, "maxLength": maxObjectName},
				"size":   map[string]any{"type": "integer", "minimum": 0},
			},
		},
	},
	"oneOf": []any{
		map[string]any{"required": []any{"data"}},
		map[string]any{"required": []any{"object"}},
	},
}

// DataSchemaJSON is DataSchema as JSON.
func (o Operation) DataSchemaJSON() ([]byte, error) {
	return json.MarshalIndent(o.DataSchema(), "", "  ")
}
