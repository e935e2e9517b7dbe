package canary

import (
	"math"
	"time"
)

// Outcome is the outcome of a leg. The outcome of the whole canary is that of the first leg that did not pass.
type Outcome int

// The outcomes.
const (
	Passed   Outcome = iota
	Failed           // it could not be sent, or the reply is wrong
	Rejected         // the bridge refused the command or the query
	Dead             // the command became a dead letter
	TimedOut         // nothing arrived in time
)

// Report is the result of a canary.
type Report struct {
	Cloud string `json:"cloud"`
	OK    bool   `json:"ok"`
	// Trace is the trace of the canary itself, of the command and of the query.
	Trace   string  `json:"trace"`
	Legs    []Leg   `json:"legs"`
	Outcome Outcome `json:"-"`
}

// Leg is one path through the bridge, with its outcome.
type Leg struct {
	Name string `json:"leg"`
	OK   bool   `json:"ok"`
	// To is the address or subject that was used. Arrived is the subject of the message that arrived.
	To      string `json:"to"`
	Arrived string `json:"arrived,omitempty"`
	// Trace is the trace of the message that arrived. A bridge does not trust the trace of a webhook: the event has its own trace,
	// which is linked to the canary's.
	Trace string `json:"trace,omitempty"`
	// Answered is the time until the answer to the webhook, Millis the time of the whole leg, in milliseconds.
	Answered float64 `json:"answeredMs,omitempty"`
	Millis   float64 `json:"ms"`
	Error    string  `json:"error,omitempty"`
	Outcome  Outcome `json:"-"`
}

func (l Leg) failed(outcome Outcome, err error) Leg {
	l.Outcome, l.Error = outcome, err.Error()
	return l
}

// millis is a duration in milliseconds, rounded for people.
func millis(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Millisecond)*10) / 10 }
