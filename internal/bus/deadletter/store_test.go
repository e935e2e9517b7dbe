package deadletter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/percent"
)

func TestQuarantine(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	reason := fmt.Errorf("not JSON:\nNats-Rollup: all %s", strings.Repeat("ü", 2000))
	letters := store(t, b)
	for range 2 {
		if err := letters.Quarantine(t.Context(), "factro.dead.webhook.acme", "w-1", "invalid", reason, []byte("<xml/>"), nil); err != nil {
			t.Fatal(err)
		}
	}
	m := out.Last("FACTRO_DEAD_ACME")
	text, err := percent.Decode(m.Header.Get(topology.HeaderDeadReason))
	if err != nil || !strings.HasPrefix(text, "not JSON:\nNats-Rollup") || len(text) > 1100 {
		t.Errorf("the reason is %q, %v", text, err)
	}
	if out.Count("FACTRO_DEAD_ACME") != 1 || string(m.Data) != "<xml/>" || m.Header.Get(topology.HeaderDeadCode) != "invalid" || m.Header.Get("Nats-Rollup") != "" {
		t.Errorf("%d dead letters, the last is %q %v", out.Count("FACTRO_DEAD_ACME"), m.Data, m.Header)
	}
	if _, err := time.Parse(time.RFC3339Nano, m.Header.Get(topology.HeaderDeadTime)); err != nil {
		t.Error(err)
	}
}

// TestGiveUpCommand: the place of a dead letter is told when it is stored, and again when it is stored once more, even if it is gone.
// Of one that is parked it is not known.
func TestGiveUpCommand(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	letters := store(t, b)
	want := func(position string, want uint64) {
		t.Helper()
		m := Copy("factro.dead.command.acme.task.deleteTask", "factro.command.acme.task.deleteTask", nil, []byte("{}"))
		SetReason(m.Header, "refused", errors.New("no"))
		SetDelivery(m.Header, position, 1)
		sequence, err := letters.GiveUpCommand(t.Context(), PendingPublish{ID: ID(position, time.Time{}), Msg: m})
		if err != nil || sequence != want {
			t.Errorf("the dead letter of %s is at %d, want %d: %v", position, sequence, want, err)
		}
	}
	want("FACTRO_COMMANDS_ACME:7", 1)
	want("FACTRO_COMMANDS_ACME:8", 2)
	want("FACTRO_COMMANDS_ACME:7", 1)
	if err := out.Stream("FACTRO_DEAD_ACME").DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	want("FACTRO_COMMANDS_ACME:8", 2)
	out.Limit("FACTRO_DEAD_ACME", 10)
	want("FACTRO_COMMANDS_ACME:9", 0)
}
