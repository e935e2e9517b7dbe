package translate_test

import (
	"encoding/json"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func lookup(t testing.TB, name string) factro.Operation {
	t.Helper()
	o, ok := factro.Lookup(name)
	if !ok {
		t.Fatalf("there is no operation %s", name)
	}
	return o
}

func jsonOf(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func fieldsOf(t testing.TB, text []byte) map[string]json.RawMessage {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return fields
}
