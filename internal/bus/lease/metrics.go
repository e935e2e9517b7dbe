package lease

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// Works on a cloud.
const (
	Commands  = "commands"  // carries out commands
	Reconcile = "reconcile" // reconciles by a timer
	Mirror    = "mirror"    // mirrors
)

// Key is the key of the lease for a work on a cloud, as "commands.acme".
func Key(work, cloud string) string { return work + "." + cloud }

// kind is the work that a key is for. Each work is spread by itself.
func kind(key string) string {
	work, _, _ := strings.Cut(key, ".")
	return work
}

// observe registers the metrics of a fleet.
func (f *Fleet) observe() (metric.Registration, error) {
	b := instrument.New(measure.Scope)
	active := b.Gauge("factro.bridge.active", "",
		"1 if this bridge has the lease for a work on a cloud, 0 if it stands by; the sum over all bridges is 1.")
	peers := b.Gauge("factro.bridge.peers", "{bridge}", "Bridges that share their work with this one, this one included.")
	registration := b.Observe(func(_ context.Context, o metric.Observer) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		for key, c := range f.claims {
			work, cloud, _ := strings.Cut(key, ".")
			var have int64
			if c.held != nil && time.Now().Before(c.held.Until()) {
				have = 1
			}
			o.ObserveInt64(active, have, metric.WithAttributes(measure.Cloud(cloud), attribute.String("factro.work", work)))
		}
		if f.peers > 0 { // else this process takes no part
			o.ObserveInt64(peers, int64(f.peers))
		}
		return nil
	})
	return registration, b.Err()
}
