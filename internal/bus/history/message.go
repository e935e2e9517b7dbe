package history

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
)

// Message is a message as its stream has it. Of many messages only some are wanted, so what takes time is read on demand.
type Message struct {
	Subject  string
	Sequence uint64
	Header   map[string][]string
	Data     []byte

	at time.Time
}

// NewMessage is a message that was stored at a time.
func NewMessage(subject string, sequence uint64, header map[string][]string, data []byte, at time.Time) Message {
	return Message{Subject: subject, Sequence: sequence, Header: header, Data: data, at: at}
}

// Value is the first value of a header, in exactly this spelling, or "".
func (m Message) Value(name string) string { return first(m.Header[name]) }

// Time is when the stream took the message.
func (m Message) Time() time.Time {
	if !m.at.IsZero() {
		return m.at
	}
	at, err := time.Parse(time.RFC3339Nano, last(m.Header[jetstream.TimeStampHeaer]))
	if err != nil {
		return time.Time{} // the broker writes it, and nobody else
	}
	return at
}

// Event reads the message as an event, if it is one.
func (m Message) Event() journal.Message {
	e := journal.NewMessage(m.Subject, m.Header, m.Data, m.Time())
	e.Sequence = m.Sequence
	return e
}

// read is a message in the answer to a direct get. A sender may write headers that the broker uses to tell about a message. The broker
// appends its own words, so the last ones count. It is not ok if the broker has sent no message but the end of its answer.
func read(msg *nats.Msg) (m Message, ok bool) {
	sequence, err := strconv.ParseUint(last(msg.Header[jetstream.SequenceHeader]), 10, 64)
	if err != nil {
		return m, false
	}
	return Message{Subject: last(msg.Header[jetstream.SubjectHeader]), Sequence: sequence, Header: msg.Header, Data: msg.Data}, true
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}
