package schemas

import (
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// changeSchema is the data of a change.Change.
func changeSchema() map[string]any {
	fields := func(doc string) map[string]any { return map[string]any{"type": "object", "description": doc} }
	return map[string]any{
		"type": "object", "required": ordered.List{"before", "after", "changed"},
		"description": "What changed about an object. Only top-level fields are compared: of an object in a field both values are whole.",
		"properties": map[string]any{
			"before": fields("The fields that differ, as they were; with the header " + change.HeaderWhole + " all fields. Empty of an object that was created. A field that is here and not in after was removed."),
			"after":  fields("The fields that differ, as they are now; with the header " + change.HeaderWhole + " all fields. Empty of an object that was deleted."),
			"changed": map[string]any{
				"type": "array", "items": map[string]any{"type": "string"}, "description": "The names of the fields that differ, sorted.",
			},
			"status": map[string]any{
				"type": "integer", "enum": ordered.List{403, 404},
				"description": "What factro answered for an object that was deleted: 404, or 403 if the API key may not read it any more.",
			},
		},
	}
}

// stateHeadersSchema are the headers of an entry of the state, which package change reads.
func stateHeadersSchema() map[string]any {
	text := func(doc string) map[string]any { return map[string]any{"type": "string", "description": doc} }
	digits := func(doc string) map[string]any {
		return map[string]any{"type": "string", "pattern": "^[0-9]+$", "description": doc}
	}
	return map[string]any{
		"type": "object", "required": ordered.List{change.HeaderReadAt, change.HeaderOrigin},
		"description": "What an entry of the state says of itself.",
		"properties": map[string]any{
			change.HeaderReadAt: instant("When the bridge began to read the object at factro, by its clock."),
			change.HeaderOrigin: map[string]any{
				"type": "string", "enum": ordered.List{change.OriginEvent, change.OriginSnapshot, change.OriginVerify},
				"description": "Why it was read: event, since an event said that it may have changed; snapshot, since it was not known; verify, since a comparison with factro found a difference that no event had announced.",
			},
			change.HeaderCause:  text(fmt.Sprintf("The ids of the events that led to it, separated by blanks, at most %d. Absent for snapshot and verify.", change.MostCauses)),
			change.HeaderChange: digits("The sequence of the change that led to it, in the stream of changes. Absent if there was none."),
			change.HeaderStatus: map[string]any{
				"type": "string", "enum": ordered.List{"403", "404"},
				"description": "Only with KV-Operation: what factro answered, 404 if the object is gone, 403 if the API key may not read it.",
			},
			change.HeaderDropped: map[string]any{
				"type": "string", "enum": ordered.List{"true"},
				"description": "The entry is not all that factro answered: fields are missing that mirror.drop_fields names, or it was made of a change after a crash. Absent otherwise.",
			},
			"KV-Operation": map[string]any{
				"type": "string", "enum": ordered.List{"DEL"}, "description": "The object is gone: the entry is a delete marker and has no value.",
			},
		},
	}
}
