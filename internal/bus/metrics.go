package bus

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are what the bus counts. The label sets of the hot path are made once: making them costs more than counting.
type metrics struct {
	published metric.Int64Counter
	attrs     *sync.Map // kind and outcome -> metric.MeasurementOption

	callback metric.Registration

	mu        *sync.Mutex
	consumers map[string]jetstream.Consumer
	tallies   *[]*tally
}

func newMetrics(b *Bus) (metrics, error) {
	meter := otel.Meter(scope)
	m := metrics{attrs: &sync.Map{}, mu: &sync.Mutex{}, consumers: map[string]jetstream.Consumer{}, tallies: &[]*tally{}}
	var err error
	m.published, err = meter.Int64Counter("factro.bridge.published", metric.WithUnit("{message}"),
		metric.WithDescription("Messages published to a stream, by destination and by whether the stream acknowledged them."))
	if err != nil {
		return m, err
	}
	connected, err := meter.Int64ObservableGauge("factro.bridge.nats.connected",
		metric.WithDescription("1 while the connection to NATS is up, else 0."))
	if err != nil {
		return m, err
	}
	pending, err := meter.Int64ObservableGauge("factro.bridge.commands.pending", metric.WithUnit("{command}"),
		metric.WithDescription("Commands of a cloud that wait in the stream or are in hand."))
	if err != nil {
		return m, err
	}
	unaccounted, err := meter.Int64ObservableGauge("factro.bridge.unaccounted", metric.WithDescription(unaccountedMeaning))
	if err != nil {
		return m, err
	}
	m.callback, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		up := int64(0)
		b.mu.Lock()
		if b.isUp {
			up = 1
		}
		b.mu.Unlock()
		o.ObserveInt64(connected, up)
		m.observeTallies(o, unaccounted)
		if up == 0 {
			return nil
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for cloud, c := range m.consumers {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			info, err := c.Info(ctx)
			cancel()
			if err != nil {
				continue // the connection went away; the gauge above says so
			}
			waiting := int64(info.NumPending) + int64(info.NumAckPending) //nolint:gosec // far below the limit of the type
			o.ObserveInt64(pending, waiting, metric.WithAttributes(cloudAttr(cloud)))
		}
		return nil
	}, connected, pending, unaccounted)
	return m, err
}

func (m metrics) publishedAttrs(kind, outcome string) metric.MeasurementOption {
	key := [2]string{kind, outcome}
	if v, ok := m.attrs.Load(key); ok {
		return v.(metric.MeasurementOption) //nolint:errcheck // nothing else is stored
	}
	v := metric.WithAttributeSet(attribute.NewSet(attribute.String("destination", kind), attribute.String("outcome", outcome)))
	m.attrs.Store(key, v)
	return v
}

// stop ends the observation. There is nothing left to observe, so its error tells nobody anything.
func (m metrics) stop() { _ = m.callback.Unregister() }

func (m metrics) watch(cloud string, c jetstream.Consumer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.consumers[cloud] = c
}

func (m metrics) unwatch(cloud string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.consumers, cloud)
}

// tally begins to count for a worker.
func (m metrics) tally(w Worker) *tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &tally{w: w}
	*m.tallies = append(*m.tallies, t)
	return t
}

// observeTallies tells the sum of all workers. There is nothing to tell before there is one.
func (m metrics) observeTallies(o metric.Observer, gauge metric.Int64Observable) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(*m.tallies) == 0 {
		return
	}
	sum := int64(0)
	for _, t := range *m.tallies {
		sum += t.unaccounted()
	}
	o.ObserveInt64(gauge, sum, metric.WithAttributes(attribute.String("flow", "commands")))
}
