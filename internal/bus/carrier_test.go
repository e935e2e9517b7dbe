package bus

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
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
			if got := trace.SpanContextFromContext(delivery.Extract(t.Context(), Propagator, tt.header)).TraceID().String(); got != traceID {
				t.Errorf("the trace is %s", got)
			}
			broker := startBroker(t)
			b := run(t, broker.connect(t, quiet()))
			w, got := collector()
			consume(t, b, w)
			out := broker.outside(t)
			out.publish(&nats.Msg{Subject: "factro.command.acme.task.createTask", Header: tt.header, Data: []byte("{}")})
			if cmd := receive(t, got); cmd.Event.ID() != tt.id {
				t.Errorf("the id is %s, want %s", cmd.Event.ID(), tt.id)
			}
		})
	}
}

// TestLeaderNotAsked: an account from before the right to ask the leader was needed works on, and the log names the right.
func TestLeaderNotAsked(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	run(t, broker.connect(t, quiet())).Close()
	broker.stop()
	denies := denied("$JS.API.STREAM.MSG.GET.>", "")
	broker.Options.Users = append(broker.Options.Users, &server.User{Username: "bridge", Password: "right", Permissions: denies})
	broker.start()
	log, book := newLog()
	b := run(t, broker.connect(t, log, func(c *Config) { userFiles(t, c, "right") }))
	for _, id := range []string{"a", "b"} {
		if known, err := ledger(b).Begin(t.Context(), "acme", id); known || err != nil {
			t.Errorf("%s: %t, %v", id, known, err)
		}
		if known, err := ledger(b).Look(t.Context(), "acme", id); !known || err != nil {
			t.Errorf("%s: %t, %v", id, known, err)
		}
	}
	if known, err := ledger(b).Look(t.Context(), "acme", "c"); known || err != nil {
		t.Errorf("there is none: %t, %v", known, err)
	}
	if n := book.count("STREAM.MSG.GET.KV_FACTRO_LEDGER_ACME"); n != 1 || !strings.Contains(book.String(), "grant the permission") {
		t.Errorf("the log names the right %d times:\n%s", n, book)
	}
	ready(t, b)
}
