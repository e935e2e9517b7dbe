package deadletter

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestLettersVanish: somebody else deletes the letters that are still to be read.
func TestLettersVanish(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	bustest.Run(t, bustest.Connect(t, broker, bustest.Quiet()))
	out := bustest.Connected(t, broker)
	for range 2 * batch {
		out.Publish(&nats.Msg{Subject: "factro.dead.command.acme.task.createTask", Data: []byte(`{}`)})
	}
	c, n := bustest.Client(t, broker), 0
	if err := List(t.Context(), c, "factro", Filter{Cloud: "acme"}, func(Entry) error {
		n++
		return out.Stream("FACTRO_DEAD_ACME").Purge(t.Context())
	}); err != nil || n == 0 {
		t.Errorf("%d letters, %v", n, err)
	}
}
