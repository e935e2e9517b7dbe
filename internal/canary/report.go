package canary

import (
	"math"
	"time"
)

// Outcome is what became of a leg, or of the whole canary: then it is that of the first leg that did not pass.
type Outcome int

// The outcomes.
const (
	Passed   Outcome = iota
	Failed           // it could not be sent, or what came is wrong
	Rejected         // the bridge refused the command or the query
	Dead             // the command became a dead letter
	TimedOut         // nothing came in time
)

// Report is the result of a canary.
type Report struct {
	Cloud string `json:"cloud"`
	OK    bool   `json:"ok"`
	// Trace is that of the canary itself, of the command and of the query.
	Trace   string  `json:"trace"`
	Legs    []Leg   `json:"legs"`
	Outcome Outcome `json:"-"`
}

// Leg is one way through the bridge, and what became of it.
type Leg struct {
	Name string `json:"leg"`
	OK   bool   `json:"ok"`
	// To is where it was sent, Arrived the subject of what came.
	To      string `json:"to"`
	Arrived string `json:"arrived,omitempty"`
	// Trace is that of what came. A bridge trusts no trace of a webhook: the event is of another trace, which is linked to the
	// canary's.
	Trace string `json:"trace,omitempty"`
	// Answered is how long the answer to the webhook took, Millis the whole leg, in milliseconds.
	Answered float64 `json:"answeredMs,omitempty"`
	Millis   float64 `json:"ms"`
	Error    string  `json:"error,omitempty"`
	Outcome  Outcome `json:"-"`
}

func (l Leg) failed(outcome Outcome, err error) Leg {
	l.Outcome, l.Error = outcome, err.Error()
	return l
}

// millis are milliseconds, rounded to what a person reads.
func millis(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Millisecond)*10) / 10 }
