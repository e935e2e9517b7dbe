package reconcile

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestBuried: a missing event that its stream never takes becomes a dead letter, once, and holds up neither the others nor
// the checkpoint.
func TestBuried(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	s, err := b.js.Stream(t.Context(), prefix.EventStream("acme"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = 4 << 10
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	c := &cloud{name: "acme", source: rand.New(rand.NewPCG(1, 2))}
	large := lostAt("large", 4*time.Minute)
	large.entity = strings.Repeat("ü", 4<<10)
	c.log = []happening{lostAt("before", 5*time.Minute), large, lostAt("after", 3*time.Minute)}
	r := c.reconciler(t, b)
	if report := once(t, r, Request{}); report.Missing != 3 || report.Published != 2 {
		t.Errorf("%d are missing, %d published", report.Missing, report.Published)
	}
	dead, err := b.js.Stream(t.Context(), prefix.DeadStream("acme"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := dead.GetLastMsgForSubject(t.Context(), prefix.DeadWebhook("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get(events.HeaderDeadCode) != "too_large" || !strings.Contains(string(m.Data), large.entity) {
		t.Errorf("the letter says %v, and has %d bytes", m.Header, len(m.Data))
	}
	var ids []string
	for _, m := range b.stored("acme") {
		ids = append(ids, m.Event.ID())
	}
	if text := strings.Join(ids, " "); !strings.Contains(text, "before") || !strings.Contains(text, "after") || strings.Contains(text, "large") {
		t.Errorf("the stream has %s", text)
	}
	if report := once(t, r, Request{}); report.Missing != 0 || report.Published != 0 {
		t.Errorf("the next run finds %d missing, and publishes %d", report.Missing, report.Published)
	}
	if info, err := dead.Info(t.Context()); err != nil || info.State.Msgs != 1 {
		t.Errorf("there are %d letters, %v", info.State.Msgs, err)
	}
}
