package bridge

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// TestUnitAlone: the unit of one cloud stops and starts again while that of another works on, and carries out what was sent
// to its cloud meanwhile.
func TestUnitAlone(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	cfg := config.Default()
	cfg.NATS.URL, cfg.Roles = s.URL(), []string{config.RoleEgress, config.RoleQuery}
	for _, name := range []string{"acme", "demo"} {
		cfg.Clouds = append(cfg.Clouds, config.Cloud{Name: name, API: config.API{
			URL: "http://127.0.0.1:1/api/core", Key: secret.Source{Value: "key"}, RequestsPerMinute: 1, Timeout: time.Second,
		}})
	}
	b, err := New(cfg, "test", http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	broker, streams, err := ensure.Connect(b.cfg.BusConfig(nil), b.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	publisher, err := publish.New(t.Context(), broker, b.log)
	if err != nil {
		t.Fatal(err)
	}
	letters, err := deadletter.New(t.Context(), broker, publisher, objects.NewOriginals(broker, streams, b.log), b.log)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := b.newFleet(broker, streams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fleet.Close)
	consumer, err := commands.New(broker, publisher, letters, leases(fleet), b.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Close)
	steer := newSteering(cfg, broker, b.log)
	units, err := b.units(shared{broker: broker, streams: streams, publisher: publisher, letters: letters, queue: consumer, fleet: fleet, budgets: budget.NewPool(), steer: steer, delayed: delayed.New(broker, streams, publisher, b.log)})
	if err != nil {
		t.Fatal(err)
	}
	start := func(run func(context.Context) error) (stop func()) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // that of the test ends before its cleanups
		ended := make(chan error, 1)
		go func() { ended <- run(ctx) }()
		return func() {
			t.Helper()
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("it ended with %v", err)
			}
		}
	}
	t.Cleanup(start(broker.Run))
	t.Cleanup(start(fleet.Run))
	t.Cleanup(start(steer.follower.Run))
	stopAcme := start(units["acme"].run)
	t.Cleanup(start(units["demo"].run))

	_, js := s.Connect(t)
	acme, demo := events.NewClient(js, "acme"), events.NewClient(js, "demo")
	broker.Begun(t.Context(), "acme")
	broker.Begun(t.Context(), "demo")
	canary := payload.Generic{Name: events.OperationCanary, Resource: events.ResourceBridge}
	do := func(c *events.Client, id string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if r, err := c.Do(ctx, canary, events.DryRun(), events.WithID(id)); err != nil {
			t.Errorf("command %s got %+v, %v", id, r, err)
		}
	}
	do(acme, "before")
	do(demo, "before")
	stopAcme()
	if _, err := acme.Send(t.Context(), canary, events.DryRun(), events.WithID("meanwhile")); err != nil {
		t.Fatal(err)
	}
	do(demo, "meanwhile")
	queue, err := js.Consumer(t.Context(), events.Prefix(events.DefaultPrefix).CommandStream("acme"), topology.EgressConsumer("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if waiting := queue.CachedInfo(); waiting.NumPending != 1 {
		t.Errorf("%d commands wait while the unit is stopped, want 1", waiting.NumPending)
	}
	t.Cleanup(start(units["acme"].run))
	do(acme, "meanwhile")
}
