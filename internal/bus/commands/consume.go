package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/hold"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/inform"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/tally"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Conn is what this package needs of the connection.
type Conn interface {
	session
	Settings() bus.Config
	queue
}

type session interface {
	NATS() *nats.Conn
	AwaitUp(ctx context.Context) error
	StreamsReady(cloud string) <-chan struct{}
}

// Publisher stores messages in the streams that take their subjects.
type Publisher interface {
	Send(ctx context.Context, msg *nats.Msg, id string) error
}

type queue interface {
	Binder
	checks
}

type checks interface {
	Health() *health.Health
	// Recheck has the streams checked soon. Recovered is closed when a check finds in order what was not.
	Recheck()
	Recovered() <-chan struct{}
}

// DeadLetters keeps what is to be published about commands that are not carried out.
type DeadLetters interface {
	// GiveUpCommand stores a dead letter, or parks it. It returns its place in its stream, 0 if that is not known.
	GiveUpCommand(ctx context.Context, letter deadletter.PendingPublish) (sequence uint64, err error)
	// Park keeps messages of a cloud until they can be published.
	Park(ctx context.Context, cloud string, why error, all ...deadletter.PendingPublish) error
	// CountRequeued counts a command that was put at the end of its queue.
	CountRequeued(ctx context.Context)
}

const (
	// undecidedAfter is how long a command may be delivered again and again without a verdict until it is given up.
	undecidedAfter = time.Minute
	// settleTimeout bounds how long a verdict may take to reach the broker after the grace has ended.
	settleTimeout = time.Second
	// bindTimeout bounds how long it may take to bind the consumer.
	bindTimeout = 10 * time.Second
	// stableAfter is how long pulling has to work until a failure counts as the first one.
	stableAfter = time.Minute
)

// Consumer delivers the commands of clouds to their workers.
type Consumer struct {
	conn    Conn
	publish Publisher
	letters DeadLetters
	acquire Acquire
	log     *slog.Logger
	tracer  trace.Tracer
	metrics *tally.Metrics

	undecidedAfter time.Duration // the constant of this name
	mostIndexed    int           // the constant of this name

	mu     sync.Mutex
	queues map[string]*cloudQueue // of the clouds whose commands this bridge works on
}

// New returns a consumer on a connection. acquire takes the lease of a cloud's commands.
func New(conn Conn, publisher Publisher, letters DeadLetters, acquire Acquire, log *slog.Logger) (*Consumer, error) {
	c := &Consumer{
		conn: conn, publish: publisher, letters: letters, acquire: acquire, log: log, tracer: otel.Tracer(measure.Scope),
		undecidedAfter: undecidedAfter, mostIndexed: index.Most, queues: map[string]*cloudQueue{},
	}
	var err error
	c.metrics, err = tally.New(func() bool { return conn.NATS().IsConnected() })
	return c, err
}

// Close ends the metrics.
func (c *Consumer) Close() { c.metrics.Stop() }

// Options are how the commands of a cloud are worked on.
type Options struct {
	// Slots are how many are carried out at once.
	Slots slots.Limits
	// HoldOnDead has a dead letter stop its lane until it is sent again or dropped.
	HoldOnDead bool
}

// Run has the worker handle the commands of a cloud, until ctx ends, while this bridge is the one that works on them. Commands in
// flight are finished first, within the drain timeout. After a lost connection, or when the consumer was deleted, it binds again.
func (c *Consumer) Run(ctx context.Context, cloud string, options Options, w Worker) error {
	select {
	case <-c.conn.StreamsReady(cloud): // before the streams are there, there is nothing to bind to
	case <-ctx.Done():
		return nil
	}
	q := &cloudQueue{
		Consumer: c, cloud: cloud, stream: c.conn.Settings().Prefix.CommandStream(cloud), worker: w, options: options,
		counts: c.metrics.Count(cloud, concludedBy(w)), index: index.New(c.mostIndexed), holds: hold.New(c.conn, cloud, options.HoldOnDead, c.log),
	}
	defer c.metrics.End(q.counts)
	q.repeat(ctx, "work on", q.hold)
	c.conn.Health().Pulls(cloud, nil)
	return nil
}

