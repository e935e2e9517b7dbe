package command

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
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Names are the names by which the contract calls what a command's message has.
type Names struct {
	// TypePrefix is what the type of the event begins with; the operation follows.
	TypePrefix string
	// ReplyTo and Redrive are headers: the subject that gets copies of the results, and the sequence of the dead letter that is
	// sent once more.
	ReplyTo, Redrive string
}

// Incoming is a message that is to be read as a command.
type Incoming struct {
	// Subject is that of the command, also if the message came on the one for commands that are sent once more.
	Subject string
	// Operation is what the subject says, or "" if it is not the subject of a command.
	Operation string
	// Again says that the message came on the subject for commands that are sent once more.
	Again    bool
	Header   nats.Header
	Data     []byte
	Position string // in its stream
}

// Decoded is what is known of a command.
type Decoded struct {
	Event            event.Event
	Plain            bool // the sender sent no CloudEvent
	ReplyTo, Redrive string
}

// Decode reads a command. The mistakes that it finds come after those in bad, and the error names all of them. With an error
// too the result holds what could be read, and always an id.
func (n Names) Decode(in Incoming, bad *binding.Problems) (Decoded, error) {
	d := Decoded{ReplyTo: n.replyTo(in.Header, bad), Redrive: n.redrive(in.Header, in.Again, bad)}
	e, err := binding.Decode(in.Header, in.Data)
	d.Event = e
	plain := errors.Is(err, binding.ErrPlain)
	switch {
	case plain:
		d.Event = plainEvent(in.Subject, n.TypePrefix+in.Operation, in.Data)
		setID(d.Event, plainID(in.Header, in.Position, bad))
	case err != nil:
		bad.Addf("%v", err)
	}
	if want := n.TypePrefix + in.Operation; in.Operation != "" && e.Type() != "" && e.Type() != want {
		bad.Addf("attribute type is %s, but the subject's operation is %s, want %q", binding.Quote(e.Type()), in.Operation, want)
	}
	if err == nil || plain { // else the data may not be what the sender meant
		d.Event.DataEncoded = dataOf(d.Event, bad)
		d.Event.DataBase64 = false
	}

	// A plain command that is sent once more is a CloudEvent by then, with the source that was made up for it.
	d.Plain = plain || hasPlainSource(d.Event, in.Subject)
	capAttributes(d.Event, d.Plain, bad)
	err = bad.Err()
	if err == nil {
		err = binding.Validate(d.Event)
	}
	if err != nil && strings.TrimSpace(d.Event.ID()) == "" {
		setID(d.Event, plainID(in.Header, in.Position, new(binding.Problems)))
		if len(d.Event.ID()) > MaxCopied { // a message id of that size: the position will do
			setID(d.Event, in.Position)
		}
	}
	return d, err
}

// redrive reads the header of a command that is sent once more. allowed says that the subject is one for that.
func (n Names) redrive(header nats.Header, allowed bool, bad *binding.Problems) string {
	values := binding.Lookup(header, n.Redrive)
	switch {
	case len(values) == 0 && !allowed:
		return ""
	case len(values) == 0:
		bad.Addf("header %s is missing, want the sequence of the dead letter that is sent once more", n.Redrive)
		return ""
	case !allowed:
		bad.Addf("header %s is on the subject of a command; only an operator sends a dead letter once more, with bridge dead redrive",
			n.Redrive)
		return ""
	}
	if _, err := strconv.ParseUint(values[0], 10, 64); err != nil || len(values) > 1 {
		bad.Addf("header %s is %s, want the sequence of a dead letter", n.Redrive, binding.Quote(values[0]))
		return ""
	}
	return values[0]
}

// plainSource is the source that a plain command is given.
func plainSource(subject string) *url.URL {
	return &url.URL{Scheme: "urn", Opaque: "nats:" + url.PathEscape(subject)}
}

// hasPlainSource says whether an event has the source of a plain command.
func hasPlainSource(e event.Event, subject string) bool {
	c, ok := e.Context.(*event.EventContextV1)
	return ok && c.Source.Scheme == "urn" && c.Source.String() == plainSource(subject).String()
}

// plainEvent makes an event of a message that is none, without an id.
func plainEvent(subject, eventType string, data []byte) event.Event {
	contentType := event.ApplicationJSON
	return event.Event{
		Context: &event.EventContextV1{
			Source:          types.URIRef{URL: *plainSource(subject)},
			Type:            eventType,
			DataContentType: &contentType,
		},
		DataEncoded: data,
	}
}

// capAttributes takes out what is too long to be copied into a result, so that the sender can get an answer.
func capAttributes(e event.Event, plain bool, bad *binding.Problems) {
	c, ok := e.Context.(*event.EventContextV1)
	if !ok {
		return
	}
	if len(c.ID) > MaxCopied {
		bad.Addf("attribute id has %d bytes, want at most %d", len(c.ID), MaxCopied)
		c.ID = ""
	}
	if source := c.Source.String(); !plain && len(source) > MaxCopied {
		bad.Addf("attribute source has %d bytes, want at most %d", len(source), MaxCopied)
		c.Source = types.URIRef{}
	}
	if id, ok := c.Extensions[attr.CorrelationID].(string); ok && len(id) > MaxCopied {
		bad.Addf("attribute %s has %d bytes, want at most %d", attr.CorrelationID, len(id), MaxCopied)
		delete(c.Extensions, attr.CorrelationID)
	}
}

// plainID is the id of a message without one: the message id that its sender gave it for JetStream, else its
// position.
func plainID(header nats.Header, position string, bad *binding.Problems) string {
	switch ids := binding.Lookup(header, jetstream.MsgIDHeader); {
	case len(ids) > 1:
		bad.Addf("header %s is given %d times, want once", jetstream.MsgIDHeader, len(ids))
	case len(ids) == 1 && !utf8.ValidString(ids[0]):
		bad.Addf("header %s is not UTF-8", jetstream.MsgIDHeader)
	case len(ids) == 1 && strings.TrimSpace(ids[0]) != "":
		return ids[0]
	}
	if position == "" {
		bad.Addf("the message has no id: want a header %s", jetstream.MsgIDHeader)
	}
	return position
}

func setID(e event.Event, id string) {
	if c, ok := e.Context.(*event.EventContextV1); ok {
		c.ID = id
	}
}

// dataOf returns the data if it is a JSON object, and {} for none at all.
func dataOf(e event.Event, bad *binding.Problems) []byte {
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

// replyTo returns the subject in the header Factro-Reply-To, or "" if there is none or if nobody can publish to it.
func (n Names) replyTo(header nats.Header, bad *binding.Problems) string {
	values := binding.Lookup(header, n.ReplyTo)
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return ""
	}
	if len(values) > 1 {
		bad.Addf("header %s is given %d times, want once", n.ReplyTo, len(values))
		return ""
	}
	for token := range strings.SplitSeq(values[0], ".") {
		wildcard := token == "*" || token == ">"
		if token == "" || wildcard || strings.ContainsAny(token, " \t\r\n\x00") || !utf8.ValidString(token) {
			bad.Addf("header %s is %s, want a subject without blanks and wildcards", n.ReplyTo, binding.Quote(values[0]))
			return ""
		}
	}
	return values[0]
}
