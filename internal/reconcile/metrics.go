package reconcile

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/reconcile"

// metrics are what is counted of a cloud's reconciliation.
type metrics struct {
	cloud                             attribute.KeyValue
	runs, records, missing, published metric.Int64Counter
	checkpoint                        atomic.Int64 // milliseconds; 0 while it is not known
}

func newMetrics(cloud string) (*metrics, error) {
	meter := otel.Meter(scope)
	m := &metrics{cloud: attribute.String("factro.cloud", cloud)}
	for _, c := range []struct {
		counter    *metric.Int64Counter
		name, unit string
		doc        string
	}{
		{&m.runs, "runs", "{run}", "Reconciliations, by outcome: whole, gap (something was missing and was published), skipped (another process was just there), failed."},
		{&m.records, "records", "{record}", "Stored payloads that were read from factro."},
		{&m.missing, "missing", "{record}", "Stored payloads that had no event in the stream."},
		{&m.published, "published", "{event}", "Events that were published because they were missing."},
	} {
		var err error
		*c.counter, err = meter.Int64Counter("factro.bridge.reconcile."+c.name, metric.WithUnit(c.unit), metric.WithDescription(c.doc))
		if err != nil {
			return nil, err
		}
	}
	age, err := meter.Float64ObservableGauge("factro.bridge.reconcile.checkpoint.age", metric.WithUnit("s"),
		metric.WithDescription("How far back the checkpoint is: before it, the stream of events is known to be whole. At best it is the overlap."))
	if err != nil {
		return nil, err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if at := m.checkpoint.Load(); at != 0 {
			o.ObserveFloat64(age, time.Since(time.UnixMilli(at)).Seconds(), metric.WithAttributes(m.cloud))
		}
		return nil
	}, age)
	return m, err
}

func (m *metrics) ran(ctx context.Context, outcome string, r Report) {
	m.runs.Add(ctx, 1, metric.WithAttributes(m.cloud, attribute.String("outcome", outcome)))
	cloud := metric.WithAttributes(m.cloud)
	m.records.Add(ctx, int64(r.Records), cloud)
	m.missing.Add(ctx, int64(r.Missing), cloud)
	m.published.Add(ctx, int64(r.Published), cloud)
}
