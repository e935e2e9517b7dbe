package bridge

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/bridge"

// observe makes metrics of what the process is and whether it is ready, until the returned function is called.
func (b *Bridge) observe(ready func() readiness) (stop func(), err error) {
	build := instrument.New(scope)
	isReady := build.Gauge("factro.bridge.ready", "", "1 while /readyz says that the process can do its work, else 0.")
	usable := build.Gauge("factro.bridge.nats.usable", "",
		"1 while NATS does all that the process needs of it, 0 while it is away, refuses a permission or fails; with a spool, or if it fails for commands only, a process that takes webhooks is ready all the same.")
	role := build.Gauge("factro.bridge.role", "", "1 for each role that the process has.")
	registered := build.Observe(func(_ context.Context, o metric.Observer) error {
		now := ready()
		o.ObserveInt64(isReady, oneIf(now.Ready))
		o.ObserveInt64(usable, oneIf(now.Parts["nats"] == "ok" && (now.Parts["commands"] == "" || now.Parts["commands"] == "ok")))
		for _, name := range b.cfg.Roles {
			o.ObserveInt64(role, 1, metric.WithAttributes(attribute.String("role", name)))
		}
		return nil
	})
	if err := build.Err(); err != nil {
		return nil, err
	}
	return func() { _ = registered.Unregister() }, nil // there is nothing left to observe, so its error tells nobody anything
}

func oneIf(well bool) int64 {
	if well {
		return 1
	}
	return 0
}
