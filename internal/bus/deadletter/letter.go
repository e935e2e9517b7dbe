package deadletter

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// CodeTerminated is the code of a dead letter about a command that somebody else terminated. Its data is lost.
const CodeTerminated = "terminated"

// Letter is why a command becomes a dead letter.
type Letter struct {
	// Subject is that of the dead letter.
	Subject string
	// Code is one word, that of the result; Reason is a sentence.
	Code   string
	Reason error
	// Status is factro's HTTP status, or 0 if it did not answer or was not called.
	Status int
	// Log has one entry for each attempt, the oldest first.
	Log []ledger.Attempt
}

// maxReason bounds the text of a reason: it has to fit into a header.
const maxReason = 1 << 10

// SetReason writes the headers that every dead letter has.
func SetReason(h nats.Header, code string, reason error) {
	h[topology.HeaderDeadCode] = []string{code}
	// An answer of factro can hold anything, an HTML page for example. A header is one line.
	h[topology.HeaderDeadReason] = []string{percent.Encode(truncate(reason.Error(), maxReason))}
	h[topology.HeaderDeadTime] = []string{time.Now().UTC().Format(time.RFC3339Nano)}
}

// SetRequest writes the headers of the request that a webhook came with.
func SetRequest(h nats.Header, request http.Header) {
	if len(request) == 0 {
		return
	}
	if text, err := json.Marshal(request); err == nil { // strings can always be encoded
		h[topology.HeaderDeadRequest] = []string{percent.Encode(string(text))}
	}
}

// Copy is a dead letter of an original, without a reason yet.
func Copy(subject, original string, header nats.Header, data []byte) *nats.Msg {
	dead := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	maps.Copy(dead.Header, header)
	maps.DeleteFunc(dead.Header, func(name string, _ []string) bool {
		// Instructions to the broker, which would follow them again, and the headers of an earlier dead letter.
		return delivery.IsBrokerHeader(name) || strings.HasPrefix(name, topology.HeaderDead)
	})
	// The message id of a plain command is its id. Without it the command could not be sent again as the same one.
	if id := delivery.Header(header).Get(events.HeaderMessageID); id != "" {
		dead.Header[topology.HeaderDeadMessageID] = []string{id}
	}
	dead.Header[topology.HeaderDeadSubject] = []string{original}
	return dead
}

// ID is the message id of the dead letter about a command. The time of the command is part of it, because a stream that was
// created again counts from 1 again.
func ID(position string, stored time.Time) string {
	return "dead-" + position + "-" + strconv.FormatInt(stored.UnixNano(), 36)
}

// Delivery is what is known of a command beside its message.
type Delivery struct {
	// Position is the stream and the sequence of the command, and Stored when the stream stored it.
	Position string
	Stored   time.Time
	// Deliveries is how often it was handled.
	Deliveries uint64
}

// Of is the dead letter of a delivered command, and its message id.
func Of(ctx context.Context, msg *nats.Msg, d Delivery, letter Letter) PendingPublish {
	dead := Copy(letter.Subject, msg.Subject, msg.Header, msg.Data)
	SetReason(dead.Header, letter.Code, letter.Reason)
	letter.describe(ctx, dead.Header)
	SetDelivery(dead.Header, d.Position, d.Deliveries)
	return PendingPublish{ID: ID(d.Position, d.Stored), Msg: dead}
}

// SetDelivery writes the headers with its stream, its sequence there, and how often it was delivered.
func SetDelivery(h nats.Header, position string, deliveries uint64) {
	h[topology.HeaderDeadPosition] = []string{position}
	h[topology.HeaderDeadAttempts] = []string{strconv.FormatUint(deliveries, 10)}
}

// Position is the stream and the sequence of the message that a dead letter is about, "" if it does not say so.
func Position(h delivery.Header) string { return h.Get(topology.HeaderDeadPosition) }

// describe writes the headers of a command's dead letter that describe its attempts.
func (l Letter) describe(ctx context.Context, h nats.Header) {
	if l.Status != 0 {
		h[topology.HeaderDeadStatus] = []string{strconv.Itoa(l.Status)}
	}
	if len(l.Log) > 0 {
		if log, err := json.Marshal(l.Log); err == nil { // strings, numbers and times
			h[topology.HeaderDeadLog] = []string{percent.Encode(string(log))}
		}
	}
	hop := delivery.Header{}
	measure.Propagator.Inject(ctx, hop)
	if parent := hop.Get(attr.TraceParent); parent != "" {
		h[topology.HeaderDeadTrace] = []string{parent}
	}
}

// truncate cuts a text for people.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
