package factro_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func unmarshal(t testing.TB, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// compile returns the compiled schemas of all commands. Every keyword is checked against the draft's own schema.
func compile(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(factro.SchemasID, unmarshal(t, factro.Schemas)); err != nil {
		t.Fatal(err)
	}
	schemas := map[string]*jsonschema.Schema{}
	for _, o := range factro.Operations() {
		if !o.Writes() {
			continue
		}
		text, err := o.DataSchemaJSON()
		if err != nil {
			t.Fatalf("%s: %v", o.Name, err)
		}
		if err := c.AddResource("urn:test:"+o.Name, unmarshal(t, text)); err != nil {
			t.Fatalf("%s: %v", o.Name, err)
		}
		if schemas[o.Name], err = c.Compile("urn:test:" + o.Name); err != nil {
			t.Errorf("%s: %v", o.Name, err)
		}
	}
	return schemas
}

func TestDataSchemas(t *testing.T) {
	t.Parallel()
	schemas := compile(t)
	for _, o := range factro.Operations() {
		s, ok := schemas[o.Name]
		if !ok {
			continue
		}
		// The schema is the law, Fields describe it for people; they may not differ on what has to be there.
		var required []string
		for _, f := range o.Fields {
			if f.Required {
				required = append(required, f.Name)
			}
		}
		err := s.Validate(map[string]any{})
		if (err == nil) != (len(required) == 0) {
			t.Errorf("%s: {} gives %v, but required are %q", o.Name, err, required)
		}
		for _, name := range required {
			if !strings.Contains(err.Error(), "'"+name+"'") {
				t.Errorf("%s: {} gives no word of %s: %v", o.Name, name, err)
			}
		}
		if s.Validate([]any{}) == nil || s.Validate(nil) == nil {
			t.Errorf("%s takes what is no object", o.Name)
		}
	}
}

// TestDataSchemaIsTheCallers: a caller that adds to a schema must not add to the next one's.
func TestDataSchemaIsTheCallers(t *testing.T) {
	t.Parallel()
	o, _ := factro.Lookup("createTaskDocument")
	before, err := o.DataSchemaJSON()
	if err != nil {
		t.Fatal(err)
	}
	properties, ok := o.DataSchema()["properties"].(map[string]any)
	if !ok {
		t.Fatal("the schema has no properties")
	}
	file, ok := properties["file"].(map[string]any)
	if !ok {
		t.Fatal("the schema has no file")
	}
	file["title"] = "mine"
	if after, _ := o.DataSchemaJSON(); !bytes.Equal(before, after) {
		t.Errorf("the schema has become %s", after)
	}
}

// TestParamsTakeText: what goes into a URL may come as its type or as text, but not as something else or as nothing.
func TestParamsTakeText(t *testing.T) {
	t.Parallel()
	s := compile(t)["setCustomViewPosition"]
	for value, want := range map[string]bool{`3`: true, `"3"`: true, `""`: false, `3.5`: false, `true`: false, `null`: false, `[3]`: false} {
		data := unmarshal(t, []byte(`{"referenceId":"r","customViewId":"c","position":`+value+`}`))
		if err := s.Validate(data); (err == nil) != want {
			t.Errorf("position %s: %v", value, err)
		}
	}
}

func TestOpenAPIIsEmbedded(t *testing.T) {
	t.Parallel()
	for _, o := range factro.Operations() {
		if !bytes.Contains(factro.OpenAPI, []byte("operationId: "+o.Name+"\n")) {
			t.Errorf("the description has no %s", o.Name)
		}
	}
}
