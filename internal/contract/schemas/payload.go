package schemas

import (
	"fmt"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ownComponents are the component schemas that are the bridge's and not the Core API's.
func ownComponents() map[string]map[string]any {
	return map[string]map[string]any{
		"Event": eventSchema(), "Result": resultSchema(), "ResultError": errorSchema(), "PlannedCall": plannedCallSchema(),
		"StoredAnswer": storedAnswerSchema(), "Gap": gapSchema(), "Notice": noticeSchema(), "Change": changeSchema(), "StateHeaders": stateHeadersSchema(), "Status": statusSchema(), "StatusRequest": statusRequestSchema(),
		"CancelRequest": cancelRequestSchema(), "CancelAnswer": cancelAnswerSchema(),
		"FieldError": fieldErrorSchema(), anyJSON: anyJSONSchema(), keyRef: keyRefSchema(),
	}
}

// eventSchema is what can be promised of an event's data, which is the body of a webhook as factro sent it: next to
// nothing. Keys beside action and context are those of a stored payload, should a delivery carry them. What is proven
// has its type, since programs are generated from it, and the others have none. The bridge demands action only: a body that
// is not of this schema is an event all the same.
func eventSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"action"}, "additionalProperties": true,
		"description": "The body of a webhook, as UTF-8 without a byte order mark and unpacked, else byte for byte. Proven of it are action and context.entityId; whether a delivery " +
			"carries the other keys, which are those of a stored payload, is not known. Where a description names their type, expect any " +
			"other as well. The bridge demands action only, so a body that is not of this schema is an event all the same: do not drop it.",
		"properties": map[string]any{
			"action": map[string]any{
				"type": "string", "pattern": `\S`, "maxLength": 256, "x-confidence": "observed",
				"description": "factro's name of the action, such as TaskStateChanged. An open vocabulary of about 300 names.",
			},
			"context": map[string]any{
				"type": "object", "additionalProperties": true, "x-confidence": "observed",
				"description": "What happened, by action. No new values are known to be in it: whoever needs them reads the object.",
				"properties": map[string]any{"entityId": map[string]any{
					"type": "string", "x-confidence": "observed",
					"description": "Id of the object that the action happened to: the task, for TaskExecutorChanged.",
				}},
			},
			"id":               guess("A string: identity of the delivery. Where there is one, or a number, it is the event's id, too."),
			"webhookId":        guess("A string."),
			"createdAt":        guess("A string: when it happened. Where it is a time, it is the event's time, too."),
			"mandantId":        guess("A string: the tenant."),
			"deliveryStatus":   guess("A string."),
			"deliveryAttempts": guess("An integer."),
			"webhook":          guess("An object: the registered webhook. In stored payloads it holds the webhook's secret in clear text."),
		},
	}
}

// guess is a key of the stored payload that is not proven for a delivery.
func guess(doc string) map[string]any {
	return map[string]any{"description": doc, "x-confidence": "inferred"}
}

// instant is a time that the bridge writes. The format is for people and generators: few validators check one.
func instant(doc string) map[string]any {
	return map[string]any{
		"type": "string", "format": "date-time", "description": doc,
		"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
	}
}

// resultSchema is events.Result without its response, which depends on the operation.
func resultSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"operation", "outcome", "attempts", "startedAt"},
		"description": "The outcome of a command.",
		"properties": map[string]any{
			"operation": map[string]any{"type": "string", "description": "The operation of the command's subject."},
			"outcome":   map[string]any{"type": "string", "enum": OutcomeNames(), "description": OutcomeText()},
			"status": map[string]any{
				"type": "integer", "minimum": 100, "maximum": 599,
				"description": "The Core API's HTTP status. Absent if it was not asked or did not answer.",
			},
			"attempts":   map[string]any{"type": "integer", "minimum": 0, "description": "The calls that were made."},
			"startedAt":  instant("When the bridge took the command into its hand."),
			"finishedAt": instant("When it was decided. Absent from a deferred result."),
			"resource": map[string]any{
				"type": "object", "required": ordered.List{"type"}, "description": "The object that the command was about, as far as it is known.",
				"properties": map[string]any{
					"type": map[string]any{"type": "string", "description": "factro's resource in the singular, such as task."},
					"id":   map[string]any{"type": "string"},
					"url":  map[string]any{"type": "string", "format": "uri", "description": "Shows the object in factro's web UI, where the form of the link is known."},
				},
			},
			"responseOmitted": map[string]any{
				"type": "boolean", "description": "There was a response, and it was too large to be passed on, or to be kept for a repetition of this result.",
			},
			"adopted": map[string]any{
				"type":        "boolean",
				"description": "factro did not answer the call, and what it had made was found by looking for it. The response is the object as factro lists it.",
			},
			"existing": map[string]any{
				"type": "boolean", "description": "The create has an external key whose object exists, so nothing was created. resource is that object. With onconflict update it was updated.",
			},
			"error":   map[string]any{"allOf": ordered.List{Ref("ResultError")}},
			"retryAt": instant("When a deferred command is tried next, as far as that is known."),
			"commandDigest": map[string]any{
				"type": "string", "pattern": "^sha256:[0-9a-f]{64}$",
				"description": "A digest of the command's data: equal for equal data, however it is written (blanks, the order of properties, escapes). " +
					"A repeated result has that of the data that was carried out, so another digest says that the id was used before, for other data. " +
					"Absent from results of bridges before contract 3.0, and where the data was no JSON.",
			},
			"set": map[string]any{
				"description": "The fields of factro's object that an applied command has set, under their names in that object, with the values that were sent. " +
					"Of a command for a list the same of each object that exists, with its id. " +
					"Absent if it set none, if the values are larger than 4 KiB, and from results of older bridges.",
			},
			"setOmitted": map[string]any{
				"type": "array", "items": map[string]any{"type": "string"}, "minItems": 1,
				"description": "The names of the fields that the command has set, if their values were too large for set.",
			},
		},
		"if": map[string]any{
			"required":   ordered.List{"outcome"},
			"properties": map[string]any{"outcome": map[string]any{"enum": ordered.List{string(events.Rejected), string(events.Dead)}}},
		},
		"then": map[string]any{"required": ordered.List{"error"}},
	}
}

