package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Event is a message that a subscription hands over: an event out of factro, a result or a dead letter.
type Event struct {
	// CloudEvent has the attributes and the data. Its methods return them: ID, Type, Time, Extensions and so on. A dead
	// letter may have been no CloudEvent; then it has no attributes.
	CloudEvent event.Event
	// Subject is the one that the message has in its stream.
	Subject string
	// Header has the message's headers, those of the attributes among them.
	Header nats.Header
	// Cloud, Resource, EntityID and Action are what an event is about, with their true values, also where these can be no
	// tokens of a subject. Of a change, Action is what happened: created, updated or deleted. Of a result and of a dead command, Action is the operation, and EntityID is empty if it was not
	// known; of a dead webhook there is only the cloud.
	Cloud, Resource, EntityID, Action string
	// Deliveries counts how often the message was delivered to this consumer, this time included. More than one says that
	// it was handled before, in whole or in part.
	Deliveries uint64
	// Stored is when the stream took it, and Sequence is its place there.
	Stored   time.Time
	Sequence uint64

	data []byte
}

// Data returns the message's data: of an event the body of the webhook as UTF-8, unpacked. Older bridges left a
// byte order mark before it.
func (e Event) Data() []byte { return e.data }

// Decode decodes the data, which is JSON, into v, with or without a byte order mark before it. Only action and
// context.entityId are proven of events.
func (e Event) Decode(v any) error {
	if err := json.Unmarshal(bytes.TrimPrefix(e.data, []byte("\ufeff")), v); err != nil {
		return fmt.Errorf("data of %s: %w", e.Subject, err)
	}
	return nil
}

// Result returns the result that the event carries.
func (e Event) Result() (Result, error) { return ResultOf(e.CloudEvent) }

// newEvent reads a message of a stream. The error says that it is no event.
func newEvent(p Prefix, subject string, header nats.Header, data []byte) (Event, error) {
	e := Event{Subject: subject, Header: header, data: data}
	t := strings.Split(strings.TrimPrefix(subject, string(p)+"."), ".")
	kind := t[0]
	if kind == "dead" && len(t) > 1 {
		kind, t = kind+"."+t[1], t[1:]
	}
	t = append(t, "", "", "", "")
	switch e.Cloud = t[1]; kind {
	case "event", "change":
		e.Resource, e.EntityID, e.Action = t[2], t[3], t[4]
	default:
		e.Resource, e.Action = t[2], t[3]
	}
	var err error
	switch e.CloudEvent, err = FromMsg(header, data); {
	case err == nil:
		e.data = e.CloudEvent.Data()
	case strings.HasPrefix(kind, "dead."): // a dead letter may be anything; that may be why it is dead
		return e, nil
	default:
		return e, err
	}
	if action, ok := e.CloudEvent.Extensions()[attr.Action].(string); ok && kind == "event" {
		e.Action = action
	}
	if resource, id, ok := strings.Cut(e.CloudEvent.Subject(), "/"); ok && kind != "change" && !strings.HasPrefix(kind, "dead.") {
		e.Resource, e.EntityID = resource, id
	}
	if id := e.CloudEvent.Subject(); kind == "change" && id != "" {
		e.EntityID = id
	}
	return e, nil
}
