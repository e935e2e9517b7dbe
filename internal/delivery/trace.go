package delivery

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
)

// Header puts a trace context into a message's headers. It writes the keys as they are, since NATS distinguishes upper and
// lower case, and reads them in any case, since other clients write Traceparent or Ce-Id.
type Header nats.Header

// Get returns the first value of a header, whatever the case of its name.
func (h Header) Get(key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	for name, v := range h {
		if len(v) > 0 && len(name) == len(key) && strings.EqualFold(name, key) {
			return v[0]
		}
	}
	return ""
}

// Set replaces the values of a header.
func (h Header) Set(key, value string) { h[key] = []string{value} }

// Keys returns the names of the headers as they are spelt.
func (h Header) Keys() []string { return slices.Collect(maps.Keys(h)) }

const (
	traceParent = "traceparent"
	traceState  = "tracestate"
	// attributePrefix is that of CloudEvents attributes in NATS headers.
	attributePrefix = "ce-"
)

// Extract continues the trace of a message: that of the current hop, which is in the NATS headers, else that of the event's
// origin, which is in its attributes.
func Extract(ctx context.Context, p propagation.TextMapPropagator, header nats.Header) context.Context {
	if Header(header).Get(traceParent) != "" {
		return p.Extract(ctx, Header(header))
	}
	origin := Header{}
	for _, name := range []string{traceParent, traceState} {
		if v := Header(header).Get(attributePrefix + name); v != "" {
			origin.Set(name, v)
		}
	}
	return p.Extract(ctx, origin)
}

// IsBrokerHeader says whether a header is an instruction to the broker, or was added by it.
func IsBrokerHeader(name string) bool { return len(name) >= 5 && strings.EqualFold(name[:5], "Nats-") }
