package bus

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Letter is why a command is parked among the dead letters.
type Letter struct {
	// Subject is that of the dead letter.
	Subject string
	// Code is one word, that of the result; Reason is a sentence.
	Code   string
	Reason error
	// Status is factro's HTTP status, or 0 if it did not answer or was not asked.
	Status int
	// Log has one entry for each attempt, the oldest first.
	Log []Attempt
}

// Attempt is what became of one attempt to carry out a command.
type Attempt struct {
	At time.Time `json:"at"`
	// Status is factro's HTTP status, or 0 if there was none.
	Status int `json:"status,omitempty"`
	// Error is what went wrong, for people; empty if nothing did.
	Error string `json:"error,omitempty"`
	// Trace is the id of the trace that the attempt belongs to.
	Trace string `json:"trace,omitempty"`
}

// maxLog bounds the entries of a log, and maxLogError the bytes of each error: all of it has to fit into a header.
const (
	maxLog      = 20
	maxLogError = 200
)

// Log adds an attempt to a log and keeps it within its bounds: the last ones are what one asks for.
func Log(log []Attempt, a Attempt) []Attempt {
	a.Error = limit(a.Error, maxLogError)
	log = append(log, a)
	return log[max(0, len(log)-maxLog):]
}

// describe writes the headers of a command's dead letter that tell of its attempts.
func (l Letter) describe(ctx context.Context, h nats.Header) {
	if l.Status != 0 {
		h[headerDeadStatus] = []string{strconv.Itoa(l.Status)}
	}
	if len(l.Log) > 0 {
		if log, err := json.Marshal(l.Log); err == nil { // texts, numbers and times
			h[headerDeadLog] = []string{percent.Encode(string(log))}
		}
	}
	hop := delivery.Header{}
	Propagator.Inject(ctx, hop)
	if parent := hop.Get(attr.TraceParent); parent != "" {
		h[headerDeadTrace] = []string{parent}
	}
}
