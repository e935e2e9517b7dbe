package deadletter

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// The contract lists all headers that the bridge writes to a dead letter, and no others.
func TestDeadHeadersAreListed(t *testing.T) {
	t.Parallel()
	letter := pack.Cut(Copy("factro.dead.command.acme.task.createTask", "factro.command.acme.task.createTask", nats.Header{"Nats-Msg-Id": {"1"}}, nil))
	SetReason(letter.Header, "refused", objects.ErrNoFile)
	SetRequest(letter.Header, http.Header{"Content-Type": {"text/plain"}})
	for _, name := range []string{topology.HeaderDeadPosition, topology.HeaderDeadAttempts, topology.HeaderDeadOriginal} { // of the delivery, and of the object store
		letter.Header[name] = []string{"1"}
	}
	parent := delivery.Header{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	Letter{Status: 400, Log: []ledger.Attempt{{Status: 400}}}.describe(measure.Propagator.Extract(t.Context(), parent), letter.Header)
	var listed []string
	for _, h := range topology.DeadHeaders() {
		listed = append(listed, h.Name)
		if h.Meaning == "" {
			t.Errorf("%s means nothing", h.Name)
		}
	}
	slices.Sort(listed)
	if have := slices.Sorted(maps.Keys(letter.Header)); !slices.Equal(listed, have) {
		t.Errorf("listed are %v, a dead letter has %v", listed, have)
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
