package translate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Receipt is what we know of a delivery beside its body.
type Receipt struct {
	// Cloud is the configured name of the factro cloud, Source the URI that its events carry.
	Cloud, Source string
	// At is when the body arrived.
	At time.Time
	// Origin tells how it came: webhook.
	Origin string
	// NewID gives the id of an event whose body has none.
	NewID func() string
}

// Event is a webhook as a CloudEvent, with the parts that its subject is made of.
type Event struct {
	event.Event
	// Resource is what the action is about, EntityID the id that the body names (often of that resource, and empty if the
	// body names none), Action the webhook's action as factro wrote it.
	Resource, EntityID, Action string
}

// Limits on what a body may put into attributes, which travel as headers. Nothing real comes near; a megabyte of action
// would make a message that no broker takes.
const (
	maxAction = 256  // bytes; a longer one is a mistake
	maxID     = 256  // bytes; a longer id is not used, and one is minted instead
	maxEntity = 1024 // bytes; a longer entity id stays in the data alone
)

var (
	errNotJSON   = errors.New("the body is not JSON")
	errNotObject = errors.New("the body is not a JSON object")
	errNoAction  = errors.New("the body has no action")
)

// byteOrderMark may stand before JSON though it should not. It is read over, and kept in the data like all else.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Webhook translates the body of a webhook. The body may have any keys beside action; what is proven of them is only
// context.entityId. The event's data is raw itself, not a copy.
func Webhook(raw []byte, r Receipt) (Event, error) {
	body, err := object(bytes.TrimPrefix(raw, byteOrderMark))
	if err != nil {
		return Event{}, err
	}
	action, err := actionOf(body["action"])
	if err != nil {
		return Event{}, err
	}
	out := Event{Action: action, Resource: events.ResourceOf(action)}
	if fields, err := object(body["context"]); err == nil {
		if id, _ := text(fields["entityId"]); len(id) <= maxEntity {
			out.EntityID = id
		}
	}
	attributes := &event.EventContextV1{
		ID:              idOf(body["id"], r.NewID),
		Source:          *types.ParseURIRef(r.Source),
		Type:            events.EventTypePrefix + action,
		DataContentType: &jsonContentType,
		Time:            &types.Timestamp{Time: timeOf(body["createdAt"], r.At)},
		Extensions: map[string]any{
			events.ExtRecordedTime: types.Timestamp{Time: r.At.UTC()},
			events.ExtAction:       action,
			events.ExtCloud:        r.Cloud,
			events.ExtOrigin:       r.Origin,
		},
	}
	if out.EntityID != "" {
		subject := out.Resource + "/" + out.EntityID
		attributes.Subject = &subject
	}
	out.Event = event.Event{Context: attributes, DataEncoded: raw}
	return out, nil
}

var jsonContentType = event.ApplicationJSON

// object reads a JSON object by its exact keys. encoding/json would take "Action" for "action" if asked for a struct.
func object(raw []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(raw, &fields)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		return nil, fmt.Errorf("%w but %s", errNotObject, article(wrongType.Value))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errNotJSON, err)
	case fields == nil: // the text null
		return nil, fmt.Errorf("%w but null", errNotObject)
	}
	return fields, nil
}

func actionOf(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", fmt.Errorf(`%w: want a property action such as "TaskStateChanged"`, errNoAction)
	}
	action, ok := text(raw)
	switch {
	case !ok:
		return "", fmt.Errorf("%w: action is %s, want a string", errNoAction, shapeOf(raw))
	case strings.TrimSpace(action) == "":
		return "", fmt.Errorf("%w: action is blank", errNoAction)
	case len(action) > maxAction:
		return "", fmt.Errorf("%w: action is a string of %d bytes, want at most %d", errNoAction, len(action), maxAction)
	}
	return action, nil
}

// idOf takes the body's id, where there is one that can be an id: a string, or a number as it is written.
func idOf(raw json.RawMessage, newID func() string) string {
	id, ok := text(raw)
	if !ok && len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		id = string(raw)
	}
	if strings.TrimSpace(id) == "" || len(id) > maxID {
		return newID()
	}
	return id
}

// timeOf takes the body's createdAt where it is a time, else when the body arrived.
func timeOf(raw json.RawMessage, received time.Time) time.Time {
	if s, ok := text(raw); ok {
		// The year in UTC is what counts: an offset at the end of 9999 makes a time that no event can hold.
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.UTC().Year() > 0 && t.UTC().Year() <= 9999 {
			return t.UTC()
		}
	}
	return received.UTC()
}

// text returns the value of a JSON string.
func text(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// shapeOf names the JSON type of a value, for people.
func shapeOf(raw json.RawMessage) string {
	switch {
	case len(raw) == 0:
		return "absent"
	case raw[0] == '"':
		return "a string"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "an array"
	case raw[0] == 'n':
		return "null"
	case raw[0] == 't', raw[0] == 'f':
		return "a boolean"
	}
	return "a number"
}

func article(jsonType string) string {
	switch jsonType {
	case "array", "object":
		return "an " + jsonType
	case "bool":
		return "a boolean"
	}
	return "a " + strings.Fields(jsonType)[0]
}
