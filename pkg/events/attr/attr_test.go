package attr_test

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

func TestCaused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		extensions map[string]any
		want       bool
	}{
		"its own":               {map[string]any{"causationid": "c", "causationsource": "urn:a", "causationposition": "S:1"}, true},
		"of another source":     {map[string]any{"causationid": "c", "causationsource": "urn:b", "causationposition": "S:1"}, false},
		"of a plain command":    {map[string]any{"causationid": "c", "causationposition": "S:1"}, false},
		"of an earlier bridge":  {map[string]any{"causationid": "c"}, true},
		"of another id":         {map[string]any{"causationid": "d", "causationsource": "urn:a", "causationposition": "S:1"}, false},
		"of no command":         {nil, false},
		"another id, of before": {map[string]any{"causationid": "d"}, false},
	} {
		if got := attr.Caused(tt.extensions, "urn:a", "c"); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
		if got := attr.Caused(tt.extensions, "", "c"); name == "of a plain command" && !got {
			t.Errorf("%s: %v for the plain command", name, got)
		}
	}
}
