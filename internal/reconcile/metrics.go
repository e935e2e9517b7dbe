package reconcile

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/reconcile"

// metrics counts a cloud's reconciliation.
type metrics struct {
	cloud                             attribute.KeyValue
	runs, records, missing, published metric.Int64Counter
	checkpoint                        atomic.Int64 // milliseconds; 0 while unknown
	timing                            Timing
	began                             time.Time
}

func newMetrics(cfg Config) (*metrics, error) {
	b := instrument.New(scope)
	m := &metrics{
		cloud: attribute.String("factro.cloud", cfg.Cloud), timing: cfg.Timing, began: time.Now(),
		runs: b.Counter("factro.bridge.reconcile.runs", "{run}",
			"Reconciliations, by outcome: whole, gap (something was missing and was published), skipped (another process had just run), failed."),
		records:   b.Counter("factro.bridge.reconcile.records", "{record}", "Stored payloads that were read from factro."),
		missing:   b.Counter("factro.bridge.reconcile.missing", "{record}", "Stored payloads that had no event in the stream."),
		published: b.Counter("factro.bridge.reconcile.published", "{event}", "Events that were published because they were missing."),
	}
	age := b.FloatGauge("factro.bridge.reconcile.checkpoint.age", "s",
		"How far back the checkpoint is: before it, the stream of events is known to be complete. The minimum is the overlap.")
	overdue := b.FloatGauge("factro.bridge.reconcile.overdue", "s",
		"How much further back the checkpoint is than it should be, by reconcile.every and reconcile.overlap; 0 if it is on time.")
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

// overdue is how late the checkpoint of a time in milliseconds is; 0 means on time. A process checks it periodically, and
// skips if another one has just run, so two of these periods may pass.
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
