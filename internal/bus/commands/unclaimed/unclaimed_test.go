package unclaimed

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func TestMain(m *testing.M) { bustest.Main(m) }

// TestUnclaimed: commands of a cloud that was taken out of the configuration are logged once, and counted.
func TestUnclaimed(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	bustest.Run(t, bustest.Connect(t, broker, bustest.Quiet(), bustest.Clouds("akme")))
	log, book := bustest.NewLog()
	b := bustest.Run(t, bustest.Connect(t, broker, log))
	out := bustest.Connected(t, broker)
	out.Command("1") // of a cloud that is configured
	for range 2 {
		out.Publish(&nats.Msg{Subject: "factro.command.akme.task.deleteTask", Data: []byte(`{}`)})
	}
	bustest.Start(t, func(ctx context.Context) error { return watch(ctx, b, log, 50*time.Millisecond) })
	natstest.Eventually(t, "it is logged", func() bool { return book.Count("nobody reads") == 1 })
	if !strings.Contains(book.String(), `"cloud":"akme","commands":2`) || strings.Contains(book.String(), `"cloud":"acme","commands"`) {
		t.Errorf("the log is\n%s", book)
	}
	natstest.Eventually(t, "the gauge says 2", func() bool { return gauge(t, "factro.bridge.commands.unclaimed", 2) })

	c, err := out.JS.CreateConsumer(t.Context(), "FACTRO_COMMANDS_AKME", jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil { // somebody works on it now
		t.Fatal(err)
	}
	natstest.Eventually(t, "the gauge says 0", func() bool { return gauge(t, "factro.bridge.commands.unclaimed", 0) })
	if n := book.Count("nobody reads"); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
}

// gauge says whether some instrument of that name has the value: the tests run at once, and the reader is theirs together.
func gauge(t testing.TB, name string, want int64) bool {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := bustest.Metrics.Collect(t.Context(), &all); err != nil {
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
