package transport

import (
	"testing"
	"time"
)

// TestIdle: a connection is given up before a usual server does it.
func TestIdle(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]time.Duration{"kept": newConnections().kept.IdleConnTimeout, "fresh": newConnections().fresh.IdleConnTimeout} {
		if d <= 0 || d >= 5*time.Second {
			t.Errorf("%s: an idle connection is kept for %s, want less than the five seconds of a usual server", name, d)
		}
	}
}
