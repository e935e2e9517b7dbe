package bus

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// falseHeaders are what a sender may write in the broker's words: about another message, or that there is none.
func falseHeaders(m *nats.Msg) *nats.Msg {
	m.Header = nats.Header{
		"Nats-Sequence": {"1"}, "Nats-Subject": {"factro.command.beta.task.deleteTask"}, "Nats-Time-Stamp": {"2100-01-01T00:00:00Z"},
		"Nats-Stream": {"OTHER"}, "Status": {"404"},
	}
	return m
}

// TestTakeOverFalseHeaders: a command that calls itself a command of another cloud takes nothing of that cloud away when the
// queue of an older version is taken over.
func TestTakeOverFalseHeaders(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	out.older()
	for _, cloud := range []string{"acme", "beta"} { // nobody reads the queue, so it is read by sequence
		if err := out.js.DeleteConsumer(t.Context(), "FACTRO_COMMANDS", "egress-"+cloud); err != nil {
			t.Fatal(err)
		}
	}
	out.publish(&nats.Msg{Subject: "factro.command.beta.task.deleteTask", Data: []byte(`{"taskId":"theirs"}`)})
	for range 3 {
		out.publish(falseHeaders(&nats.Msg{Subject: "factro.command.acme.task.createTask"}))
	}
	receive(t, run(t, broker.connect(t, quiet(), clouds("acme"))).StreamsReady("acme"))
	if n := out.count("FACTRO_COMMANDS_ACME"); n != 3 {
		t.Errorf("%d commands of acme were moved, want 3", n)
	}
	if n := out.count("FACTRO_COMMANDS"); n != 1 {
		t.Errorf("the old queue has %d commands, want that of beta", n)
	}
	receive(t, run(t, broker.connect(t, quiet(), clouds("beta"))).StreamsReady("beta"))
	if n := out.count("FACTRO_COMMANDS_BETA"); n != 1 {
		t.Errorf("%d commands of beta were moved, want 1", n)
	}
}
