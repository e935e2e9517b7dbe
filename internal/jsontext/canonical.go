package jsontext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Canonical writes JSON so that equal data has equal bytes: without blanks, with sorted properties, and strings escaped in
// one way. Numbers keep their digits, since 1 and 1.0 may be different for factro, and invalid text stays different. The
// result is for comparison, not for sending.
func Canonical(data []byte) ([]byte, error) {
	if Whole(data) && Valid(string(data)) {
		if out, ok := appendCanonical(make([]byte, 0, len(data)), bytes.Trim(data, " \n\t\r")); ok {
			return out, nil
		}
	}
	return canonicalByValue(data)
}

// canonicalByValue is Canonical for what is rare.
func canonicalByValue(data []byte) ([]byte, error) {
	d := json.NewDecoder(strings.NewReader(KeepApart(string(data))))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	out, err := Encode(value)
	if err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	return out, nil
}
