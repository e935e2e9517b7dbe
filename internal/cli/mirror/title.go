package mirror

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/cli/output"
)

// titleFields are the fields that name an object to people, the best first.
var titleFields = []string{"title", "name", "subject", "text", "description"}

// titleOf is what people call an object, or "" if its fields do not say.
func titleOf(fields map[string]json.RawMessage) string {
	text := func(name string) (s string) {
		_ = json.Unmarshal(fields[name], &s) // else it has none
		return strings.TrimSpace(s)
	}
	for _, name := range titleFields {
		if title := text(name); title != "" {
			return output.OneLine([]byte(title))
		}
	}
	person := strings.TrimSpace(text("firstName") + " " + text("lastName"))
	return output.OneLine([]byte(cmp.Or(person, text("emailAddress"))))
}

// fieldsOf are the fields of an object, none if it is no object.
func fieldsOf(data json.RawMessage) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(data, &fields) // a mirrored object is one
	return fields
}

// valueText is a value of a field as people write it: a text without quotes, anything else as JSON.
func valueText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text // of null it is empty
	}
	return string(value)
}
