package config

import (
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// TestSizesThatFit: the defaults fit together, and what does not is a warning that says what to change.
func TestSizesThatFit(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Clouds = []Cloud{{Name: "acme"}, {Name: "other"}}
	if all := c.sizeWarnings(); len(all) != 0 {
		t.Errorf("of the defaults: %q", all)
	}
	c.HTTP.MaxBody = 1 << 20
	all := c.sizeWarnings()
	if len(all) != 1 || !strings.Contains(all[0], "http.max_body") || !strings.Contains(all[0], "max_payload") || !strings.Contains(all[0], "1032192") {
		t.Errorf("of 1MiB: %q", all)
	}
	c.NATS.Embedded.DataDir = "data"
	if all := c.sizeWarnings(); len(all) != 0 {
		t.Errorf("with an embedded server: %q", all)
	}
	if cloud, why := c.Unfit(topology.Limits{Payload: 8 << 20, Messages: map[string]int64{"other": 4096}}); cloud != "other" || !strings.Contains(why, "max_msg_size") {
		t.Errorf("with a limit of a stream: %q, %q", cloud, why)
	}
	if cloud, why := c.Unfit(topology.Limits{}); why != "" {
		t.Errorf("with nothing known: %q, %q", cloud, why)
	}
}
