package translate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/tidwall/gjson"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Receipt is what is known about a delivery besides its body.
type Receipt struct {
	// Cloud is the configured name of the factro cloud, Source the URI that its events carry.
	Cloud, Source string
	// At is when the body arrived.
	At time.Time
	// Origin is how it arrived: webhook.
	Origin string
	// NewID generates the id of an event whose body has none.
	NewID func() string
}

// Event is a webhook as a CloudEvent, with the parts of its subject.
type Event struct {
	event.Event
	// Resource is the object type of the action; EntityID is the id in the body, often of that resource, and empty if the
	// body has none; Action is the webhook's action as factro wrote it.
	Resource, EntityID, Action string
	// NewKeys are top-level keys of the body that the description of factro does not have, the first few of them.
	NewKeys []string
}

// Limits on what goes from a body into attributes, which are sent as headers. Real values are far smaller; an action of a
// megabyte would make a message that no broker accepts.
const (
	maxAction = 256  // bytes; a longer one is refused
	maxID     = 256  // bytes; a longer id is replaced
	maxEntity = 1024 // bytes; a longer entity id is only in the data

	maxNewKeys = 8 // that are reported; one is enough to start looking
)

var (
	errNoAction = errors.New("the body has no action")
	errNotUTF8  = errors.New("the body is not UTF-8, and no charset is declared")
)

// Webhook translates the body of a webhook. The body may have any keys besides action; only context.entityId is confirmed.
// The event's data is raw itself, not a copy, without a byte order mark. raw has to be UTF-8: Content converts other
// charsets.
func Webhook(raw []byte, r Receipt) (Event, error) {
	raw = jsontext.WithoutMark(raw)
	if !utf8.Valid(raw) {
		return Event{}, errNotUTF8
	}
	body, err := partsOf(raw)
	if err != nil {
		return Event{}, err
	}
	action, err := actionOf(body.action)
	if err != nil {
		return Event{}, err
	}
	out := Event{Action: action, Resource: ResourceOf(action), NewKeys: body.newKeys}
	if id, _ := identifier(body.entityID); len(id) <= maxEntity {
		out.EntityID = id
	}
	attributes := &event.EventContextV1{
		ID:              idOf(body.id, r.NewID),
		Source:          *types.ParseURIRef(r.Source),
		Type:            events.EventTypePrefix + action,
		DataContentType: &jsonContentType,
		Time:            &types.Timestamp{Time: timeOf(body.createdAt, r.At)},
		Extensions: map[string]any{
			attr.RecordedTime: types.Timestamp{Time: r.At.UTC()},
			attr.Action:       action,
			attr.Cloud:        r.Cloud,
			attr.Origin:       r.Origin,
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

// parts are the values that an event is made of, as written in the body; empty where there are none.
type parts struct {
	action, id, createdAt, entityID string
	newKeys                         []string
}

// partsOf finds them. It does not parse the whole body, which would cost more than all the rest of the translation.
func partsOf(body []byte) (parts, error) {
	root, err := rootOf(body)
	if err != nil {
		return parts{}, err
	}
	var p parts
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "action":
			p.action = value.Raw
		case "id":
			p.id = value.Raw
		case "createdAt":
			p.createdAt = value.Raw
		case "context":
			p.entityID = ""
			if value.IsObject() {
				value.ForEach(func(key, value gjson.Result) bool {
					if key.Str == "entityId" {
						p.entityID = value.Raw
					}
					return true
				})
			}
		default:
			if len(p.newKeys) < maxNewKeys && !factro.KnowsWebhookKey(key.Str) {
				p.newKeys = append(p.newKeys, strings.Clone(key.Str))
			}
		}
		return true
	})
	return p, nil
}

// rootOf is the object that a body is.
func rootOf(body []byte) (gjson.Result, error) {
	root := gjson.ParseBytes(body)
	if root.IsObject() && json.Valid(body) { // gjson alone accepts invalid JSON
		return root, nil
	}
	_, err := jsontext.Object(body)
	return gjson.Result{}, fmt.Errorf("the body is %w", err)
}

func actionOf(raw string) (string, error) {
	if raw == "" {
		return "", fmt.Errorf(`%w: want a property action such as "TaskStateChanged"`, errNoAction)
	}
	action, ok := jsontext.String(raw)
	switch {
	case !ok && raw[0] == '"':
		return "", fmt.Errorf("%w: action is a string with half of a surrogate pair, want valid text", errNoAction)
	case !ok:
		return "", fmt.Errorf("%w: action is %s, want a string", errNoAction, jsontext.Shape([]byte(raw)))
	case strings.TrimSpace(action) == "":
		return "", fmt.Errorf("%w: action is blank", errNoAction)
	case len(action) > maxAction:
		return "", fmt.Errorf("%w: action is a string of %d bytes, want at most %d", errNoAction, len(action), maxAction)
	}
	return action, nil
}

// idOf returns the body's id if it can be used as one: a string, or a number as written. An id that is not valid text, or
// too long, is replaced, always by the same one.
func idOf(raw string, newID func() string) string {
	id, ok := identifier(raw)
	switch {
	case !ok && len(raw) > 0 && raw[0] == '"', len(id) > maxID:
		return standInID(raw)
	case strings.TrimSpace(id) == "":
		return newID()
	}
	return id
}

// timeOf returns the body's createdAt if it is a time, else when the body arrived.
func timeOf(raw string, received time.Time) time.Time {
	if s, ok := jsontext.String(raw); ok {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil && factro.IsEventTime(t) {
			return t.UTC()
		}
	}
	return received.UTC()
}
