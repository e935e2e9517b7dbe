package health_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestPublishesAreRemembered: all looks well, but the stream does not take what we send.
func TestPublishesAreRemembered(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	conn, b := running(t, broker)
	out := bustest.Connected(t, broker)
	store(t, b, "e-1")
	cfg := out.Stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	right := cfg
	cfg.Discard, cfg.DiscardNewPerSubject, cfg.MaxMsgsPerSubject = jetstream.DiscardNew, true, 1
	if _, err := out.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // a check that finds all well is believed less and less
		if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "e-2"), "e-2"); err == nil {
			t.Error("it was stored")
		}
		if times, _ := conn.Health().Distrusted("factro.event.acme"); times != i+1 {
			t.Errorf("%d failures are remembered, want %d", times, i+1)
		}
		if i > 0 { // the first time, the next check counts at once
			bustest.Unready(t, conn, "the last publish to factro.event.acme failed")
		}
		conn.Health().Believe("factro.event.acme") // as if the time were over
	}
	if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "e-2"), "e-2"); err == nil {
		t.Error("it was stored")
	}
	if times, wait := conn.Health().Distrusted("factro.event.acme"); times != 4 || wait != 4*time.Second {
		t.Errorf("after %d failures a check does not count for %s", times, wait)
	}
	if conn.Health().Ready() == nil {
		t.Error("it is ready")
	}
	if _, err := out.JS.UpdateStream(t.Context(), right); err != nil {
		t.Fatal(err)
	}
	store(t, b, "e-2") // one that works is proof enough
	if err := conn.Health().Ready(); err != nil {
		t.Errorf("readiness is %v", err)
	}
}

// TestBindUnseen: a process that may not look at its streams learns from its publishes whether they are there.
func TestBindUnseen(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t, bustest.Users(&server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"factro.event.>", "factro.dead.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}))
	conn, b := running(t, broker, bustest.AsBridge, func(c *bus.Config) { c.Manage, c.Takes = false, true })
	if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "e-1"); !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Fatalf("got %v", err)
	}
	if times, _ := conn.Health().Distrusted("factro.event.acme"); times == 0 {
		t.Error("the failure is not remembered")
	}
	if _, err := bustest.Connected(t, broker).JS.CreateStream(t.Context(), topology.Of(topology.Events, "factro", "acme").StreamConfig); err != nil {
		t.Fatal(err)
	}
	store(t, b, "e-1")
	bustest.Ready(t, conn)
	if errors.Is(conn.Health().Ready(), nats.ErrPermissionViolation) {
		t.Error("a look that is not allowed is no reason not to be ready")
	}
}
