// Package schema makes JSON schemas for kubeconform from what an API server and custom resource definitions say of
// themselves. In comes JSON, out goes a folder with a file for each version of each kind. A field that nobody described
// is refused, as the API server does under strict validation. It fetches nothing.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// Location is what kubeconform takes as -schema-location for a folder that was written here.
func Location(folder string) string {
	return filepath.Join(folder, "{{ .ResourceKind }}{{ .KindSuffix }}.json")
}

// shared is the file that the others refer to, and reference what they begin with.
const (
	shared    = "_definitions.json"
	reference = shared + "#/definitions/"
	metadata  = reference + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

type object = map[string]any

// Write writes the schemas of a swagger.json and of custom resource definitions to a folder, and returns how many kinds
// there are, each version counted.
func Write(folder string, swagger []byte, crds []json.RawMessage) (int, error) {
	kinds := map[string]any{}
	if err := builtIn(kinds, swagger); err != nil {
		return 0, fmt.Errorf("swagger.json: %w", err)
	}
	for _, crd := range crds {
		if err := custom(kinds, crd); err != nil {
			return 0, fmt.Errorf("custom resource definition: %w", err)
		}
	}
	for name, content := range kinds {
		text, err := json.Marshal(content)
		if err != nil {
			return 0, fmt.Errorf("schema %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return 0, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	return len(kinds) - 1, nil // less the shared one
}

// fileName is what Location makes of a kind: deployment-apps-v1.json, service-v1.json.
func fileName(group, version, kind string) string {
	name := strings.ToLower(kind)
	if first, _, _ := strings.Cut(group, "."); first != "" {
		name += "-" + first
	}
	return name + "-" + version + ".json"
}

// builtIn adds Kubernetes' own kinds and the file that they share.
func builtIn(kinds map[string]any, swagger []byte) error {
	var spec struct{ Definitions map[string]object }
	if err := json.Unmarshal(swagger, &spec); err != nil {
		return err
	}
	if len(spec.Definitions) == 0 {
		return errors.New("no definitions")
	}
	closed := object{}
	for name, definition := range spec.Definitions {
		// Read before the extension is dropped.
		var of struct {
			Kinds []struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
		}
		if err := recode(definition, &of); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, kind := range of.Kinds {
			kinds[fileName(kind.Group, kind.Version, kind.Kind)] = object{"$ref": reference + name}
		}
		closed[name] = strict(definition)
	}
	// Written as 1.5 and as "1500m" alike; the description says string.
	closed["io.k8s.apimachinery.pkg.api.resource.Quantity"] = object{"type": []any{"string", "number"}}
	kinds[shared] = object{"definitions": closed}
	return nil
}

// custom adds every version of a custom resource definition that is served.
func custom(kinds map[string]any, definition []byte) error {
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Served bool
				Schema struct {
					OpenAPIV3Schema object `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := json.Unmarshal(definition, &crd); err != nil {
		return err
	}
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		root, ok := strict(version.Schema.OpenAPIV3Schema).(object)
		properties, _ := root["properties"].(object)
		if !ok || properties == nil {
			return fmt.Errorf("%s %s has no schema", crd.Spec.Names.Kind, version.Name)
		}
		// A definition leaves these to the API server.
		properties["apiVersion"] = object{"type": "string"}
		properties["kind"] = object{"type": "string"}
		properties["metadata"] = object{"$ref": metadata}
		kinds[fileName(crd.Spec.Group, version.Name, crd.Spec.Names.Kind)] = root
	}
	return nil
}

// strict turns the dialects of OpenAPI into plain JSON schema and closes what is described. Remarks go.
func strict(node any) any {
	switch node := node.(type) {
	case []any:
		items := make([]any, len(node))
		for i, item := range node {
			items[i] = strict(item)
		}
		return items
	case object:
		return strictObject(node)
	default:
		return node
	}
}

func strictObject(node object) object {
	if ref, ok := node["$ref"].(string); ok {
		return object{"$ref": reference + strings.TrimPrefix(ref, "#/definitions/")}
	}
	out := object{}
	for key, value := range node {
		switch {
		case key == "properties":
			// Its keys are names and no keywords: there are fields called "properties", "type" and "description".
			fields, _ := value.(object)
			closed := object{}
			for name, field := range fields {
				closed[name] = strict(field)
			}
			out[key] = closed
		case key == "default" || key == "enum" || key == "example":
			out[key] = value // data and no schema
		case key == "description" || strings.HasPrefix(key, "x-kubernetes-") || key == "format" || key == "nullable":
		default:
			out[key] = strict(value)
		}
	}
	intOrString := node["format"] == "int-or-string" || node["x-kubernetes-int-or-string"] == true
	if intOrString {
		out["type"] = []any{"integer", "string"}
	} else if kind, ok := out["type"].(string); ok && node["nullable"] == true {
		out["type"] = []any{kind, "null"}
	}
	_, described := out["properties"]
	_, open := out["additionalProperties"]
	// What stands below anyOf and its like narrows the object around it and is not one by itself.
	if described && !open && node["type"] == "object" && node["x-kubernetes-preserve-unknown-fields"] != true {
		out["additionalProperties"] = false
	}
	if node["x-kubernetes-embedded-resource"] == true && described {
		properties, _ := out["properties"].(object)
		full := maps.Clone(properties)
		full["apiVersion"], full["kind"], full["metadata"] = object{}, object{}, object{}
		out["properties"] = full
	}
	return out
}

// recode reads a value that was JSON as another type.
func recode(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}
