package dead

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
)

// edit sets one field of the data of a dead letter.
type edit struct {
	name  string // as given: a path such as context.entityId
	value string
	json  bool // value is JSON; otherwise the field's type decides
}

// field is a field of an operation. Its type is one of JSON Schema, or "" if it is not known.
type field struct{ name, kind string }

// editError is a mistake in an edit itself, independent of the dead letter.
type editError struct{ text string }

func (e *editError) Error() string { return e.text }

// parseEdits reads field=value and field:=json.
func parseEdits(sets []string) ([]edit, error) {
	edits := make([]edit, len(sets))
	for i, s := range sets {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, &editError{fmt.Sprintf("%q is not of the form field=value", s)}
		}
		e := edit{value: value}
		e.name, e.json = strings.CutSuffix(name, ":")
		if e.json && !json.Valid([]byte(value)) {
			return nil, &editError{fmt.Sprintf("%s: %q is not JSON", e.name, value)}
		}
		edits[i] = e
	}
	return edits, nil
}

// applyEdits changes the data of a dead letter. It returns nil if nothing changes: then it is still the same command.
func applyEdits(l deadletter.Entry, edits []edit, fields []field) ([]byte, error) {
	if len(edits) == 0 {
		return nil, nil
	}
	data := json.RawMessage(bytes.TrimPrefix(l.Data, []byte("\xef\xbb\xbf")))
	if l.Broken == nil { // in structured mode the data is inside the event
		data = l.Event.Data()
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = json.RawMessage("{}")
	}
	before := data
	for _, e := range edits {
		value, err := e.jsonValue(l.Operation, fields)
		if err != nil {
			return nil, err
		}
		if data, err = setPath(data, strings.Split(e.name, "."), value); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	if sameJSON(before, data) {
		return nil, nil
	}
	return data, nil
}

// jsonValue is the value as JSON. A field inside an object, or of an unknown operation, is text.
func (e edit) jsonValue(operation string, fields []field) (json.RawMessage, error) {
	kind := "string"
	if !e.json && fields != nil && !strings.Contains(e.name, ".") {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == e.name })
		if i < 0 {
			var names []string
			for _, f := range fields {
				names = append(names, f.name)
			}
			return nil, &editError{fmt.Sprintf("%s: %s has no such field; it has %s (for one that we do not know, write %s:=json)",
				e.name, operation, strings.Join(names, ", "), e.name)}
		}
		kind = fields[i].kind
	}
	switch {
	case e.json:
	case kind == "string" || kind == "":
		return json.Marshal(e.value)
	case !json.Valid([]byte(e.value)):
		return nil, &editError{fmt.Sprintf("%s: %q is no %s", e.name, e.value, kind)}
	}
	return json.RawMessage(e.value), nil
}

// setPath sets the field at the path. It creates missing objects in between.
func setPath(data json.RawMessage, path []string, value json.RawMessage) (json.RawMessage, error) {
	object := map[string]json.RawMessage{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &object); err != nil || object == nil {
			return nil, fmt.Errorf("the parent of %q is not a JSON object", path[0])
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

// sameJSON says whether two texts are the same JSON, to the last digit of their numbers.
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
