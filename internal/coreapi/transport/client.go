package transport

import (
	"net/http"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// NewClient makes the client. next sends the requests; it may be nil for a default one. hidden are secrets that no answer may show,
// besides the key that a request carries.
func NewClient(next http.RoundTripper, hidden []secret.Source) *http.Client {
	if next == nil {
		next = newConnections()
	}
	return &http.Client{
		Transport: newObserved(guard{next, newHidden(hidden)}),
		// A redirect would carry the key to another address.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