// errorSchema is events.Error.
func errorSchema() map[string]any {
	names, text := ordered.List{}, "Why it was not carried out."
	for _, c := range Codes {
		names = append(names, c.Name)
		text += fmt.Sprintf(" %s: %s.", c.Name, strings.ReplaceAll(c.Meaning, "`", ""))
	}
	return map[string]any{
		"type": "object", "required": ordered.List{"code", "message", "detail"}, "description": "Why a command or a query was not carried out.",
		"properties": map[string]any{
			"code":    map[string]any{"type": "string", "enum": names, "description": text},
			"message": map[string]any{"type": "string", "description": "A sentence for people."},
			"detail": map[string]any{
				"type": "array", "minItems": 1, "items": Ref("FieldError"),
				"description": "For machines: of invalid data all mistakes, else one entry with the reason.",
			},
			"earlier": map[string]any{
				"allOf": ordered.List{Ref("Result")}, "description": "Of a conflict the result of the command that had the source and id before, without its response, if it has one.",
			},
			"answer": map[string]any{
				"description": "What factro answered, as JSON if it was JSON and as a string otherwise, at most 4 KiB. Absent if it was not asked, or answered nothing.",
			},
		},
	}
}

// fieldErrorSchema is events.FieldError.
func fieldErrorSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"pointer", "message"}, "description": "A mistake, or another reason.",
		"properties": map[string]any{
			"pointer": map[string]any{
				"type":        "string",
				"description": "JSON pointer of the value; of the object, if a property is missing; empty if the reason is not in the data, or in all of it.",
			},
			"message": map[string]any{"type": "string", "description": "What the value is and what would be right, or the reason."},
		},
	}
}

// plannedCallSchema is the response of a dry run.
func plannedCallSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"method", "path"}, "description": "The call that a dry run would have made.",
		"properties": map[string]any{
			"method":      map[string]any{"type": "string", "enum": ordered.List{"POST", "PUT", "DELETE"}},
			"path":        map[string]any{"type": "string", "description": "The path below the Core API's base URL."},
			"query":       map[string]any{"type": "string", "description": "What stands behind the path and a question mark, if anything does."},
			"contentType": map[string]any{"type": "string", "description": "That of the body, if there is one."},
			"body":        map[string]any{"description": "The body, if it is JSON."},
			"file": map[string]any{
				"type": "object", "required": ordered.List{"name", "contentType", "size"}, "description": "The file that an upload would send.",
				"properties": map[string]any{
					"name":        map[string]any{"type": "string"},
					"contentType": map[string]any{"type": "string"},
					"size":        map[string]any{"type": "integer", "minimum": 0, "description": "Bytes."},
					"object": map[string]any{
						"type": "object", "required": ordered.List{"bucket", "name"}, "description": "Where it lies, if the command does not hold it.",
						"properties": map[string]any{"bucket": map[string]any{"type": "string"}, "name": map[string]any{"type": "string"}},
					},
				},
			},
		},
	}
}

// storedAnswerSchema is the reply to a query whose answer no message can hold.
func storedAnswerSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": ordered.List{"object"},
		"description": "Where an answer lies that is too large for a message: an object of JetStream's object store. The header " +
			events.HeaderObject + " says the same.",
		"properties": map[string]any{"object": map[string]any{
			"type": "object", "required": ordered.List{"bucket", "name"},
			"properties": map[string]any{
				"bucket": map[string]any{"type": "string"},
				"name":   map[string]any{"type": "string"},
				"size":   map[string]any{"type": "integer", "minimum": 0, "description": "Bytes."},
			},
		}},
	}
}
