package events

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// ErrPlain says that a message is no CloudEvent at all: it has no ce- headers and no content type of CloudEvents, and
// its payload is no JSON object with a specversion. Every other error of FromMsg is about a broken CloudEvent.
var ErrPlain = errors.New("the message is no CloudEvent: it has neither ce- headers nor a payload with a specversion")

const (
	headerContentType = "Content-Type"
	structuredType    = "application/cloudevents+json"
)

// ToMsg returns the event as a NATS message in binary mode: each attribute, datacontenttype too, in a header
// "ce-<name>", percent-encoded, and the data as the payload, byte for byte. The message shares the memory of the data.
//
// An event that does not pass Validate is refused, and so is a name or a value that CloudEvents forbids or that a
// receiver could not get back: a name with other than a-z and 0-9, the name data, a value that is not UTF-8, a time
// outside of the years 0 to 9999. Sizes are not checked: JetStream takes 64 KiB of headers, and a server as much of a
// message as its max_payload says. Times are written in UTC with all their digits. An event of CloudEvents 0.3 is written
// as 1.0.
func ToMsg(subject string, e event.Event) (*nats.Msg, error) {
	var room [usual]attribute
	e, attrs, err := prepare(e, room[:0])
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return &nats.Msg{Subject: subject, Header: binaryHeader(attrs), Data: e.DataEncoded}, nil
}

// ToStructuredMsg returns the event as a NATS message in structured mode: one JSON object that holds the attributes and
// the data. It refuses what ToMsg refuses.
//
// JSON data is written as JSON, also if the event is marked with DataBase64, as [event.Event.SetData] marks all bytes.
// It keeps its bytes but for blanks around it. Text is written as a string, and what is neither as data_base64.
func ToStructuredMsg(subject string, e event.Event) (*nats.Msg, error) {
	var room [usual]attribute
	e, attrs, err := prepare(e, room[:0])
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	h := nats.Header{headerContentType: []string{structuredType}}
	return &nats.Msg{Subject: subject, Header: h, Data: structuredPayload(e, attrs)}, nil
}

// FromMsg reads a message in binary or structured mode; a structured one may lack its Content-Type. The event passes
// Validate. Extensions are strings in binary mode; in structured mode they are strings, booleans, and integers as int32.
// The event shares the memory of the payload.
//
// It returns ErrPlain if the message is no CloudEvent, and an error that names all that is wrong if it is a broken one.
// Header names count without case. A header that is given twice, be it in another case, is an error and not a choice,
// since two readers could choose differently.
func FromMsg(header nats.Header, data []byte) (event.Event, error) {
	e, err := decode(header, data)
	if errors.Is(err, ErrPlain) {
		return event.Event{}, err
	}
	if err != nil {
		return event.Event{}, fmt.Errorf("decode message: %w", err)
	}
	return e, nil
}

// decode is FromMsg, but on an error too the event has a context, with what could be read.
func decode(header nats.Header, data []byte) (event.Event, error) {
	var b builder
	switch mode, media := modeOf(header); {
	case mode == unreadable:
		b.Addf("header %s is %s, want one value, for a structured event %s", headerContentType, media, structuredType)
	case mode == structured:
		b.readStructured(data, true)
	case hasAttributes(header):
		b.readBinary(header, data)
	case !b.readStructured(data, false):
		return b.event(), ErrPlain
	}
	return b.event(), b.check()
}

type mode int

const (
	unknown mode = iota
	structured
	unreadable
)

// modeOf tells what the content type says about the mode of a message, and the type itself, quoted, if it is one of
// CloudEvents that we do not read: there are formats other than JSON, and batches, which the NATS binding does not have.
func modeOf(header nats.Header) (m mode, quoted string) {
	values := lookup(header, headerContentType)
	for _, v := range values {
		media := mediaType(v)
		switch rest, found := strings.CutPrefix(media, "application/cloudevents"); {
		case !found:
			continue
		case len(values) > 1:
			return unreadable, "given more than once"
		case rest == "" || rest == "+json":
			return structured, ""
		case rest[0] == '+' || rest[0] == '-':
			return unreadable, binding.Quote(media)
		}
	}
	return unknown, ""
}

// lookup returns the values of a header, whatever the case of its name.
func lookup(header nats.Header, name string) []string {
	var values []string
	for k, v := range header {
		if len(k) == len(name) && strings.EqualFold(k, name) {
			values = append(values, v...)
		}
	}
	return values
}

// mediaType returns the type of a content type, in lower case and without parameters.
func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// isJSON tells whether a content type declares JSON. CloudEvents takes data without a type for JSON.
func isJSON(contentType string) bool {
	media := mediaType(contentType)
	return media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}
