// Package tracing makes the spans of what a program sends and receives.
//
// In: the context and the subject of an operation. Out: a span of the program's own provider, and the form in which a trace
// travels in messages. It sets up no SDK and exports nothing.
package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name by which people filter these spans.
const scope = "github.com/factro-bridge/factro-bridge/pkg/events"

// Propagator is the W3C form, whatever the program's own one is: it is part of the contract.
var Propagator propagation.TraceContext

// Start begins a span of the program's own provider. Without an SDK there is none, and a span context that is in ctx
// already stays there.
func Start(ctx context.Context, verb, subject string, kind trace.SpanKind, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	opts = append(opts, trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.operation.name", verb),
		attribute.String("messaging.destination.name", subject),
	))
	return otel.GetTracerProvider().Tracer(scope).Start(ctx, verb+" "+kindOf(subject), opts...) //nolint:spancheck // the caller ends it
}

// Operation names the operation of the Core API on a span.
func Operation(name string) trace.SpanStartOption {
	return trace.WithAttributes(attribute.String("factro.operation", name))
}

// EventID names the event on a span.
func EventID(id string) trace.SpanStartOption {
	return trace.WithAttributes(attribute.String("cloudevents.event_id", id))
}

// kindOf is the part of a subject that has few values: prefix, kind and cloud.
func kindOf(subject string) string {
	t := strings.SplitN(subject, ".", 4)
	return strings.Join(t[:min(len(t), 3)], ".")
}
