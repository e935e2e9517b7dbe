package bus

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
)

// observe shows the state of a connection until the registration ends.
func observe(b *Conn) (metric.Registration, error) {
	meter := otel.Meter(measure.Scope)
	connected, err := meter.Int64ObservableGauge("factro.bridge.nats.connected",
		metric.WithDescription("1 while the connection to NATS is up, else 0."))
	if err != nil {
		return nil, err
	}
	reconnects, err := meter.Int64ObservableCounter("factro.bridge.nats.reconnects", metric.WithUnit("{reconnect}"),
		metric.WithDescription("How often the connection to NATS was made again."))
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		up := int64(0)
		if b.Up() {
			up = 1
		}
		o.ObserveInt64(connected, up)
		if nc := b.signing.Load(); nc != nil {
			o.ObserveInt64(reconnects, int64(nc.Stats().Reconnects)) //nolint:gosec // far below the limit of the type
		}
		return nil
	}, connected, reconnects)
}
