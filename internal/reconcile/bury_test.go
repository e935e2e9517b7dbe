package reconcile

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// storedList is what factro has stored, oldest first.
type storedList [][]byte

func (r storedList) Stored(_ context.Context, _ time.Time, each func([]byte) error) error {
	for _, raw := range r {
		if err := each(raw); err != nil {
			return err
		}
	}
	return nil
}

// TestUnpublishable: a missing event that the stream never takes becomes a dead letter, once, and the others are published.
func TestUnpublishable(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	stream, err := b.js.Stream(t.Context(), "FACTRO_EVENTS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	limits := stream.CachedInfo().Config
	limits.MaxMsgSize = 8 << 10
	if _, err := b.js.UpdateStream(t.Context(), limits); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-10 * time.Minute)
	var list storedList
	for i, id := range []string{"first", "large", "last"} {
		c := map[string]any{"entityId": "t-1"}
		if id == "large" {
			c["note"] = strings.Repeat("x", 16<<10)
		}
		raw, err := json.Marshal(map[string]any{
			"id": id, "webhookId": "w-1", "action": "TaskStateChanged", "mandantId": "m-1", "context": c,
			"createdAt": at.Add(time.Duration(i) * time.Second).Format(time.RFC3339Nano),
			"webhook":   map[string]any{"callbackUri": "https://bridge.example.com/webhooks/acme"},
		})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, raw)
	}
	r, err := New(Config{Cloud: "acme", Source: "urn:factro:cloud:acme", Prefix: prefix, Timing: timing()}, list, b.bus, b.leases, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if report := once(t, r, Request{}); report.Missing != 3 || report.Published != 2 {
		t.Errorf("the run gave %s", brief(report))
	}
	var ids []string
	for _, m := range b.stored("acme") {
		if m.Event.Source() == "urn:factro:cloud:acme" { // not the bridge's own
			ids = append(ids, m.Event.ID())
		}
	}
	if !slices.Equal(ids, []string{"first", "last"}) {
		t.Errorf("the stream has %v", ids)
	}
	// The overlap has it come again.
	if report := once(t, r, Request{}); report.Missing != 0 {
		t.Errorf("the second run gave %s", brief(report))
	}
	wantDead(t, b.js)
}

// wantDead wants one dead letter, with the whole payload.
func wantDead(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	dead, err := js.Stream(t.Context(), "FACTRO_DEAD_ACME")
	if err != nil {
		t.Fatal(err)
	}
	if n := dead.CachedInfo().State.Msgs; n != 1 {
		t.Fatalf("there are %d dead letters", n)
	}
	letter, err := dead.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if code := letter.Header.Get("Factro-Dead-Code"); letter.Subject != "factro.dead.webhook.acme" || code != "too_large" || !strings.Contains(string(letter.Data), strings.Repeat("x", 16<<10)) {
		t.Errorf("the letter on %s has the code %q and %d bytes", letter.Subject, code, len(letter.Data))
	}
}
