package events

import (
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/send"
)

// ErrPlain says that a message is no CloudEvent at all: it has no ce- headers and no content type of CloudEvents, and
// its payload is no JSON object with a specversion. Every other error of FromMsg is about a broken CloudEvent.
var ErrPlain = binding.ErrPlain

// ErrTooLarge says that no message can hold an event: the server limits what a message may weigh.
var ErrTooLarge = send.ErrTooLarge

// ToMsg returns the event as a NATS message in binary mode: each attribute, datacontenttype too, in a header
// "ce-<name>", percent-encoded, and the data as the payload, byte for byte. The message shares the memory of the data.
//
// An event that does not pass Validate is refused, and so is a name or a value that CloudEvents forbids or that a
// receiver could not get back: a name with other than a-z and 0-9, the name data, a value that is not UTF-8, a time
// outside of the years 0 to 9999. Sizes are not checked: JetStream takes 64 KiB of headers, and a server as much of a
// message as its max_payload says. Times are written in UTC with all their digits. An event of CloudEvents 0.3 is written
// as 1.0.
func ToMsg(subject string, e event.Event) (*nats.Msg, error) { return binding.ToMsg(subject, e) }

// ToStructuredMsg returns the event as a NATS message in structured mode: one JSON object that holds the attributes and
// the data. It refuses what ToMsg refuses.
//
// JSON data is written as JSON, also if the event is marked with DataBase64, as [event.Event.SetData] marks all bytes.
// It keeps its bytes, except blanks around it. Text is written as a string, and what is neither as data_base64.
func ToStructuredMsg(subject string, e event.Event) (*nats.Msg, error) {
	return binding.ToStructuredMsg(subject, e)
}

// FromMsg reads a message in binary or structured mode; a structured one may lack its Content-Type. The event passes
// Validate. Extensions are strings in binary mode; in structured mode they are strings, booleans, and integers as int32.
// The event shares the memory of the payload.
//
// It returns ErrPlain if the message is no CloudEvent, and an error that names all that is wrong if it is a broken one.
// Header names count without case. A header that is given twice, even in another case, is an error and not a choice,
// since two readers could choose differently.
func FromMsg(header nats.Header, data []byte) (event.Event, error) {
	return binding.FromMsg(header, data)
}

// DecodeHeader reads the value of a header that is percent-encoded in the way of the CloudEvents attributes, such as
// [HeaderDeadReason].
func DecodeHeader(s string) (string, error) {
	value, err := percent.Decode(s)
	if err != nil {
		return "", fmt.Errorf("the header's value %w", err)
	}
	return value, nil
}
