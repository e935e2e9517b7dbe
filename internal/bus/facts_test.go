package bus

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// All headers that a dead letter has of us are told, and no others.
func TestDeadHeadersAreTold(t *testing.T) {
	t.Parallel()
	letter := cut(DeadCopy("factro.dead.command.acme.task.createTask", "factro.command.acme.task.createTask", nats.Header{"Nats-Msg-Id": {"1"}}, nil))
	setDeadHeaders(letter.Header, "refused", ErrNoFile)
	setRequest(letter.Header, http.Header{"Content-Type": {"text/plain"}})
	for _, name := range []string{headerDeadPosition, headerDeadAttempts, headerDeadOriginal} { // of the delivery, and of the object store
		letter.Header[name] = []string{"1"}
	}
	parent := delivery.Header{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	Letter{Status: 400, Log: []Attempt{{Status: 400}}}.describe(Propagator.Extract(t.Context(), parent), letter.Header)
	var told []string
	for _, h := range DeadHeaders() {
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
