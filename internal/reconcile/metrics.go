package reconcile

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/telemetry/instrument"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/reconcile"

// metrics are what is counted of a cloud's reconciliation.
type metrics struct {
	cloud                             attribute.KeyValue
	runs, records, missing, published metric.Int64Counter
	checkpoint                        atomic.Int64 // milliseconds; 0 while it is not known
	timing                            Timing
	began                             time.Time
}

func newMetrics(cfg Config) (*metrics, error) {
	b := instrument.New(scope)
	m := &metrics{
		cloud: attribute.String("factro.cloud", cfg.Cloud), timing: cfg.Timing, began: time.Now(),
		runs: b.Counter("factro.bridge.reconcile.runs", "{run}",
			"Reconciliations, by outcome: whole, gap (something was missing and was published), skipped (another process was just there), failed."),
		records:   b.Counter("factro.bridge.reconcile.records", "{record}", "Stored payloads that were read from factro."),
		missing:   b.Counter("factro.bridge.reconcile.missing", "{record}", "Stored payloads that had no event in the stream."),
		published: b.Counter("factro.bridge.reconcile.published", "{event}", "Events that were published because they were missing."),
	}
	age := b.FloatGauge("factro.bridge.reconcile.checkpoint.age", "s",
		"How far back the checkpoint is: before it, the stream of events is known to be whole. At best it is the overlap.")
	overdue := b.FloatGauge("factro.bridge.reconcile.overdue", "s",
		"How much further back the checkpoint is than it should be, by reconcile.every and reconcile.overlap; 0 if all is well.")
	b.Observe(func(_ context.Context, o metric.Observer) error {
		now, at, attrs := time.Now(), m.checkpoint.Load(), metric.WithAttributes(m.cloud)
		if at != 0 {
			o.ObserveFloat64(age, now.Sub(time.UnixMilli(at)).Seconds(), attrs)
		}
		o.ObserveFloat64(overdue, m.overdue(now, at).Seconds(), attrs)
		return nil
	})
	return m, b.Err()
}

// overdue is how late the checkpoint of a time in milliseconds is, 0 for none. A process looks at it every so often, and
// another one that has just been there counts as well, so two of these times may pass.
func (m *metrics) overdue(now time.Time, checkpoint int64) time.Duration {
	last := m.began
	if checkpoint != 0 {
		last = time.UnixMilli(checkpoint).Add(m.timing.Overlap)
	}
	return max(now.Sub(last)-2*m.timing.Every, 0)
}

func (m *metrics) ran(ctx context.Context, outcome string, r Report) {
	m.runs.Add(ctx, 1, metric.WithAttributes(m.cloud, attribute.String("outcome", outcome)))
	m.count(ctx, r)
}

func (m *metrics) count(ctx context.Context, r Report) {
	cloud := metric.WithAttributes(m.cloud)
	m.records.Add(ctx, int64(r.Records), cloud)
	m.missing.Add(ctx, int64(r.Missing), cloud)
	m.published.Add(ctx, int64(r.Published), cloud)
}
