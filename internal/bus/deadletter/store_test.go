package deadletter

import (
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
