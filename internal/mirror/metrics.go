package mirror

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// scope names what the mirror measures and traces.
const scope = "github.com/factro-bridge/factro-bridge/internal/mirror"

type metrics struct {
	cloud   attribute.KeyValue
	calls   metric.Int64Counter
	reads   metric.Int64Counter
	changes metric.Int64Counter
	stop    metric.Registration
}

func newMetrics(m *Mirror) (*metrics, error) {
	b := instrument.New(scope)
	x := &metrics{
		cloud: attribute.String("factro.cloud", m.cfg.Cloud),
		calls: b.Counter("factro.bridge.mirror.requests", "{request}", "Requests of the mirror to factro, by operation and class of status."),
		reads: b.Counter("factro.bridge.mirror.reads", "{object}",
			"Objects that the mirror has read, by resource and outcome: changed, stored (known for the first time, or only noise differed), unchanged, early (unchanged soon after an event: it is read again), failed."),
		changes: b.Counter("factro.bridge.mirror.changes", "{change}", "Changes that were published, by resource, what happened and why the object was read."),
	}
	backlog := b.Gauge("factro.bridge.mirror.backlog", "{object}", "Objects that wait for the mirror to read them.")
	age := b.FloatGauge("factro.bridge.mirror.backlog.age", "s", "How long the object that waits longest has waited for the mirror.")
	left := b.Gauge("factro.bridge.mirror.lists.left", "{list}", "Lists that the snapshot or the comparison that goes on has still to read, as far as is known.")
	x.stop = b.Observe(func(_ context.Context, o metric.Observer) error {
		s := m.now()
		if s == nil {
			return nil // another bridge mirrors the cloud, and reports it
		}
		objects, oldest := s.queue.Backlog(time.Now())
		o.ObserveInt64(backlog, int64(objects), metric.WithAttributes(x.cloud))
		o.ObserveFloat64(age, oldest.Seconds(), metric.WithAttributes(x.cloud))
		var lists int64
		if p := s.look(); p.Sweep != nil {
			lists = int64(p.Sweep.ListsLeft)
		}
		o.ObserveInt64(left, lists, metric.WithAttributes(x.cloud))
		return nil
	})
	return x, b.Err()
}

func (x *metrics) called(ctx context.Context, op factro.Operation, status int) {
	x.calls.Add(ctx, 1, metric.WithAttributes(x.cloud, attribute.String("factro.operation", op.Name), attribute.String("status", strconv.Itoa(status/100)+"xx")))
}

func (x *metrics) read(ctx context.Context, resource, outcome string) {
	x.reads.Add(ctx, 1, metric.WithAttributes(x.cloud, attribute.String("factro.resource", resource), attribute.String("outcome", outcome)))
}

func (x *metrics) change(ctx context.Context, resource, what string, r state.Reading) {
	x.changes.Add(ctx, 1, metric.WithAttributes(x.cloud, attribute.String("factro.resource", resource), attribute.String("what", what), attribute.String("origin", r.Origin)))
}
