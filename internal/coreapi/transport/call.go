package transport

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Call is what the client knows of the call that a request belongs to, and what it learns of it.
type Call struct {
	Op factro.Operation
	// Number counts the attempts, from 1.
	Number int
	// Breaker is the state of the circuit breaker, for the span.
	Breaker string
	// May is asked right before the first byte is sent. If it returns an error, nothing is sent. It may be nil.
	May func() error

	sent, kept, answered atomic.Bool
	barred               atomic.Pointer[error]
}

type callKey struct{}

// With returns a context for the requests of a call.
func With(ctx context.Context, c *Call) context.Context {
	return httptrace.WithClientTrace(context.WithValue(ctx, callKey{}, c), &httptrace.ClientTrace{
		// The first header, not the last: over HTTP/2 the last is reported after it may have reached factro.
		WroteHeaderField: func(string, []string) { c.sent.Store(true) },
		WroteHeaders:     func() { c.sent.Store(true) },
		GotConn: func(i httptrace.GotConnInfo) {
			c.kept.Store(i.Reused)
			if c.May != nil {
				expect(i.Conn, c)
			}
		},

		GotFirstResponseByte: func() { c.answered.Store(true) },
	})
}

// callOf is the call that a request belongs to, or nil.
func callOf(r *http.Request) *Call {
	c, _ := r.Context().Value(callKey{}).(*Call)
	return c
}

// Sent tells that factro may have seen the request.
func (c *Call) Sent() bool { return c.sent.Load() && c.Barred() == nil }

// Barred is why the call was not sent although there was a connection for it, or nil.
func (c *Call) Barred() error {
	if err := c.barred.Load(); err != nil {
		return *err
	}
	return nil
}

// check asks whether the call may be made.
func (c *Call) check() error {
	err := c.May()
	if err != nil {
		c.barred.Store(&err)
	}
	return err
}

// Stale tells that the request went out on a kept connection, and that not a byte of an answer came.
func (c *Call) Stale() bool { return c.kept.Load() && !c.answered.Load() }
