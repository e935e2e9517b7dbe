package factro

import (
	"encoding/json"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// LaneKey is the key of what a command with this data changes, such as one task. It is empty if the command makes something new,
// changes several things, or does not say what it changes. The same id of another kind of thing is another key.
func (o Operation) LaneKey(data []byte) string {
	if o.Lane == "" {
		return ""
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return ""
	}
	value := fields[o.Lane]
	var id string
	if json.Unmarshal(value, &id) == nil {
		if id == "" {
			return ""
		}
		return o.Resource + "/" + o.Lane + "/" + id
	}
	canonical, err := jsontext.Canonical(value) // a name that is not factro's id
	if err != nil || len(canonical) == 0 || string(canonical) == "null" {
		return ""
	}
	return o.Resource + "/" + o.Lane + "/" + string(canonical)
}
