package ingress

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// account counts requests where they arrive and where they are refused. The number of stored webhooks comes from the store, not
// from here, so that a webhook that is lost in between shows.
type account struct {
	received, refused, open atomic.Int64

	// hanging are requests that were refused because the store did not answer in time. The store may still keep them.
	hanging atomic.Int64
}

// resolveHanging records how a hanging request ended.
func (a *account) resolveHanging(kept bool) {
	if kept {
		a.refused.Add(-1)
	}
	a.hanging.Add(-1)
}

// missing is how many webhooks arrived and are neither stored, refused nor being processed: 0 if nothing was lost. ok is false if
// the counts kept changing while they were read, which can happen under load.
func (a *account) missing(kept func() int64) (n int64, ok bool) {
	const attempts = 100
	for range attempts {
		received, refused, open, hanging := a.received.Load(), a.refused.Load(), a.open.Load(), a.hanging.Load()
		n = received - refused - kept()
		if a.received.Load() != received || a.refused.Load() != refused || a.open.Load() != open || a.hanging.Load() != hanging {
			continue
		}
		switch { // open requests may or may not be in the store's count yet
		case n > open:
			return n - open, true
		case n < -hanging: // hanging requests may be stored and also counted here as refused
			return n + hanging, true
		}
		return 0, true
	}
	return 0, false
}

// observe exports the account as a metric.
func (a *account) observe(b *instrument.Builder, kept func() int64) {
	if kept == nil {
		return
	}
	gauge := b.Gauge("factro.bridge.unaccounted", "{message}",
		"What was accepted and is neither settled, given back nor being processed, by flow; always 0 unless something is lost.")
	b.Observe(func(_ context.Context, o metric.Observer) error {
		if n, ok := a.missing(kept); ok {
			o.ObserveInt64(gauge, n, metric.WithAttributes(attribute.String("flow", "webhooks")))
		}
		return nil
	})
}
