package bridge

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/bridge"

// observe makes metrics of what the process is and whether it is ready, until the returned function is called.
func (b *Bridge) observe(ready func() readiness) (stop func(), err error) {
	meter := otel.Meter(scope)
	isReady, err := meter.Int64ObservableGauge("factro.bridge.ready",
		metric.WithDescription("1 while /readyz says that the process can do its work, else 0."))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	role, err := meter.Int64ObservableGauge("factro.bridge.role", metric.WithDescription("1 for each role that the process has."))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	registered, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		well := int64(0)
		if ready().Ready {
			well = 1
		}
		o.ObserveInt64(isReady, well)
		for _, name := range b.cfg.Roles {
			o.ObserveInt64(role, 1, metric.WithAttributes(attribute.String("role", name)))
		}
		return nil
	}, isReady, role)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return func() { _ = registered.Unregister() }, nil // there is nothing left to observe, so its error tells nobody anything
}
