package bus

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// metrics are what the bus counts. The label sets of the hot path are made once: making them costs more than counting.
type metrics struct {
	published metric.Int64Counter
	took      metric.Float64Histogram // of a publish
	letters   metric.Int64Counter
	waited    metric.Float64Histogram // of a command
	lost      metric.Int64Counter     // of what could not be kept, or was parked
	// duplicates are messages of which a stream said that it has them.
	duplicates metric.Int64Counter
	attrs      *sync.Map // kind and outcome -> metric.MeasurementOption

	callback metric.Registration

	mu        *sync.Mutex
	consumers map[string]jetstream.Consumer
	tallies   *[]*tally
}

func newMetrics(b *Conn) (metrics, error) {
	meter := otel.Meter(Scope)
	m := metrics{attrs: &sync.Map{}, mu: &sync.Mutex{}, consumers: map[string]jetstream.Consumer{}, tallies: &[]*tally{}}
	var err error
	m.published, err = meter.Int64Counter("factro.bridge.published", metric.WithUnit("{message}"),
		metric.WithDescription("Messages published to a stream, by destination and by whether the stream acknowledged them."))
	if err != nil {
		return m, err
	}
	if err = m.measures(meter); err != nil {
		return m, err
	}
	connected, err := meter.Int64ObservableGauge("factro.bridge.nats.connected",
		metric.WithDescription("1 while the connection to NATS is up, else 0."))
	if err != nil {
		return m, err
	}
	reconnects, err := meter.Int64ObservableCounter("factro.bridge.nats.reconnects", metric.WithUnit("{reconnect}"),
		metric.WithDescription("How often the connection to NATS was made again."))
	if err != nil {
		return m, err
	}
	pending, err := meter.Int64ObservableGauge("factro.bridge.commands.pending", metric.WithUnit("{command}"),
		metric.WithDescription("Commands of a cloud that wait in the stream or are in hand."))
	if err != nil {
		return m, err
	}
	redelivered, err := meter.Int64ObservableGauge("factro.bridge.commands.redelivered", metric.WithUnit("{command}"),
		metric.WithDescription("Commands of a cloud that are not settled and were delivered more than once."))
	if err != nil {
		return m, err
	}
	unaccounted, err := meter.Int64ObservableGauge("factro.bridge.unaccounted", metric.WithUnit("{message}"),
		metric.WithDescription(UnaccountedMeaning))
	if err != nil {
		return m, err
	}
	seen := m // a scrape may come before the registration is written down
	m.callback, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		up := int64(0)
		b.mu.Lock()
		if b.isUp {
			up = 1
		}
		b.mu.Unlock()
		o.ObserveInt64(connected, up)
		if nc := b.signing.Load(); nc != nil {
			o.ObserveInt64(reconnects, int64(nc.Stats().Reconnects)) //nolint:gosec // far below the limit of the type
		}
		seen.observeTallies(o, unaccounted)
		if up == 0 {
			return nil
		}
		for _, q := range seen.queues(ctx) {
			o.ObserveInt64(pending, q.pending, CloudOption(q.cloud))
			o.ObserveInt64(redelivered, q.redelivered, CloudOption(q.cloud))
		}
		return nil
	}, connected, reconnects, pending, redelivered, unaccounted)
	return m, err
}

// UnaccountedMeaning is the description of a gauge that several packages have a part in.
const UnaccountedMeaning = "What was accepted and is neither settled, given back nor being processed, by flow; always 0 unless something is lost."

// queue is how the commands of a cloud stand.
type queue struct {
	cloud                string
	pending, redelivered int64
}

// lookWithin bounds how long a scrape waits for what the broker knows: without a leader it does not answer, and a scrape
// that takes too long tells nothing at all.
const lookWithin = time.Second

