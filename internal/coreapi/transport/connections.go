package transport

import (
	"net/http"
	"time"
)

// idle is how long a connection to factro is kept without a call. A usual server gives one up after five seconds, and a
// call that goes out just then gets no answer.
const idle = 4 * time.Second

// mostKept is how many connections to factro are kept without a call. Commands and queries are carried out side by side, and a
// connection that is closed after its call has the next call pay for another handshake.
const mostKept = 64

// maxHeader bounds the headers of an answer, those of all answers 1xx before it included.
const maxHeader = 64 << 10

// connections are the ways to factro. A create that cannot be looked for has a connection of its own: on a kept one, it
// could meet the server's closing it, and nobody could tell whether it was carried out.
type connections struct{ kept, fresh *http.Transport }

func newConnections() *connections {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is, unless somebody replaced it
	t.DialContext = dialChecked
	t.MaxIdleConnsPerHost = mostKept
	t.IdleConnTimeout = idle
	t.MaxResponseHeaderBytes = maxHeader
	t.ResponseHeaderTimeout = 0 // the call's own timeout is the limit
	fresh := t.Clone()
	fresh.DisableKeepAlives = true
	return &connections{kept: t, fresh: fresh}
}

// RoundTrip makes a call on the way that is right for its operation.
func (t *connections) RoundTrip(r *http.Request) (*http.Response, error) {
	if c := callOf(r); c != nil && c.Op.Creates() && !c.Op.Searchable() {
		return t.fresh.RoundTrip(r)
	}
	return t.kept.RoundTrip(r)
}
