package schemas

import (
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// TestDeadCommandCodes: the bridge terminates a command with every code that is final, but for those of a command that the broker
// gave up before, and of one that was cancelled.
func TestDeadCommandCodes(t *testing.T) {
	t.Parallel()
	var want []string
	for _, c := range Codes {
		if c.Outcome != events.Deferred && c.Name != events.CodeUndeliverable && c.Name != notbefore.CodeCancelled {
			want = append(want, c.Name)
		}
	}
	if have := slices.Sorted(slices.Values(topology.DeadCommandCodes)); !slices.Equal(have, slices.Sorted(slices.Values(want))) {
		t.Errorf("the codes of terminations are %v, want %v", have, want)
	}
}
