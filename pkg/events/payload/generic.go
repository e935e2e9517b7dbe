package payload

import (
	"encoding/json"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Generic is a payload for any operation, also for those that have no struct here. "bridge contract operations" lists
// them with their resources and fields.
type Generic struct {
	// Name and Resource are those of the operation, such as getTask and task.
	Name, Resource string
	// Data becomes the JSON object of the operation's fields, path parameters among them: a map, a struct, or a
	// json.RawMessage. Nil stands for an operation without input.
	Data any
}

// Operation implements [events.Payload].
func (g Generic) Operation() events.Operation {
	return events.Operation{Name: g.Name, Resource: g.Resource}
}

// MarshalJSON writes the data alone.
func (g Generic) MarshalJSON() ([]byte, error) {
	if g.Data == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(g.Data)
}
