package bus

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// carrier puts a trace context into a message's headers. It writes the keys as they are, since NATS knows upper from lower case,
// and reads them in any case.
type carrier nats.Header

// Get returns the first value of a header. Its name may be in any case: clients and bridges write Traceparent and Ce-Id, too.
func (c carrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	for name, v := range c {
		if len(v) > 0 && len(name) == len(key) && strings.EqualFold(name, key) {
			return v[0]
		}
	}
	return ""
}
func (c carrier) Set(key, value string) { c[key] = []string{value} }
func (c carrier) Keys() []string        { return slices.Collect(maps.Keys(c)) }

// propagator is the W3C form, whatever OTEL_PROPAGATORS says: it is part of the contract.
var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// extract continues the trace of a message: the current hop's context in the NATS headers, else the event's origin.
func extract(ctx context.Context, header nats.Header) context.Context {
	if carrier(header).Get(events.ExtTraceParent) != "" {
		return propagator.Extract(ctx, carrier(header))
	}
	origin := carrier{}
	for _, name := range []string{events.ExtTraceParent, events.ExtTraceState} {
		if v := carrier(header).Get("ce-" + name); v != "" {
			origin.Set(name, v)
		}
	}
	return propagator.Extract(ctx, origin)
}

// ofBroker says whether a header is an instruction to the broker, or a word of it.
func ofBroker(name string) bool { return len(name) >= 5 && strings.EqualFold(name[:5], "Nats-") }
