package factro

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// aUUID matches ids whose upper and lower case do not differ.
var aUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// LaneKey is the key of what a command with this data changes, such as one task. It is empty if the command makes something new,
// changes several things, or does not say what it changes. The same id of another kind of thing is another key.
func (o Operation) LaneKey(data []byte) string {
	if o.Lane == "" {
		return ""
	}
	values, err := jsontext.Properties(data, o.Lane)
	if err != nil {
		return ""
	}
	value := values[0]
	if id, isText := laneID(value); isText {
		if id == "" {
			return ""
		}
		if aUUID.MatchString(id) {
			id = strings.ToLower(id)
		}
		return o.Resource + "/" + o.Lane + "/" + id
	}
	var named map[string]string
	if kinds := FieldEntities(o.Lane); len(kinds) == 1 && json.Unmarshal(value, &named) == nil && len(named) == 1 && named["externalkey"] != "" {
		return NamedKey(kinds[0], named["externalkey"])
	}
	canonical, err := jsontext.Canonical(value) // a name that is not factro's id
	if err != nil || len(canonical) == 0 || string(canonical) == "null" {
		return ""
	}
	return o.Resource + "/" + o.Lane + "/" + string(canonical)
}

func laneID(value json.RawMessage) (id string, isText bool) {
	if id, isText = jsontext.String(string(value)); isText {
		return id, true
	}
	return id, json.Unmarshal(value, &id) == nil
}

// NamedKey is the key of the object of a kind that has an external key. The create that gives the external key has it too.
func NamedKey(kind, externalKey string) string { return kind + "/externalkey/" + externalKey }