// queues asks the broker about all clouds at once. One that is not answered in time is left out.
func (m metrics) queues(ctx context.Context) []queue {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	m.mu.Lock() // not while asking: whoever begins or ends to pull would wait
	consumers := maps.Clone(m.consumers)
	m.mu.Unlock()
	told := make(chan queue, len(consumers))
	var group sync.WaitGroup
	for cloud, c := range consumers {
		group.Go(func() {
			info, err := c.Info(ctx)
			if err != nil {
				return // the connection went away, or there is no leader; other metrics say so
			}
			told <- queue{cloud, int64(info.NumPending) + int64(info.NumAckPending), int64(info.NumRedelivered)} //nolint:gosec // far below the limit of the type
		})
	}
	group.Wait()
	close(told)
	var all []queue
	for q := range told {
		all = append(all, q)
	}
	return all
}

// Bounds of buckets, in seconds: of what is over in milliseconds, and of what may wait for days.
var (
	moments = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	waits   = []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}
)

// measures makes what is measured where it happens, and not at a scrape.
func (m *metrics) measures(meter metric.Meter) (err error) {
	if m.took, err = meter.Float64Histogram("factro.bridge.publish.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(moments...),
		metric.WithDescription("From publishing a message to the stream's acknowledgement, or to giving up, repetitions included.")); err != nil {
		return err
	}
	if m.letters, err = meter.Int64Counter("factro.bridge.dead.letters", metric.WithUnit("{message}"),
		metric.WithDescription("Dead letters that were stored, by what they are of and by their code.")); err != nil {
		return err
	}
	if m.lost, err = meter.Int64Counter("factro.bridge.refused", metric.WithUnit("{message}"),
		metric.WithDescription(refusedMeaning)); err != nil {
		return err
	}
	if m.duplicates, err = meter.Int64Counter("factro.bridge.publish.duplicates", metric.WithUnit("{message}"),
		metric.WithDescription("Messages whose id the stream knew already, by destination and reason: a retry of the bridge's own, a repetition, or an event with the id of another event, which gets an id of its own.")); err != nil {
		return err
	}
	m.waited, err = meter.Float64Histogram("factro.bridge.command.wait", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(waits...),
		metric.WithDescription("From the stream's taking a command to its first delivery to a bridge, by the clocks of both."))
	return err
}

// sent measures a publish that ended, and counts what it buried. The cloud of a dead letter is no label: of one that
// the broker gave up it is whatever a stranger wrote into the subject.
func (m metrics) sent(ctx context.Context, msg *nats.Msg, took time.Duration, err error) {
	outcome := "stored"
	if err != nil {
		outcome = "failed"
	}
	m.took.Record(ctx, took.Seconds(), m.publishedAttrs(kind(msg.Subject), outcome))
	if code := msg.Header[headerDeadCode]; err == nil && len(code) == 1 {
		m.letters.Add(ctx, 1, letterOption(token(msg.Subject, 2), code[0]))
	}
}

// needHuman are the dead letters that are nobody's plain mistake.
var needHuman = []struct{ kind, code string }{
	{"command", events.CodeAmbiguous},
	{"command", events.CodeExhausted},
	{"command", events.CodeUndeliverable},
	{"command", CodeTerminated},
	{"webhook", "unusable"},
	{"webhook", codeTooLarge},
}

// expect begins the counts that somebody watches at 0. The growth of a series that begins with its first case does not
// count that case.
func (m metrics) expect(ctx context.Context, prefix string, clouds []string) {
	for _, l := range needHuman {
		m.letters.Add(ctx, 0, letterOption(l.kind, l.code))
	}
	for _, cloud := range clouds {
		for _, reason := range dupReasons {
			m.duplicates.Add(ctx, 0, dupOption(prefix+".event."+cloud, reason))
		}
	}
	for _, what := range refusals {
		m.lost.Add(ctx, 0, what)
	}
}

// CloudOption is the label of a cloud.
func CloudOption(cloud string) metric.MeasurementOption {
	return metric.WithAttributes(cloudAttr(cloud))
}

func letterOption(kind, code string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("kind", kind), attribute.String("code", code))
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

// tally begins to count for the worker of a cloud.
func (m metrics) tally(cloud string, w Worker) *tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &tally{w: w, cloud: CloudOption(cloud)}
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
