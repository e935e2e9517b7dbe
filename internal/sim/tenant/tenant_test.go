package tenant

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestSamplesFitTheirSchemas holds what the generator makes against the schema it was made from.
func TestSamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	contract, err := parsedContract()
	if err != nil {
		t.Fatal(err)
	}
	for name, ref := range contract.doc.Components.Schemas {
		data, err := json.Marshal(sample(ref.Value, func() string { return factro.ExampleTask }))
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		if err := ref.Value.VisitJSON(value, openapi3.EnableJSONSchema2020(), formats); err != nil {
			t.Errorf("%s: %s: %v", name, data, err)
		}
	}
}

func TestEveryOperationHasAHandler(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	var fromSchema []string
	all := handlers()
	for _, op := range factro.Operations() {
		known[op.Name] = true
		if all[op.Name] == nil {
			fromSchema = append(fromSchema, op.Name)
		}
	}
	for name := range all {
		if !known[name] {
			t.Errorf("handler of an unknown operation %s", name)
		}
	}
	if want := []string{"listTodoLists"}; !slices.Equal(fromSchema, want) {
		t.Errorf("answered from the schema: %v, want %v", fromSchema, want)
	}
}

func TestTableAndDescriptionAgree(t *testing.T) {
	t.Parallel()
	contract, err := parsedContract()
	if err != nil {
		t.Fatal(err)
	}
	if err := contract.doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	for _, op := range factro.Operations() {
		if _, err := contract.route(op); err != nil {
			t.Error(err)
		}
	}
}

func TestActionsOfKindsAreInTheTable(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, a := range actions {
		if names[a.Name] {
			t.Errorf("%s is there twice", a.Name)
		}
		names[a.Name] = true
	}
	for name, k := range kinds {
		if k.action == "" {
			continue
		}
		for _, participle := range []string{"Created", "Deleted"} {
			if !names[k.action+participle] {
				t.Errorf("kind %s fires %s%s, which the table does not have", name, k.action, participle)
			}
		}
	}
}
