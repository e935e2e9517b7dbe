package events

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Command is a command as it arrived.
type Command struct {
	// Address is what the subject says: cloud, resource and operation.
	Address
	// Event holds the attributes and the data. It is a field of its own and not embedded, since it brings methods, such
	// as String and MarshalJSON, that know nothing of the rest of a command.
	Event event.Event
	// Plain tells that the sender sent plain JSON and no CloudEvent. Then the event's source and type are made up.
	Plain bool
	// Position is the place of the message in its stream, "<stream>:<sequence>".
	Position string
	// ReplyTo is the subject that is to get a copy of the results, or "".
	ReplyTo string
	// Redrive is the sequence of the dead letter that an operator has sent once more, or "".
	Redrive string
}

// DecodeCommand reads a command: a CloudEvent in binary or structured mode, or a plain JSON object, as from "nats pub".
//
// A CloudEvent must have the type "com.factro.command.<operation>" with the operation of the subject. A plain object
// becomes an event of that type without a time; its id is the message id of JetStream, else position, which is a stable
// name of the message's place in its stream, "<stream>:<sequence>", so that a redelivery keeps its id; its source is
// "urn:nats:<subject>". The data of a command is a JSON object; no data at all counts as {}, for operations that need no
// input.
//
// A command that an operator sends once more comes on the subject that [Prefix.Redrive] builds. There it must have the header
// [HeaderRedrive], and on the subject of a command it must not have it, since everybody who sends commands may publish there.
//
// The error is a sentence for the sender, who is told all mistakes at once. It names headers, attributes and shapes,
// and quotes at most 80 bytes of a value, never the data. With an error too the command holds what is known of it, so
// that a result can be published: the address if the subject is one of a command, the reply subject, the attributes that
// could be read, and always an id, if need be that of a plain message.
func (p Prefix) DecodeCommand(subject string, header nats.Header, data []byte, position string) (Command, error) {
	c := Command{Position: position}
	var bad binding.Problems

	origin := subject // the subject of the command, also of one that is sent once more
	address, addressErr := p.ParseCommand(subject)
	again, notAgain := p.ParseRedrive(subject)
	if notAgain == nil {
		address, addressErr = again, nil
		origin = p.Command(again.Cloud, again.Resource, again.Operation)
	}
	c.Address = address
	if addressErr != nil {
		bad.Addf("%v", addressErr)
	}
	c.ReplyTo = replyTo(header, &bad)
	c.Redrive = redrive(header, notAgain == nil, &bad)

	e, err := binding.Decode(header, data)
	c.Event = e
	plain := errors.Is(err, ErrPlain)
	switch {
	case plain:
		c.Event = plainCommand(origin, address.Operation, data)
		setID(c.Event, plainID(header, position, &bad))
	case err != nil:
		bad.Addf("%v", err)
	}
	if want := CommandTypePrefix + address.Operation; addressErr == nil && e.Type() != "" && e.Type() != want {
		bad.Addf("attribute type is %s, but the subject's operation is %s, want %q", binding.Quote(e.Type()), address.Operation, want)
	}
	if err == nil || plain { // else the data may not be what the sender meant
		c.Event.DataEncoded = commandData(c.Event, &bad)
		c.Event.DataBase64 = false
	}

	// A plain command that is sent once more is a CloudEvent by then, with the source that was made up for it.
	c.Plain = c.Event.Context != nil && c.Event.Source() == plainSource(origin).String()
	capAttributes(c.Event, c.Plain, &bad)
	err = bad.Err()
	if err == nil {
		err = binding.Validate(c.Event)
	}
	if err != nil && strings.TrimSpace(c.Event.ID()) == "" {
		setID(c.Event, plainID(header, position, new(binding.Problems)))
		if len(c.Event.ID()) > maxCopied { // a message id of that size: the position will do
			setID(c.Event, position)
		}
	}
	return c, err
}

// redrive reads the header of a command that is sent once more. allowed tells that the subject is one for that.
func redrive(header nats.Header, allowed bool, bad *binding.Problems) string {
	values := binding.Lookup(header, HeaderRedrive)
	switch {
	case len(values) == 0 && !allowed:
		return ""
	case len(values) == 0:
		bad.Addf("header %s is missing, want the sequence of the dead letter that is sent once more", HeaderRedrive)
		return ""
	case !allowed:
		bad.Addf("header %s is on the subject of a command; only an operator sends a dead letter once more, with bridge dead redrive",
			HeaderRedrive)
		return ""
	}
	if _, err := strconv.ParseUint(values[0], 10, 64); err != nil || len(values) > 1 {
		bad.Addf("header %s is %s, want the sequence of a dead letter", HeaderRedrive, binding.Quote(values[0]))
		return ""
	}
	return values[0]
}

