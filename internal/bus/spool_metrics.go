package bus

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// spoolMetrics are what a spool counts.
type spoolMetrics struct {
	spooled, drained metric.Int64Counter
	callback         metric.Registration
}

func newSpoolMetrics(s *Spool) (m spoolMetrics, err error) {
	meter := otel.Meter(Scope)
	if m.spooled, err = meter.Int64Counter("factro.bridge.spooled", metric.WithUnit("{message}"),
		metric.WithDescription("Webhooks that were written to the spool.")); err != nil {
		return m, err
	}
	if m.drained, err = meter.Int64Counter("factro.bridge.drained", metric.WithUnit("{message}"),
		metric.WithDescription("Webhooks that were handed over from the spool, by whether they became events or dead letters.")); err != nil {
		return m, err
	}
	messages, err := meter.Int64ObservableGauge("factro.bridge.spool.messages", metric.WithUnit("{message}"),
		metric.WithDescription("Webhooks of a cloud that wait in the spool."))
	if err != nil {
		return m, err
	}
	bytes, err := meter.Int64ObservableGauge("factro.bridge.spool.bytes", metric.WithUnit("By"),
		metric.WithDescription("Size of what waits in the spool, of all clouds."))
	if err != nil {
		return m, err
	}
	limit, err := meter.Int64ObservableGauge("factro.bridge.spool.limit", metric.WithUnit("By"),
		metric.WithDescription("How much may wait in the spool, as configured."))
	if err != nil {
		return m, err
	}
	usable, err := meter.Int64ObservableGauge("factro.bridge.spool.usable",
		metric.WithDescription("1 while the spool could take a webhook, 0 while it is full or its disk is full or cannot be written."))
	if err != nil {
		return m, err
	}
	unaccounted, err := meter.Int64ObservableGauge("factro.bridge.unaccounted", metric.WithUnit("{message}"),
		metric.WithDescription(UnaccountedMeaning))
	if err != nil {
		return m, err
	}
	m.callback, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		o.ObserveInt64(limit, s.cfg.MaxBytes)
		takes := int64(0)
		if s.disk.usable() == nil { //nolint:contextcheck // it has a time of its own
			takes = 1
		}
		o.ObserveInt64(usable, takes)
		for _, l := range s.all() {
			l.mu.Lock()
			o.ObserveInt64(messages, l.waiting, CloudOption(l.cloud))
			l.mu.Unlock()
		}
		if there, miss, ok := s.balance(ctx); ok {
			o.ObserveInt64(bytes, int64(there.bytes)) //nolint:gosec // far below the limit of the type
			o.ObserveInt64(unaccounted, miss, metric.WithAttributes(attribute.String("flow", "spool")))
		}
		return nil
	}, messages, bytes, limit, usable, unaccounted)
	return m, err
}

// balanceTries is how often a balance is tried that was disturbed, within balanceTimeout.
const balanceTries, balanceTimeout = 20, time.Second

// balance compares what came into the spool with what left it and what is on the disk, all at one moment. A webhook must not
// wait for somebody who reads metrics, so the balance holds up nobody: there is none while the disk is away, nor while something is
// written or removed at each try.
func (s *Spool) balance(ctx context.Context) (there stock, miss int64, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	defer cancel()
	for range balanceTries {
		if s.disk.fault.Load() != nil || ctx.Err() != nil {
			return stock{}, 0, false
		}
		var err error
		alone := s.disk.mu.quiet(func() {
			if there, err = s.disk.count(ctx); err == nil {
				miss = s.missing(there)
			}
		})
		switch {
		case err != nil:
			return stock{}, 0, false
		case alone && s.disk.fault.Load() == nil:
			if miss < 0 && miss >= -s.unsure.Load() {
				miss = 0 // these may or may not be there
			}
			return there, miss, true
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
	return stock{}, 0, false
}

// missing is what should be on the disk less what is.
func (s *Spool) missing(there stock) int64 {
	waiting := int64(0)
	for _, n := range there.clouds {
		waiting += int64(n) //nolint:gosec // far below the limit of the type
	}
	return s.found.Load() + s.written.Load() + s.moved.Load() - s.drained.Load() - s.dead.Load() + s.settled.Load() - waiting
}

// stop ends the observation. There is nothing left to observe, so its error tells nobody anything.
func (m spoolMetrics) stop() { _ = m.callback.Unregister() }

func drainedOption(cloud string, dead bool) metric.MeasurementOption {
	outcome := "stored"
	if dead {
		outcome = "dead"
	}
	return metric.WithAttributes(cloudAttr(cloud), attribute.String("outcome", outcome))
}

// Bounds on what a sender is told to wait for when the spool takes nothing.
const (
	minRetry, maxRetry = time.Second, 5 * time.Minute
	blindRetry         = 30 * time.Second // nothing is handed over, so nobody knows
)

// retryAfter is how long it takes to hand over a tenth of what waits: who comes back for the first free place finds it
// taken.
func (s *Spool) retryAfter() time.Duration {
	perSecond := s.tempo.perSecond(time.Now())
	if perSecond <= 0 {
		return blindRetry
	}
	wait := time.Duration(float64(s.waiting()) / 10 / perSecond * float64(time.Second))
	return min(max(wait, minRetry), maxRetry)
}

// tempo measures how fast the spool is handed over, in windows of some seconds.
type tempo struct {
	mu    sync.Mutex
	began time.Time
	n     int
	rate  float64 // of the last window
}

const tempoWindow = 5 * time.Second

func (p *tempo) add(n int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	p.n += n
}

// turn begins a new window when the last one is over.
func (p *tempo) turn(now time.Time) {
	switch past := now.Sub(p.began); {
	case past >= 2*tempoWindow: // nothing came for a whole window
		p.began, p.n, p.rate = now, 0, 0
	case past >= tempoWindow:
		p.began, p.n, p.rate = now, 0, float64(p.n)/past.Seconds()
	}
}

// perSecond is the rate of the last window, or of this one if there was none; 0 if nothing moves.
func (p *tempo) perSecond(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	if p.rate > 0 {
		return p.rate
	}
	return float64(p.n) / max(now.Sub(p.began), time.Second).Seconds()
}
