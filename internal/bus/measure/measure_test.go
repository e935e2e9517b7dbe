package measure_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestHeaderCase: a sender's headers count in any case, as those of other clients and of bridges from HTTP are.
func TestHeaderCase(t *testing.T) {
	t.Parallel()
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, tt := range map[string]struct {
		header nats.Header
		id     string
	}{
		"plain":     {nats.Header{"Traceparent": {"00-" + traceID + "-00f067aa0ba902b7-01"}, "nats-msg-id": {"p-1"}}, "p-1"},
		"canonical": {nats.Header{"TRACEPARENT": {"00-" + traceID + "-00f067aa0ba902b7-01"}, "Nats-Msg-Id": {"p-2"}}, "p-2"},
		"event": {nats.Header{
			"Ce-Id": {"c-1"}, "Ce-Specversion": {"1.0"}, "CE-Source": {"urn:x"}, "Ce-Type": {"com.factro.command.createTask"},
			"Ce-Traceparent": {"00-" + traceID + "-00f067aa0ba902b7-01"},
		}, "c-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := trace.SpanContextFromContext(delivery.Extract(t.Context(), measure.Propagator, tt.header)).TraceID().String(); got != traceID {
				t.Errorf("the trace is %s", got)
			}
			cmd, err := events.Prefix("factro").DecodeCommand("factro.command.acme.task.createTask", tt.header, []byte("{}"), "COMMANDS:1")
			if err != nil || cmd.Event.ID() != tt.id {
				t.Errorf("the id is %s, want %s (%v)", cmd.Event.ID(), tt.id, err)
			}
		})
	}
}
