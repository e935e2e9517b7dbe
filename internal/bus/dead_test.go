package bus

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestLettersVanish: somebody else deletes the letters that are still to be read.
func TestLettersVanish(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	for range 2 * deadBatch {
		out.publish(&nats.Msg{Subject: "factro.dead.command.acme.task.createTask", Data: []byte(`{}`)})
	}
	c, n := &Client{nc: out.nc, js: out.js}, 0
	if err := c.DeadLetters(t.Context(), "factro", DeadFilter{Cloud: "acme"}, func(DeadLetter) error {
		n++
		return out.stream("FACTRO_DEAD_ACME").Purge(t.Context())
	}); err != nil || n == 0 {
		t.Errorf("%d letters, %v", n, err)
	}
}

// TestMendedTwice: a letter that is mended twice in the same way becomes one command.
func TestMendedTwice(t *testing.T) {
	t.Parallel()
	l := DeadLetter{
		Message: Message{Subject: "factro.dead.command.acme.task.createTask", Data: []byte(`{}`), Time: time.Unix(1, 2)}, Sequence: 3,
		Kind: DeadCommand, Original: "factro.command.acme.task.createTask",
	}
	id := func(data string) string {
		t.Helper()
		r, err := PrepareRedrive("factro", l, []byte(data), time.Now())
		if err != nil || r.msg.Header.Get(events.HeaderMessageID) != r.ID {
			t.Fatalf("%+v, %v", r, err)
		}
		return r.ID
	}
	if one := id(`{"title":"ä"}`); one != id(`{"title":"ä"}`) || one == id(`{"title":"ö"}`) {
		t.Errorf("the id is %s", one)
	}
}
