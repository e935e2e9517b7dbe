// Package fresh has the options of a query that says how old its answer may be: such a query can be answered by the bridge's mirror,
// without a request to factro.
//
//	task, err := events.Ask(ctx, client, payload.GetTask{TaskID: id}, fresh.MaxAge(30*time.Second))
//
// In: what the asker accepts. Out: the settings of the query, and the headers of its message. It sends nothing.
package fresh

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

const (
	// HeaderMaxAge is the header of a query that says how old the answer may be, as a Go duration such as 30s.
	HeaderMaxAge = "Factro-Max-Age"
	// HeaderAge is the header of an answer that came from the mirror: how many seconds ago the bridge began to read the object at factro.
	// The answer of factro itself has none.
	HeaderAge = "Factro-Age"
)

// Settings is what the options of a query say.
type Settings struct {
	// MaxAge is how old the answer may be. 0 has factro be asked.
	MaxAge time.Duration
	// OnAge hears the age of an answer that came from the mirror. It may be nil.
	OnAge func(age time.Duration)
}

// Of is what options say.
func Of(opts []Option) Settings {
	var s Settings
	for _, o := range opts {
		o(&s)
	}
	return s
}

// Header is what a query has of it, nil for nothing.
func (s Settings) Header() nats.Header {
	if s.MaxAge == 0 {
		return nil
	}
	return nats.Header{HeaderMaxAge: {s.MaxAge.String()}} // the bridge refuses a negative one
}

// Hear tells OnAge of the age that an answer has.
func (s Settings) Hear(answer nats.Header) {
	values := binding.Lookup(answer, HeaderAge)
	if s.OnAge == nil || len(values) == 0 {
		return
	}
	if age, ok := Age(values[0]); ok {
		s.OnAge(age)
	}
}

// Option changes one query. It is for events.Ask and the method Query of events.Client.
type Option func(*Settings)

// MaxAge accepts an answer of the mirror that is at most so old. The bridge asks factro all the same if it has none, if an event of the
// object is not in it yet, or if the query is not one for a single object that is mirrored.
func MaxAge(d time.Duration) Option { return func(s *Settings) { s.MaxAge = d } }

// OnAge has f called, before the query returns, with the age of an answer that came from the mirror. It is not called for an answer of
// factro.
func OnAge(f func(age time.Duration)) Option { return func(s *Settings) { s.OnAge = f } }

// Age reads the value of the header [HeaderAge]. ok is false if it is none.
func Age(value string) (age time.Duration, ok bool) {
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !(seconds >= 0 && seconds < maxSeconds) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// maxSeconds is less than the longest duration.
const maxSeconds = 9e9
