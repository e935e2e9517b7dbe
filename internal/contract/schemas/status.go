package schemas

import (
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
)

// statusRequestSchema is status.Request.
func statusRequestSchema() map[string]any {
	return map[string]any{
		"type": "object", "description": "What is asked about. No data at all counts as {}.",
		"properties": map[string]any{
			"position": map[string]any{
				"type": "string", "description": "The place of a command in its stream, <stream>:<sequence>, as the acknowledgement has it.",
			},
			"source": map[string]any{"type": "string", "description": "The ce-source of the command, if it has one."},
			"id": map[string]any{
				"type": "string", "description": "Its id. With it the answer tells a command that waits for its notbefore from one that is settled.",
			},
		},
	}
}

// statusSchema is status.Status. Its codes are open: there will be further reasons.
func statusSchema() map[string]any {
	text := func(doc string) map[string]any { return map[string]any{"type": "string", "description": doc} }
	instant := func(doc string) map[string]any {
		return map[string]any{"type": "string", "format": "date-time", "description": doc}
	}
	count := func(doc string) map[string]any {
		return map[string]any{"type": "integer", "minimum": 0, "description": doc}
	}
	condition := func(doc, states, reasons string) map[string]any {
		return map[string]any{
			"type": "object", "required": ordered.List{"state"}, "description": doc,
			"properties": map[string]any{
				"state": text(states), "since": instant("When it began."), "reason": text(reasons),
				"status": count("The HTTP status that goes with the reason, if any does."),
				"by":     text("Who has paused it, if an operator has."), "why": text("Why that operator has."),
				"retryAt": instant("When it is tried again, as far as that is known."),
			},
		}
	}
	return map[string]any{
		"type": "object", "required": ordered.List{"cloud", "at", "factro"}, "description": "Why the commands of a cloud wait. Readers expect other codes than these, too.",
		"properties": map[string]any{
			"cloud":     text("The cloud's name."),
			"at":        instant("When the bridge said so."),
			"waiting":   count("The commands that are not settled, the one in flight included. Absent if the bridge cannot see the queue."),
			"command":   text("How far the command is that was asked about: queued, inHand, delayed, which means that it waits for its notbefore, or settled, which means that its result is there."),
			"notBefore": instant("When a delayed command is carried out at the earliest."),
			"before":    count("How many commands are before it, the one in flight included."),
			"inHand": map[string]any{
				"type": "object", "required": ordered.List{"state"}, "description": "The command that is worked on, of whomever. Absent if there is none.",
				"properties": map[string]any{
					"state": text("calling: factro is asked. waiting: it may not be asked just now. retrying: the last call failed, the next is due in a moment. " +
						"looking: it is looked for what a call without an answer has made. elsewhere: another bridge has it and does not answer, or it comes again in a moment."),
					"since":    instant("When the bridge took it."),
					"attempts": count("The calls that were made for it."),
					"reason":   text("Why the last of them failed, as in factro."),
				},
			},
			"factro": condition("Whether the Core API can be reached.", "reachable or unreachable.",
				"Why it is unreachable: no-connection, no-answer, error-status, or bad-answer, which is no answer of the Core API's."),
			"paused": condition("Why no command is begun although factro can be reached. Absent if none is held back.", "paused.",
				"key-refused: factro does not accept the API key. key-missing: the bridge has none. throttled: factro's request budget is used up. "+
					"asked-to-wait: factro asks to be left alone for a while. operator: an operator has paused the commands."),
		},
	}
}
