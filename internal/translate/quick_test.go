package translate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// quickly are values that the data of commands is made of.
var quickly = []string{
	`"a"`, `""`, `"\n"`, `"ä\u00e4"`, `"active"`, `"2026-01-31T23:00:00.000Z"`, `5`, `50`, `-1`, `1.0`, `2.5`, `1e2`, `-0`, `123456789012345678901`, `1e999999`,
	`true`, `false`, `null`, `{}`, `{"externalkey":"k"}`, `[]`, `["a"]`, `[1]`, `[{"a":1e999999}]`,
}

// TestQuick: whatever the quick way is sure of is valid, for each property of each operation with each kind of value; and it is sure
// of nearly all examples.
func TestQuick(t *testing.T) {
	t.Parallel()
	sure, examples := 0, 0
	for _, op := range factro.Operations() {
		if !op.Writes() {
			continue
		}
		s, err := schemaOf(op)
		if err != nil {
			t.Fatal(err)
		}
		example, err := jsontext.Object(op.Example())
		if err != nil {
			t.Fatal(err)
		}
		examples++
		if holdsQuick(t, op, s, op.Example()) {
			sure++
		}
		for name, was := range example {
			delete(example, name)
			holdsQuick(t, op, s, encoded(t, example))
			example[name] = was
		}
		for _, f := range op.Fields {
			was, there := example[f.Name]
			values := quickly
			for _, v := range f.Enum {
				values = append(slices.Clip(values), `"`+v+`"`, v)
			}
			for _, v := range values {
				if !json.Valid([]byte(v)) {
					continue
				}
				example[f.Name] = json.RawMessage(v)
				holdsQuick(t, op, s, encoded(t, example))
			}
			if delete(example, f.Name); there {
				example[f.Name] = was
			}
		}
	}
	if sure < examples*2/3 {
		t.Errorf("the quick way is sure of %d of %d examples", sure, examples)
	}
}

func encoded(t *testing.T, fields map[string]json.RawMessage) []byte {
	t.Helper()
	data, err := jsontext.Encode(fields)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// holdsQuick compares the quick way with the validator, and says whether it is sure.
func holdsQuick(t *testing.T, op factro.Operation, s *schema, data []byte) (sure bool) {
	t.Helper()
	if !jsontext.Valid(string(data)) || !s.quick.sure(data) {
		return false
	}
	if mistakes, err := s.check(data); err != nil || len(mistakes) > 0 {
		t.Errorf("%s: the quick way is sure of %s, the validator says %v, %v", op.Name, data, mistakes, err)
	}
	return true
}

// FuzzQuick holds that whatever the quick way is sure of is valid.
func FuzzQuick(f *testing.F) {
	for _, name := range []string{"createTask", "updateTask", "createWorkRecord", "createProject", "createContact", "uploadTaskDocument"} {
		op, known := factro.Lookup(name)
		if !known {
			continue
		}
		f.Add(name, string(op.Example()))
		for _, v := range quickly {
			f.Add(name, strings.Replace(string(op.Example()), `"`, `"x":`+v+`,"`, 1))
		}
	}
	f.Fuzz(func(t *testing.T, name, data string) {
		op, known := factro.Lookup(name)
		if !known {
			return
		}
		s, err := schemaOf(op)
		if err != nil {
			t.Fatal(err)
		}
		holdsQuick(t, op, s, []byte(data))
	})
}
