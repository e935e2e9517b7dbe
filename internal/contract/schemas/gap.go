package schemas

import (
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// gapSchema is events.Gap.
func gapSchema() map[string]any {
	count := func(doc string) map[string]any {
		return map[string]any{"type": "integer", "minimum": 0, "description": doc}
	}
	return map[string]any{
		"type": "object", "required": ordered.List{"gapId", "since", "until", "missing", "byAction", "records", "published"},
		"description": "What factro's stored payloads had and the stream of events had not.",
		"properties": map[string]any{
			"gapId":     map[string]any{"type": "string", "description": "The gap's id. The event that reports its end has the same."},
			"since":     instant("Where the time begins that was compared, by the records' createdAt."),
			"until":     instant("Where it ends."),
			"missing":   count("How many events were missing."),
			"published": count("How many of them were published: 0 when the gap is detected."),
			"byAction": map[string]any{
				"type": "object", "additionalProperties": map[string]any{"type": "integer", "minimum": 1},
				"description": "How many of each action were missing.",
			},
			"records": map[string]any{
				"type": "array", "maxItems": events.MaxGapRecords,
				"description": fmt.Sprintf("The missing events, the oldest first, at most %d.", events.MaxGapRecords),
				"items": map[string]any{
					"type": "object", "required": ordered.List{"id", "action", "createdAt"},
					"properties": map[string]any{
						"id":        map[string]any{"type": "string", "description": "The id of the event that is published."},
						"action":    map[string]any{"type": "string", "description": "factro's name of the action."},
						"subject":   map[string]any{"type": "string", "description": "What it is about, <resource>/<id>, if the record names an object."},
						"createdAt": instant("When it happened, by factro's clock."),
					},
				},
			},
		},
	}
}
