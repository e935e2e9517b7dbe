package bus

import (
	"context"

	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// observe shows the state of a connection until the registration ends.
func observe(b *Conn) (metric.Registration, error) {
	m := instrument.New(measure.Scope)
	connected := m.Gauge("factro.bridge.nats.connected", "", "1 while the connection to NATS is up, else 0.")
	reconnects := m.ObservableCounter("factro.bridge.nats.reconnects", "{reconnect}",
		"How often the connection to NATS was made again.")
	r := m.Observe(func(_ context.Context, o metric.Observer) error {
		up := int64(0)
		if b.Up() {
			up = 1
		}
		o.ObserveInt64(connected, up)
		if nc := b.signing.Load(); nc != nil {
			o.ObserveInt64(reconnects, int64(nc.Stats().Reconnects)) //nolint:gosec // far below the limit of the type
		}
		return nil
	})
	return r, m.Err()
}
