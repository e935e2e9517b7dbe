package contract

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Messages that answer any query.
const (
	queryErrorName   = "answer.error"
	storedAnswerName = "answer.object"
)

// refusedQuery is the message that says why there is no answer.
func refusedQuery() ordered.Object {
	const text = `Task with id "` + exampleEntityID + `" not found`
	return ordered.Object{
		{"name", queryErrorName},
		{"title", "Error of a query"},
		{"summary", "Why there is no answer."},
		{"contentType", "application/json"},
		{"headers", ordered.Object{
			{"type", "object"},
			{"required", ordered.List{events.HeaderErrorCode, events.HeaderError}},
			{"properties", ordered.Object{
				{events.HeaderErrorCode, ordered.Object{{"type", "string"}, {"pattern", "^[1-5][0-9][0-9]$"}, {"description", "factro's HTTP status, or the one that the bridge would give."}}},
				{events.HeaderError, ordered.Object{{"type", "string"}, {"description", "One line for people."}}},
				{queries.HeaderRetryAfter, ordered.Object{{"type", "string"}, {"pattern", "^[0-9]+$"}, {"description", "Seconds until it is worth asking again, if that is known."}}},
			}},
		}},
		{"payload", reference(componentsPrefix + "ResultError")},
		{"examples", ordered.List{sample{
			headers: map[string]string{events.HeaderErrorCode: strconv.Itoa(http.StatusNotFound), events.HeaderError: text},
			payload: mustJSON(&events.Error{Code: events.CodeRefused, Message: text, Detail: mustJSON([]events.FieldError{{Message: text}}), Answer: mustJSON(text)}),
		}.example("No such task")}},
	}
}

// storedAnswer is the message that says where an answer lies that no message can hold.
func storedAnswer(p events.Prefix) ordered.Object {
	bucket, name := p.AnswerBucket(ExampleCloud), exampleEventID
	return ordered.Object{
		{"name", storedAnswerName},
		{"title", "Large answer"},
		{"summary", "Where an answer lies that is too large for a message."},
		{"contentType", "application/json"},
		{"headers", ordered.Object{
			{"type", "object"},
			{"required", ordered.List{events.HeaderObject}},
			{"properties", ordered.Object{{events.HeaderObject, ordered.Object{{"type", "string"}, {"description", "<bucket>/<name> in JetStream's object store."}}}}},
		}},
		{"payload", reference(componentsPrefix + "StoredAnswer")},
		{"examples", ordered.List{sample{
			headers: map[string]string{events.HeaderObject: bucket + "/" + name},
			payload: mustJSON(ordered.Object{{"object", ordered.Object{{"bucket", bucket}, {"name", name}, {"size", 2 << 20}}}}),
		}.example("Two mebibytes")}},
	}
}

// mustJSON is for values that are written in this room.
func mustJSON(v any) json.RawMessage {
	text, err := jsontext.Encode(v)
	if err != nil {
		panic(err)
	}
	return text
}
