package ingress

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// account counts requests where they come in and where they are refused. What was kept is the store's count, not ours, so
// that a way on which something gets lost shows.
type account struct {
	received, refused, open atomic.Int64

	// hanging are those that were refused since the store did not answer, and that it may keep all the same.
	hanging atomic.Int64
}

// late notes how one of those ended.
func (a *account) late(kept bool) {
	if kept {
		a.refused.Add(-1)
	}
	a.hanging.Add(-1)
}

// missing is what arrived and was neither kept nor refused nor is at work: 0 if nothing was lost. ok is false if the counts
// changed while they were read, as they may under load.
func (a *account) missing(kept func() int64) (n int64, ok bool) {
	const attempts = 100
	for range attempts {
		received, refused, open, hanging := a.received.Load(), a.refused.Load(), a.open.Load(), a.hanging.Load()
		n = received - refused - kept()
		if a.received.Load() != received || a.refused.Load() != refused || a.open.Load() != open || a.hanging.Load() != hanging {
			continue
		}
		switch { // those at work may be counted by the store already, or not yet
		case n > open:
			return n - open, true
		case n < -hanging: // those that hang may be counted by the store, and by us as refused
			return n + hanging, true
		}
		return 0, true
	}
	return 0, false
}

// observe makes the account a metric.
func (a *account) observe(meter metric.Meter, kept func() int64) error {
	if kept == nil {
		return nil
	}
	gauge, err := meter.Int64ObservableGauge("factro.bridge.unaccounted", metric.WithUnit("{message}"), metric.WithDescription(
		"What was taken in and is neither settled nor given back nor in hand, by flow; always 0 unless something is lost."))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if n, ok := a.missing(kept); ok {
			o.ObserveInt64(gauge, n, metric.WithAttributes(attribute.String("flow", "webhooks")))
		}
		return nil
	}, gauge)
	return err
}
