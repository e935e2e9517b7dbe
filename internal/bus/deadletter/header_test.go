package deadletter

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// All headers that a dead letter has of us are told, and no others.
func TestDeadHeadersAreTold(t *testing.T) {
	t.Parallel()
	letter := cut(Copy("factro.dead.command.acme.task.createTask", "factro.command.acme.task.createTask", nats.Header{"Nats-Msg-Id": {"1"}}, nil))
	SetReason(letter.Header, "refused", bus.ErrNoFile)
	SetRequest(letter.Header, http.Header{"Content-Type": {"text/plain"}})
	for _, name := range []string{topology.HeaderDeadPosition, topology.HeaderDeadAttempts, topology.HeaderDeadOriginal} { // of the delivery, and of the object store
		letter.Header[name] = []string{"1"}
	}
	parent := delivery.Header{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	Letter{Status: 400, Log: []ledger.Attempt{{Status: 400}}}.describe(measure.Propagator.Extract(t.Context(), parent), letter.Header)
	var told []string
	for _, h := range topology.DeadHeaders() {
		told = append(told, h.Name)
		if h.Meaning == "" {
			t.Errorf("%s means nothing", h.Name)
		}
	}
	slices.Sort(told)
	if have := slices.Sorted(maps.Keys(letter.Header)); !slices.Equal(told, have) {
		t.Errorf("told are %v, a dead letter has %v", told, have)
	}
}

// TestCopyKeepsTheID: the message id of a plain command is kept, in whatever case its sender wrote the header.
func TestCopyKeepsTheID(t *testing.T) {
	t.Parallel()
	dead := Copy("factro.dead.command.acme.task.createTask", "x", nats.Header{"nats-msg-id": {"c-1"}}, nil)
	if id := dead.Header[topology.HeaderDeadMessageID]; len(id) != 1 || id[0] != "c-1" || dead.Header["nats-msg-id"] != nil {
		t.Errorf("the headers are %v", dead.Header)
	}
}
