package dead

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/operation"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// change applies field=value arguments to the data of a letter. It returns nil if that changes nothing: then it is the same
// command as before.
func change(l bus.DeadLetter, sets []string) ([]byte, error) {
	if len(sets) == 0 {
		return nil, nil
	}
	data := json.RawMessage(bytes.TrimPrefix(l.Data, []byte("\xef\xbb\xbf")))
	if l.Broken == nil { // a command in structured mode: its data is inside
		data = l.Event.Data()
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = json.RawMessage("{}")
	}
	before := data
	op, _ := factro.Lookup(l.Operation)
	for _, arg := range sets {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, exit.Usage("--set: %q is not of the form field=value", arg)
		}
		var err error
		if data, err = set(data, op, name, value); err != nil {
			return nil, fmt.Errorf("--set %s: %w", name, err)
		}
	}
	if sameJSON(before, data) {
		return nil, nil
	}
	return data, nil
}

// set sets one field, named by its path: context.entityId is entityId in context. A name that ends in a colon takes JSON.
func set(data json.RawMessage, op factro.Operation, name, value string) (json.RawMessage, error) {
	name, isJSON := strings.CutSuffix(name, ":")
	path := strings.Split(name, ".")
	if !isJSON && op.Name != "" && len(path) == 1 {
		i := slices.IndexFunc(op.Fields, func(f factro.Field) bool { return f.Name == name })
		if i < 0 {
			return nil, exit.Usage("%s has no such field; it has %s (for one that we do not know, write %s:=json)",
				op.Name, strings.Join(operation.FieldNames(op), ", "), name)
		}
		v, err := operation.FieldValue(op.Fields[i], value, nil)
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		return setPath(data, path, raw)
	}
	raw := json.RawMessage(value)
	if !isJSON {
		raw, _ = json.Marshal(value) // a string
	}
	if !json.Valid(raw) {
		return nil, exit.Usage("%q is not JSON", value)
	}
	return setPath(data, path, raw)
}

// setPath sets what the path leads to. Objects on the way that are not there are made.
func setPath(data json.RawMessage, path []string, value json.RawMessage) (json.RawMessage, error) {
	object := map[string]json.RawMessage{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &object); err != nil || object == nil {
			return nil, fmt.Errorf("what would hold %q is no JSON object", path[0])
		}
	}
	if len(path) > 1 {
		var err error
		if value, err = setPath(object[path[0]], path[1:], value); err != nil {
			return nil, err
		}
	}
	object[path[0]] = value
	return json.Marshal(object)
}

// sameJSON says whether two texts are the same to whoever reads JSON, to the last digit of its numbers.
func sameJSON(a, b []byte) bool {
	read := func(text []byte) (any, bool) {
		var v any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err := d.Decode(&v)
		return v, err == nil
	}
	x, okX := read(a)
	y, okY := read(b)
	return okX && okY && reflect.DeepEqual(x, y)
}
