package measure

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
)

// Scope names what the packages for NATS measure and trace. It is one for all, since several count in the same metrics.
const Scope = "github.com/factro-bridge/factro-bridge/internal/bus"

// UnaccountedMeaning is the description of a gauge that several packages have a part in.
const UnaccountedMeaning = "What was accepted and is neither settled, given back nor being processed, by flow; always 0 unless something is lost."

// Propagator is the W3C form, whatever OTEL_PROPAGATORS says: it is part of the contract.
var Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// Destination is the part of a subject that stands in metrics and in the names of spans: prefix, kind and cloud.
func Destination(subject string) string {
	dots := 0
	for i := range len(subject) {
		if subject[i] == '.' {
			if dots++; dots == 3 {
				return subject[:i]
			}
		}
	}
	return subject
}

// Cloud is the label of a cloud.
func Cloud(cloud string) attribute.KeyValue { return attribute.String("factro.cloud", cloud) }

// CloudOption is the only label of what is measured by cloud.
func CloudOption(cloud string) metric.MeasurementOption { return metric.WithAttributes(Cloud(cloud)) }