// cloudQueue is the queue of one cloud's commands.
type cloudQueue struct {
	*Consumer
	cloud   string
	stream  string
	worker  Worker
	options Options
	counts  *tally.Counts
	index   *index.Index
	slots   *slots.Slots
	holds   *hold.Keeper
	senders *inform.Informer
	binding binding
	mayNot  string // the subject on which the bridge may not publish, but would have to in order to create the consumer again
}

// repeat does something again and again until ctx ends, after a pause when it failed.
func (q *cloudQueue) repeat(ctx context.Context, what string, do func(context.Context) error) {
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := do(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > stableAfter {
			failures = 0
		}
		if errors.Is(err, errYielded) {
			q.log.InfoContext(ctx, "this bridge leaves the commands of a cloud to another one, which has less to do", "cloud", q.cloud)
			failures = -1
			continue
		}
		if errors.Is(err, errLeaseLost) {
			q.log.WarnContext(ctx, "this bridge has lost the right to work on the commands of a cloud, and waits for it", "cloud", q.cloud)
			failures = -1
			continue
		}
		recovered := q.conn.Recovered()
		if err != nil && !natserr.Disconnected(err) && !errors.Is(err, bus.ErrNotConnected) && !errors.Is(err, delivery.ErrInterrupted) {
			q.conn.Health().Pulls(q.cloud, err)
		}
		q.conn.Recheck() // perhaps the stream is gone too
		if failures == 0 && !errors.Is(err, delivery.ErrInterrupted) {
			q.log.WarnContext(ctx, "commands cannot be pulled and worked on; trying again", "cloud", q.cloud, "failed", what, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(delivery.Backoff(failures)):
		case <-recovered:
			failures = -1 // the cause is gone
		}
	}
}

// hold takes the lease and works on the commands while this bridge has it.
func (q *cloudQueue) hold(ctx context.Context) error {
	held, err := q.lease(ctx)
	if err != nil {
		return err
	}
	// It is given back when nothing is in flight any more.
	defer held.Release(context.WithoutCancel(ctx))
	working, cancel := during(ctx, held)
	defer cancel()
	q.index = index.New(q.mostIndexed) // what it held before may be done, or released
	pacer, _ := q.worker.(slots.Pacer)
	q.slots = slots.New(q.options.Slots, pacer)
	q.senders = informer(q)
	if q.acquire != nil { // else there is nothing that remembers them
		if err := q.holds.Load(working, q.index); err != nil {
			return err
		}
	}
	q.mu.Lock()
	q.queues[q.cloud] = q
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.queues, q.cloud)
		q.mu.Unlock()
		q.index.Clear()
	}()
	var group sync.WaitGroup
	group.Go(func() { q.dispatch(working) })
	group.Go(func() { q.refill(working) })
	group.Go(func() { q.senders.Run(working) })
	group.Go(func() { q.holds.Run(working) })
	q.repeat(working, "pull", q.pull)
	group.Wait()
	if ctx.Err() == nil {
		return context.Cause(working)
	}
	return nil
}

// lease takes the lease of the cloud's commands. A bridge that has no leases works without one on a consumer that delivers one
// message at a time.
func (q *cloudQueue) lease(ctx context.Context) (Lease, error) {
	if q.acquire == nil {
		return unshared{}, nil
	}
	held, err := q.acquire(ctx, "commands."+q.cloud)
	if err == nil || ctx.Err() != nil {
		return held, err
	}
	binding, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	if c, unbound := q.conn.JetStream().Consumer(binding, q.stream, topology.EgressConsumer(q.cloud)); unbound == nil && c.CachedInfo().Config.MaxAckPending == 1 {
		q.mayNot = "without a lease"
		if q.conn.News("lease "+q.cloud, err.Error()) {
			q.log.WarnContext(ctx, "there is no lease for the commands of a cloud; they are carried out one at a time, by the consumer of an older version", "cloud", q.cloud, "error", err)
		}
		return unshared{}, nil
	}
	return nil, fmt.Errorf("lease of the commands of %s, which a bridge with nats.manage: true makes: %w", q.cloud, err)
}
