package schema_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/tests/chart/schema"
)

const swagger = `{"definitions": {
	"io.example.Brücke": {
		"type": "object",
		"description": "goes",
		"properties": {
			"description": {"type": "string"},
			"port": {"$ref": "#/definitions/io.example.Port"},
			"labels": {"type": "object", "additionalProperties": {"type": "string"}}
		},
		"x-kubernetes-group-version-kind": [
			{"group": "", "version": "v1", "kind": "Brücke"}, {"group": "rail.example.com", "version": "v2", "kind": "Brücke"}
		]
	},
	"io.example.Port": {"type": "string", "format": "int-or-string"}
}}`

const crd = `{"kind": "CustomResourceDefinition", "spec": {
	"group": "keda.sh", "names": {"kind": "ScaledObject"},
	"versions": [
		{"name": "v1alpha1", "served": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
			"metadata": {"type": "object"},
			"spec": {"type": "object", "properties": {
				"size": {"x-kubernetes-int-or-string": true},
				"when": {"type": "string", "nullable": true},
				"free": {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-preserve-unknown-fields": true},
				"one": {"type": "object", "properties": {"a": {}}, "oneOf": [{"properties": {"a": {"enum": [1]}}}]}
			}}}}}},
		{"name": "v1", "served": false}
	]}}`

func TestWrite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	kinds, err := schema.Write(folder, []byte(swagger), []json.RawMessage{json.RawMessage(crd)})
	if err != nil || kinds != 3 {
		t.Fatalf("%d kinds, %v", kinds, err)
	}
	const shared, ref = "_definitions.json", `{"$ref": "_definitions.json#/definitions/io.example.Brücke"}`
	want := map[string]string{
		"brücke-v1.json":      ref,
		"brücke-rail-v2.json": ref,
		shared: `{"definitions": {
			"io.example.Brücke": {"type": "object", "additionalProperties": false, "properties": {
				"description": {"type": "string"},
				"port": {"$ref": "_definitions.json#/definitions/io.example.Port"},
				"labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
			"io.example.Port": {"type": ["integer", "string"]},
			"io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]}}}`,
		"scaledobject-keda-v1alpha1.json": `{"type": "object", "additionalProperties": false, "properties": {
			"apiVersion": {"type": "string"}, "kind": {"type": "string"},
			"metadata": {"$ref": "_definitions.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
			"spec": {"type": "object", "additionalProperties": false, "properties": {
				"size": {"type": ["integer", "string"]},
				"when": {"type": ["string", "null"]},
				"free": {"type": "object", "properties": {"a": {"type": "string"}}},
				"one": {"type": "object", "additionalProperties": false, "properties": {"a": {}},
					"oneOf": [{"properties": {"a": {"enum": [1]}}}]}}}}}`,
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if sorted := slices.Sorted(maps.Keys(want)); !slices.Equal(names, sorted) {
		t.Errorf("files %q, want %q", names, sorted)
	}
	for name, text := range want {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !reflect.DeepEqual(value(t, content), value(t, []byte(text))) {
			t.Errorf("%s is %s\nwant %s", name, content, text)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ swagger, crd string }{
		"no JSON":                      {"definitions:", crd},
		"another file":                 {`{"paths": {}}`, crd},
		"a definition without schema":  {swagger, `{"spec": {"versions": [{"name": "v1", "served": true}]}}`},
		"a definition that is no JSON": {swagger, "spec:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if kinds, err := schema.Write(t.TempDir(), []byte(test.swagger), []json.RawMessage{json.RawMessage(test.crd)}); err == nil {
				t.Errorf("%d kinds and no error", kinds)
			}
		})
	}
}

func value(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}
