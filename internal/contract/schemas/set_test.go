package schemas

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// TestSetSchema: the schema of an operation's results has the set that its example sets, as the type that it is.
func TestSetSchema(t *testing.T) {
	t.Parallel()
	sets := 0
	for _, op := range factro.Operations() {
		if !op.Writes() {
			continue
		}
		call, err := translate.Command(op, op.Example())
		if err != nil {
			t.Fatalf("%s: %v", op.Name, err)
		}
		set, _ := translate.Set(op, call)
		schema := setSchema(op)
		switch {
		case set == nil:
		case schema == nil:
			t.Errorf("%s sets %s, and its results have no schema for it", op.Name, set)
		case (schema["type"] == "array") != (set[0] == '['):
			t.Errorf("%s sets %s, and its schema is %v", op.Name, set, schema)
		default:
			sets++
		}
	}
	if sets < 40 {
		t.Errorf("only %d operations set something: the test is broken", sets)
	}
}
