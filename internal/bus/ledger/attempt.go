package ledger

import (
	"strings"
	"time"
)

// Attempt is the outcome of one attempt to carry out a command.
type Attempt struct {
	// At is when it ended.
	At time.Time `json:"at"`
	// Status is factro's HTTP status, or 0 if there was none.
	Status int `json:"status,omitempty"`
	// Error is what went wrong, for people; empty if nothing did.
	Error string `json:"error,omitempty"`
	// Millis is how long the call lasted, in milliseconds; 0 if none was made, or if an older bridge made it.
	Millis int `json:"ms,omitempty"`
	// Trace is the id of the trace that the attempt belongs to.
	Trace string `json:"trace,omitempty"`
}

// maxLog bounds the entries of a log, and maxLogError the bytes of each error: all of it has to fit into a header.
const (
	maxLog      = 20
	maxLogError = 200
)

// Log adds an attempt to a log and keeps the log within its bounds. The oldest entries are dropped first.
func Log(log []Attempt, a Attempt) []Attempt {
	a.Error = limit(a.Error, maxLogError)
	log = append(log, a)
	return log[max(0, len(log)-maxLog):]
}

// limit cuts a text for people.
func limit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
