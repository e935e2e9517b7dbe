package bus

import (
	"go.opentelemetry.io/otel/propagation"
)

// Propagator is the W3C form, whatever OTEL_PROPAGATORS says: it is part of the contract.
var Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
