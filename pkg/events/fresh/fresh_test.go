package fresh_test

import (
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
)

func TestAge(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"0.000": 0, "1.500": 1500 * time.Millisecond, "90": 90 * time.Second} {
		if got, ok := fresh.Age(text); !ok || got != want {
			t.Errorf("%q: got %s, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "soon", "-1", "NaN", "Inf", "1e300", "1s"} {
		if got, ok := fresh.Age(text); ok {
			t.Errorf("%q: got %s", text, got)
		}
	}
}
