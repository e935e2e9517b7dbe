package bus

import (
	"strings"

	"go.opentelemetry.io/otel/propagation"
)

// Propagator is the W3C form, whatever OTEL_PROPAGATORS says: it is part of the contract.
var Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// ofBroker says whether a header is an instruction to the broker, or a word of it.
func ofBroker(name string) bool { return len(name) >= 5 && strings.EqualFold(name[:5], "Nats-") }

// OfBroker says whether a header is an instruction to the broker, or a word of it.
func OfBroker(name string) bool { return ofBroker(name) }
