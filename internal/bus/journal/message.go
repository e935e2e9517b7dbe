package journal

import (
	"context"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Message is an event as it stands in a stream. Broken tells why it is none; a dead letter may be anything.
type Message struct {
	Subject string
	Header  nats.Header
	Data    []byte
	Time    time.Time
	// Sequence is its place in the stream, where that is known.
	Sequence uint64
	Event    event.Event
	Broken   error
	// Pending is how many messages follow that are to be read, where that is known.
	Pending int64
}

// TraceID returns the trace that the message belongs to, or "".
func (m Message) TraceID() string {
	if s := trace.SpanContextFromContext(delivery.Extract(context.Background(), measure.Propagator, m.Header)); s.HasTraceID() {
		return s.TraceID().String()
	}
	return ""
}

// Dead returns why the message is a dead letter, by the names of the headers that say so; nil if it is none.
func (m Message) Dead() map[string]string {
	var why map[string]string
	for name, values := range m.Header {
		if !strings.HasPrefix(name, topology.HeaderDead) || len(values) == 0 {
			continue
		}
		text, err := events.DecodeHeader(values[0])
		if err != nil {
			text = values[0]
		}
		if why == nil {
			why = map[string]string{}
		}
		why[name] = text
	}
	return why
}

// NewMessage reads a message as an event, if it is one.
func NewMessage(subject string, header nats.Header, data []byte, at time.Time) Message {
	m := Message{Subject: subject, Header: header, Data: data, Time: at}
	m.Event, m.Broken = events.FromMsg(header, data)
	return m
}
