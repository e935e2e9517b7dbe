package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// String returns the value of a JSON string, if it is valid text.
func String(raw string) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if skipString([]byte(raw), 0) == len(raw) && plainName(raw) {
		return raw[1 : len(raw)-1], true // no escapes, in nearly all cases
	}
	var s string
	if !Valid(raw) || json.Unmarshal([]byte(raw), &s) != nil {
		return "", false
	}
	return s, true
}

// Object returns the properties of a JSON object by their exact names. With a struct, encoding/json would accept "Action" for
// "action". The values are parts of the text, as a rule. The error says what the text is instead.
func Object(raw []byte) (map[string]json.RawMessage, error) {
	var room [16]Member
	if all, ok := Members(raw, room[:0]); ok {
		fields := make(map[string]json.RawMessage, len(all))
		for _, m := range all {
			fields[m.Name] = m.Value
		}
		return fields, nil
	}
	return objectByValue(raw)
}

// objectByValue is Object for what is rare, and for mistakes.
func objectByValue(raw []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(raw, &fields)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType), err == nil && fields == nil: // the latter is the text null
		return nil, fmt.Errorf("not a JSON object but %s", Shape(raw))
	case err != nil:
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return fields, nil
}

// Properties returns the values of some properties of a JSON object, nil for those that it does not have. It costs less than Object where
// few of many are needed.
func Properties(raw []byte, names ...string) ([]json.RawMessage, error) {
	values := make([]json.RawMessage, len(names))
	var room [64]Member
	if all, ok := Members(raw, room[:0]); ok {
		for _, m := range all {
			if i := slices.Index(names, m.Name); i >= 0 {
				values[i] = m.Value
			}
		}
		return values, nil
	}
	fields, err := objectByValue(raw)
	for i, name := range names {
		values[i] = fields[name]
	}
	return values, err
}

// Shape names the type of a JSON value with its article, for people.
func Shape(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "empty"
	}
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}

// Encode writes JSON without a line end. It leaves <, > and & as they are: escaped for HTML, a value would not be what was sent.
func Encode(v any) ([]byte, error) {
	if fields, ok := v.(map[string]json.RawMessage); ok && fields != nil {
		size := 2
		for name, value := range fields {
			size += len(name) + len(value) + len(`"":,`)
		}
		if out, ok := appendObject(make([]byte, 0, size), fields); ok {
			return out, nil
		}
	}
	return encodeByValue(v)
}

func encodeByValue(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// byteOrderMark may wrongly precede JSON in UTF-8. Few JSON readers skip it.
var byteOrderMark = []byte("\xef\xbb\xbf")

// WithoutMark returns JSON without a byte order mark before it.
func WithoutMark(raw []byte) []byte { return bytes.TrimPrefix(raw, byteOrderMark) }
