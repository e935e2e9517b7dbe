package contract

import (
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Names of the question why commands wait, and of its answer.
const (
	statusName       = "status"
	statusAnswerName = "answer.status"
)

// status describes the question why the commands of a cloud wait.
func (d *document) status() {
	d.message(statusName, object{
		{"name", statusName},
		{"title", "Why commands wait"},
		{"summary", "Asks the bridge with the role egress why the commands of a cloud wait, and how far one of them is."},
		{"contentType", "application/json"},
		{"payload", reference(componentsPrefix + "StatusRequest")},
		{"examples", list{sample{payload: mustJSON(events.StatusRequest{Position: d.prefix.CommandStream(exampleCloud) + ":17"})}.example("How far is this command?")}},
	})
	d.channel(statusName, d.prefix.Status("cloud"), "Why commands wait", inline{}, parameters("cloud"))
	d.answer(statusAnswerName, object{
		{"name", statusAnswerName},
		{"title", "What commands wait for"},
		{"summary", "What the bridge that has a command in flight knows, or else one that would take the next. factro is not called for it."},
		{"contentType", "application/json"},
		{"payload", reference(componentsPrefix + "Status")},
		{"examples", list{sample{payload: mustJSON(exampleStatus())}.example("factro cannot be reached")}},
	})
	replies := list{}
	for _, m := range []string{statusAnswerName, queryErrorName} {
		replies = append(replies, reference(channelRef(answerChannel)+"/messages/"+m))
	}
	d.operation(statusName, "receive", object{
		{"summary", "Say why commands wait."},
		{"reply", object{{"channel", reference(channelRef(answerChannel))}, {"messages", replies}}},
	})
}

func exampleStatus() events.Status {
	since, next := exampleTime, exampleTime.Add(2*time.Minute)
	return events.Status{
		Cloud: exampleCloud, At: exampleTime.Add(time.Minute), Waiting: new(uint64(4)), Command: events.CommandQueued, Before: new(uint64(3)),
		InHand: &events.InHand{State: events.HandWaiting, Since: &since, Attempts: 5, Reason: events.ReasonNoConnection},
		Factro: events.Condition{State: events.Unreachable, Since: &since, Reason: events.ReasonNoConnection, RetryAt: &next},
	}
}

// statusRequestSchema is events.StatusRequest.
func statusRequestSchema() map[string]any {
	return map[string]any{
		"type": "object", "description": "What is asked about. No data at all counts as {}.",
		"properties": map[string]any{"position": map[string]any{
			"type": "string", "description": "The place of a command in its stream, <stream>:<sequence>, as the acknowledgement has it.",
		}},
	}
}

// statusSchema is events.Status. Its codes are open: there will be further reasons.
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
			"type": "object", "required": list{"state"}, "description": doc,
			"properties": map[string]any{
				"state": text(states), "since": instant("When it began."), "reason": text(reasons),
				"status":  count("The HTTP status that goes with the reason, if any does."),
				"retryAt": instant("When it is tried again, as far as that is known."),
			},
		}
	}
	return map[string]any{
		"type": "object", "required": list{"cloud", "at", "factro"}, "description": "Why the commands of a cloud wait. Readers expect other codes than these, too.",
		"properties": map[string]any{
			"cloud":   text("The cloud's name."),
			"at":      instant("When the bridge said so."),
			"waiting": count("The commands that are not settled, the one in flight included. Absent if the bridge cannot see the queue."),
			"command": text("How far the command is that was asked about: queued, inHand, or settled, which means that its result is there."),
			"before":  count("How many commands are before it, the one in flight included."),
			"inHand": map[string]any{
				"type": "object", "required": list{"state"}, "description": "The command that is worked on, of whomever. Absent if there is none.",
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
					"asked-to-wait: factro asks to be left alone for a while."),
		},
	}
}
