// Package binding is the codec between CloudEvents and NATS messages: the NATS protocol binding of CloudEvents 1.0 in
// binary and structured mode. In comes an event, out goes a message, and back again. It sends nothing, and it knows no
// subject and no attribute of the bridge's own but by name. The bridge and other programs reach it by package events.
package binding

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// ErrPlain says that a message is no CloudEvent at all: it has no ce- headers and no content type of CloudEvents, and
// its payload is no JSON object with a specversion. Every other error of FromMsg is about a broken CloudEvent.
var ErrPlain = errors.New("the message is no CloudEvent: it has neither ce- headers nor a payload with a specversion")

const (
	headerContentType = "Content-Type"
	structuredType    = "application/cloudevents+json"
)

// ToMsg returns the event as a NATS message in binary mode. events.ToMsg has the whole of it.
func ToMsg(subject string, e event.Event) (*nats.Msg, error) {
	var room [usual]attribute
	e, attrs, err := prepare(e, room[:0])
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return &nats.Msg{Subject: subject, Header: binaryHeader(attrs), Data: e.DataEncoded}, nil
}

// ToStructuredMsg returns the event as a NATS message in structured mode. events.ToStructuredMsg has the whole of it.
func ToStructuredMsg(subject string, e event.Event) (*nats.Msg, error) {
	var room [usual]attribute
	e, attrs, err := prepare(e, room[:0])
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	h := nats.Header{headerContentType: []string{structuredType}}
	return &nats.Msg{Subject: subject, Header: h, Data: structuredPayload(e, attrs)}, nil
}

// FromMsg reads a message in binary or structured mode. events.FromMsg has the whole of it.
func FromMsg(header nats.Header, data []byte) (event.Event, error) {
	e, err := Decode(header, data)
	if errors.Is(err, ErrPlain) {
		return event.Event{}, err
	}
	if err != nil {
		return event.Event{}, fmt.Errorf("decode message: %w", err)
	}
	return e, nil
}

// Decode is FromMsg, but on an error too the event has a context, with what could be read.
func Decode(header nats.Header, data []byte) (event.Event, error) {
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
	values := Lookup(header, headerContentType)
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
			return unreadable, Quote(media)
		}
	}
	return unknown, ""
}

// Lookup returns the values of a header, whatever the case of its name.
func Lookup(header nats.Header, name string) []string {
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

// IsJSON tells whether a content type declares JSON. CloudEvents takes data without a type for JSON.
func IsJSON(contentType string) bool {
	media := mediaType(contentType)
	return media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}
