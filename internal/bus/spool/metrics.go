package spool

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// metrics are what a spool counts.
type metrics struct {
	spooled, drained metric.Int64Counter
	callback         metric.Registration
}

func newMetrics(s *Spool) (m metrics, err error) {
	b := instrument.New(measure.Scope)
	m.spooled = b.Counter("factro.bridge.spooled", "{message}", "Webhooks that were written to the spool.")
	m.drained = b.Counter("factro.bridge.drained", "{message}",
		"Webhooks that were handed over from the spool, by whether they became events or dead letters.")
	messages := b.Gauge("factro.bridge.spool.messages", "{message}", "Webhooks of a cloud that wait in the spool.")
	bytes := b.Gauge("factro.bridge.spool.bytes", "By", "Size of what waits in the spool, of all clouds.")
	limit := b.Gauge("factro.bridge.spool.limit", "By", "How much may wait in the spool, as configured.")
	usable := b.Gauge("factro.bridge.spool.usable", "",
		"1 while the spool could take a webhook, 0 while it is full or its disk is full or cannot be written.")
	unaccounted := b.Gauge("factro.bridge.unaccounted", "{message}", measure.UnaccountedMeaning)
	m.callback = b.Observe(func(ctx context.Context, o metric.Observer) error {
		o.ObserveInt64(limit, s.cfg.MaxBytes)
		takes := int64(0)
		if s.disk.Usable() == nil { //nolint:contextcheck // it has a time of its own
			takes = 1
		}
		o.ObserveInt64(usable, takes)
		for _, q := range s.queues.list() {
			o.ObserveInt64(messages, q.length(), measure.CloudOption(q.cloud))
		}
		if there, miss, ok := s.balance(ctx); ok {
			o.ObserveInt64(bytes, int64(there.Bytes)) //nolint:gosec // far below the limit of the type
			o.ObserveInt64(unaccounted, miss, metric.WithAttributes(attribute.String("flow", "spool")))
		}
		return nil
	})
	return m, b.Err()
}

// balanceTries is how often a balance is tried that was disturbed, within balanceTimeout.
const balanceTries, balanceTimeout = 20, time.Second

// balance compares what came into the spool with what left it and what is on the disk, all at one moment. A webhook must not
// wait for somebody who reads metrics, so it takes no lock. There is no balance while the disk is away, nor while something is
// written or removed at each try.
func (s *Spool) balance(ctx context.Context) (there disk.Content, miss int64, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	defer cancel()
	for range balanceTries {
		unsure := int64(0)
		if s.disk.Observe(ctx, func(found disk.Content) {
			there, miss, unsure = found, s.account.missing(found), s.account.unsure.Load()
		}) {
			if miss < 0 && miss >= -unsure {
				miss = 0 // these may or may not be there
			}
			return there, miss, true
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return disk.Content{}, 0, false
		}
	}
	return disk.Content{}, 0, false
}

// stop ends the observation. There is nothing left to observe, so its error is of no use.
func (m metrics) stop() { _ = m.callback.Unregister() }

func drainedOption(cloud string, dead bool) metric.MeasurementOption {
	outcome := "stored"
	if dead {
		outcome = "dead"
	}
	return metric.WithAttributes(attribute.String("factro.cloud", cloud), attribute.String("outcome", outcome))
}
