package plural_test

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0 events": plural.Of(0, "event"), "1 event": plural.Of(1, "event"), "2 dead letters": plural.Of(2, "dead letter"), "1 dead letter": plural.Of(int64(1), "dead letter"),
		"3 queries": plural.Of(uint64(3), "query"), "2 checklist entries": plural.Of(2, "checklist entry"), "was": plural.Choose(1, "was", "were"), "were": plural.Choose(0, "was", "were"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