// plainSource is the source that a plain command is given.
func plainSource(subject string) *url.URL {
	return &url.URL{Scheme: "urn", Opaque: "nats:" + url.PathEscape(subject)}
}

// plainCommand makes an event of a message that is none, without an id.
func plainCommand(subject, operation string, data []byte) event.Event {
	contentType := event.ApplicationJSON
	return event.Event{
		Context: &event.EventContextV1{
			Source:          types.URIRef{URL: *plainSource(subject)},
			Type:            CommandTypePrefix + operation,
			DataContentType: &contentType,
		},
		DataEncoded: data,
	}
}

// maxCopied is the size in bytes of what a result copies from its command into headers: the broker takes 64 KiB of them.
const maxCopied = 512

// capAttributes takes out what is too long to be copied into a result, so that the sender can be told.
func capAttributes(e event.Event, plain bool, bad *binding.Problems) {
	c, ok := e.Context.(*event.EventContextV1)
	if !ok {
		return
	}
	if len(c.ID) > maxCopied {
		bad.Addf("attribute id has %d bytes, want at most %d", len(c.ID), maxCopied)
		c.ID = ""
	}
	if source := c.Source.String(); !plain && len(source) > maxCopied {
		bad.Addf("attribute source has %d bytes, want at most %d", len(source), maxCopied)
		c.Source = types.URIRef{}
	}
	if id, ok := c.Extensions[attr.CorrelationID].(string); ok && len(id) > maxCopied {
		bad.Addf("attribute %s has %d bytes, want at most %d", attr.CorrelationID, len(id), maxCopied)
		delete(c.Extensions, attr.CorrelationID)
	}
}

// plainID is the id of a message that brings none: the message id that its sender gave it for JetStream, else its
// position.
func plainID(header nats.Header, position string, bad *binding.Problems) string {
	switch ids := binding.Lookup(header, HeaderMessageID); {
	case len(ids) > 1:
		bad.Addf("header %s is given %d times, want once", HeaderMessageID, len(ids))
	case len(ids) == 1 && !utf8.ValidString(ids[0]):
		bad.Addf("header %s is not UTF-8", HeaderMessageID)
	case len(ids) == 1 && strings.TrimSpace(ids[0]) != "":
		return ids[0]
	}
	if position == "" {
		bad.Addf("the message has no id: want a header %s", HeaderMessageID)
	}
	return position
}

func setID(e event.Event, id string) {
	if c, ok := e.Context.(*event.EventContextV1); ok {
		c.ID = id
	}
}

// commandData returns the data if it is a JSON object, and {} for none at all.
func commandData(e event.Event, bad *binding.Problems) []byte {
	if contentType := e.DataContentType(); !binding.IsJSON(contentType) {
		bad.Addf("attribute datacontenttype is %s, want %s", binding.Quote(contentType), event.ApplicationJSON)
		return e.DataEncoded
	}
	if len(bytes.Trim(e.DataEncoded, binding.Blanks)) == 0 {
		return []byte("{}")
	}
	if why := binding.NotJSON(e.DataEncoded); why != "" {
		bad.Addf("data %s", why)
	} else if s := binding.Shape(e.DataEncoded); s != "an object" {
		bad.Addf("data is %s, want an object", s)
	}
	return e.DataEncoded
}

// replyTo returns the subject in the header Factro-Reply-To, or "" if there is none or if it is none to publish to.
func replyTo(header nats.Header, bad *binding.Problems) string {
	values := binding.Lookup(header, HeaderReplyTo)
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return ""
	}
	if len(values) > 1 {
		bad.Addf("header %s is given %d times, want once", HeaderReplyTo, len(values))
		return ""
	}
	for token := range strings.SplitSeq(values[0], ".") {
		wildcard := token == "*" || token == ">"
		if token == "" || wildcard || strings.ContainsAny(token, " \t\r\n\x00") || !utf8.ValidString(token) {
			bad.Addf("header %s is %s, want a subject without blanks and wildcards", HeaderReplyTo, binding.Quote(values[0]))
			return ""
		}
	}
	return values[0]
}
