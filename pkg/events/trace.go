package events

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/factro-bridge/factro-bridge/pkg/events"

// carrier puts a trace context into a message's headers. The keys stay as they are: NATS headers know upper from lower
// case, and the HTTP carrier's "Traceparent" would not be found under "traceparent".
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

// propagator is the W3C form, whatever the program's own one is: it is part of the contract.
var propagator propagation.TraceContext

// extract continues the trace of a message: the current hop's context in the NATS headers, else the event's origin.
func extract(ctx context.Context, header nats.Header) context.Context {
	if carrier(header).Get(ExtTraceParent) != "" {
		return propagator.Extract(ctx, carrier(header))
	}
	origin := carrier{}
	for _, name := range []string{ExtTraceParent, ExtTraceState} {
		if v := carrier(header).Get(attributePrefix + name); v != "" {
			origin.Set(name, v)
		}
	}
	return propagator.Extract(ctx, origin)
}

// inject writes the current hop's context into the headers of a message.
func inject(ctx context.Context, header nats.Header) { propagator.Inject(ctx, carrier(header)) }

// startSpan begins a span of the program's own provider. Without an SDK there is none, and a span context that is in ctx
// already stays there.
func startSpan(ctx context.Context, verb, subject string, kind trace.SpanKind, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	opts = append(opts, trace.WithSpanKind(kind), trace.WithAttributes(
		otelattribute.String("messaging.system", "nats"),
		otelattribute.String("messaging.operation.name", verb),
		otelattribute.String("messaging.destination.name", subject),
	))
	return otel.GetTracerProvider().Tracer(scope).Start(ctx, verb+" "+subjectKind(subject), opts...) //nolint:spancheck // the caller ends it
}

// withOperation names the operation on a span.
func withOperation(op Operation) trace.SpanStartOption {
	return trace.WithAttributes(otelattribute.String("factro.operation", op.Name))
}

// withEventID names the event on a span.
func withEventID(id string) trace.SpanStartOption {
	return trace.WithAttributes(otelattribute.String("cloudevents.event_id", id))
}

// subjectKind is the part of a subject that has few values: prefix, kind and cloud.
func subjectKind(subject string) string {
	t := strings.SplitN(subject, ".", 4)
	return strings.Join(t[:min(len(t), 3)], ".")
}
