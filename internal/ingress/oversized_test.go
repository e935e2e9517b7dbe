package ingress_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestOversized: a webhook whose event is too large for a message is refused, and kept completely as a dead letter.
func TestOversized(t *testing.T) {
	t.Parallel()
	store := &memoryStore{publish: func(context.Context) error { return fmt.Errorf("publish: %w", events.ErrTooLarge) }}
	s, book := newServer(t, config(), store)
	wantStatus(t, answer(t, s, request(t, good)), 413)
	kept := store.deadLetters()
	if len(kept) != 1 || kept[0].subject != "factro.dead.webhook.acme" || kept[0].code != "too_large" || string(kept[0].data) != good ||
		!strings.HasPrefix(kept[0].id, "acme.dead.") {
		t.Errorf("kept are %+v", kept)
	}
	if text := book.String(); !strings.Contains(text, "is kept as a dead letter; raise its max_payload") {
		t.Errorf("the log says %s", text)
	}
}
