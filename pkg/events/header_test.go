package events_test

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestHeader(t *testing.T) {
	t.Parallel()
	for _, value := range nasty {
		encoded := events.EncodeHeader(value)
		if got, err := events.DecodeHeader(encoded); err != nil || got != value {
			t.Errorf("%q came back as %q, %v", value, got, err)
		}
	}
	if got, err := events.DecodeHeader("%zz"); err == nil {
		t.Errorf("got %q, want an error", got)
	}
}
