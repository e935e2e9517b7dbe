package tally

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// Metrics are those of the queues of all clouds.
type Metrics struct {
	waited   metric.Float64Histogram // of a command, before its first delivery
	callback metric.Registration

	mu        sync.Mutex
	consumers map[string]jetstream.Consumer // of the clouds that pull
	counts    map[*Counts]bool              // of the workers that run
	lost      int64                         // unaccounted deliveries of workers that ended
	any       bool                          // whether there ever was a worker
}

// waits are bounds of buckets, in seconds, of what may wait for days.
var waits = []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}

// New registers them. connected says whether the broker can be asked.
func New(connected func() bool) (*Metrics, error) {
	b := instrument.New(measure.Scope)
	m := &Metrics{consumers: map[string]jetstream.Consumer{}, counts: map[*Counts]bool{}}
	m.waited = b.Seconds("factro.bridge.command.wait",
		"From the stream's taking a command to its first delivery to a bridge, by the clocks of both.", waits)
	pending := b.Gauge("factro.bridge.commands.pending", "{command}",
		"Commands of a cloud that wait in the stream or are being processed.")
	redelivered := b.Gauge("factro.bridge.commands.redelivered", "{command}",
		"Commands of a cloud that are not settled and were delivered more than once.")
	concurrency := b.Gauge("factro.bridge.commands.concurrency", "{command}",
		"How many commands of a cloud this bridge carries out at once at most, as it is now; 0 while another one works on them.")
	unaccounted := b.Gauge("factro.bridge.unaccounted", "{message}", measure.UnaccountedMeaning)
	m.callback = b.Observe(func(ctx context.Context, o metric.Observer) error {
		m.observeCounts(o, unaccounted, concurrency)
		if !connected() {
			return nil
		}
		for _, q := range m.queues(ctx) {
			o.ObserveInt64(pending, q.pending, measure.CloudOption(q.cloud))
			o.ObserveInt64(redelivered, q.redelivered, measure.CloudOption(q.cloud))
		}
		return nil
	})
	return m, b.Err()
}

// Stop ends the observation. An error says that it is not registered any more.
func (m *Metrics) Stop() { _ = m.callback.Unregister() }

// queueState is how many commands of a cloud wait.
type queueState struct {
	cloud                string
	pending, redelivered int64
}

// askWithin bounds how long a scrape waits for the broker. Without a leader the broker does not answer, and a scrape that takes
// too long reports nothing at all.
const askWithin = time.Second

// queues asks the broker about all clouds at once. A cloud without an answer in time is left out.
func (m *Metrics) queues(ctx context.Context) []queueState {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	m.mu.Lock() // not while asking: a cloud that begins or ends to pull would wait
	consumers := maps.Clone(m.consumers)
	m.mu.Unlock()
	answers := make(chan queueState, len(consumers))
	var group sync.WaitGroup
	for cloud, c := range consumers {
		group.Go(func() {
			info, err := c.Info(ctx)
			if err != nil {
				return // the connection was lost, or there is no leader; other metrics show that
			}
			answers <- queueState{cloud, int64(info.NumPending) + int64(info.NumAckPending), int64(info.NumRedelivered)} //nolint:gosec // far below the limit of the type
		})
	}
	group.Wait()
	close(answers)
	var all []queueState
	for q := range answers {
		all = append(all, q)
	}
	return all
}

// Watch has the queue of a cloud observed by a consumer that pulls from it, until Unwatch.
func (m *Metrics) Watch(cloud string, c jetstream.Consumer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.consumers[cloud] = c
}

// Unwatch ends Watch.
func (m *Metrics) Unwatch(cloud string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.consumers, cloud)
}

// Count begins to count the deliveries to the worker of a cloud. A worker may run more than once. concluded is how many deliveries
// ended with a stored final result by its own count, repetitions included. The deliveries are held against it: a command that is
// neither concluded nor returned nor in flight is lost, and the metric factro.bridge.unaccounted shows it. Both sides count
// independently, so that a path that forgets one shows. It is nil for a worker that does not count.
func (m *Metrics) Count(cloud string, concluded func() int64) *Counts {
	c := &Counts{cloud: measure.CloudOption(cloud), waited: m.waited, concluded: concluded}
	if concluded != nil {
		c.before = concluded()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[c], m.any = true, true
	return c
}

// End stops counting: the worker has nothing in flight any more.
func (m *Metrics) End(c *Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost += c.unaccounted()
	delete(m.counts, c)
}

// observeCounts reports the sum of all workers. There is nothing to report before there is one.
func (m *Metrics) observeCounts(o metric.Observer, gauge, concurrency metric.Int64Observable) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.any {
		return
	}
	sum := m.lost
	for c := range m.counts {
		sum += c.unaccounted()
		o.ObserveInt64(concurrency, c.limited(), c.cloud)
	}
	o.ObserveInt64(gauge, sum, metric.WithAttributes(attribute.String("flow", "commands")))
}
