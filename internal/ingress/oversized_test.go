package ingress_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestOversized: a webhook whose event no message can hold is refused, and kept whole among the dead letters.
func TestOversized(t *testing.T) {
	t.Parallel()
	store := &shelf{publish: func(context.Context) error { return fmt.Errorf("publish: %w", events.ErrTooLarge) }}
	s, book := newServer(t, config(), store)
	wantStatus(t, answer(t, s, request(t, good)), 413)
	kept := store.buried()
	if len(kept) != 1 || kept[0].subject != "factro.dead.webhook.acme" || kept[0].code != "too_large" || string(kept[0].data) != good ||
		!strings.HasPrefix(kept[0].id, "acme.dead.") {
		t.Errorf("kept are %+v", kept)
	}
	if text := book.String(); !strings.Contains(text, "is kept as a dead letter; raise its max_payload") {
		t.Errorf("the log says %s", text)
	}
}
