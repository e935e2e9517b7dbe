package bus

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestUnclaimed: commands of a cloud that was taken out of the configuration are told of once, and counted.
func TestUnclaimed(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	run(t, broker.connect(t, quiet(), clouds("akme")))
	log, book := newLog()
	b := run(t, broker.connect(t, log))
	out := broker.outside(t)
	got, commands := collector()
	consume(t, b, got)
	out.command("1")
	receive(t, commands)
	for range 2 {
		out.publish(&nats.Msg{Subject: "factro.command.akme.task.deleteTask", Data: []byte(`{}`)})
	}
	start(t, b.Unclaimed)
	eventually(t, "it is told", func() bool { return book.count("nobody reads") == 1 })
	if !strings.Contains(book.String(), `"cloud":"akme","commands":2`) || strings.Contains(book.String(), `"cloud":"acme","commands"`) {
		t.Errorf("the log is\n%s", book)
	}
	eventually(t, "the gauge says 2", func() bool { return gauge(t, "factro.bridge.commands.unclaimed", 2) })

	again := run(t, broker.connect(t, quiet(), clouds("akme")))
	stalled := make(chan struct{})
	start(t, func(ctx context.Context) error {
		return again.Consume(ctx, "akme", worker{handle: func(context.Context, context.Context, events.Command, error) error {
			<-stalled
			return nil
		}})
	})
	t.Cleanup(func() { close(stalled) })
	eventually(t, "the gauge says 0", func() bool { return gauge(t, "factro.bridge.commands.unclaimed", 0) })
	if n := book.count("nobody reads"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

// gauge says whether some instrument of that name has the value: the tests run at once, and the reader is theirs together.
func gauge(t testing.TB, name string, want int64) bool {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			if g, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == name {
				for _, p := range g.DataPoints {
					if p.Value == want {
						return true
					}
				}
			}
		}
	}
	return false
}

// withUsers lets the user bridge do everything but publish to some subjects.
func withUsers(denied ...string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "bridge", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: denied}}},
		}
	}
}
