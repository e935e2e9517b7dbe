package events

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/factro-bridge/factro-bridge/pkg/events"

// propagator is the W3C form, whatever the program's own one is: it is part of the contract.
var propagator propagation.TraceContext

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
