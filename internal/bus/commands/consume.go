package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
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
	// GiveUp stores a dead letter, or parks it.
	GiveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) error
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
	log     *slog.Logger
	tracer  trace.Tracer
	metrics *metrics

	undecidedAfter time.Duration // the constant of this name
}

// New returns a consumer on a connection.
func New(conn Conn, publisher Publisher, letters DeadLetters, log *slog.Logger) (*Consumer, error) {
	c := &Consumer{conn: conn, publish: publisher, letters: letters, log: log, tracer: otel.Tracer(measure.Scope), undecidedAfter: undecidedAfter}
	var err error
	c.metrics, err = newMetrics(func() bool { return conn.NATS().IsConnected() })
	return c, err
}

// Close ends the metrics.
func (c *Consumer) Close() { c.metrics.stop() }

// Run pulls the commands of a cloud one by one and has the worker handle each, until ctx ends. A command in flight is finished
// first, within the drain timeout. After a lost connection, or when the consumer was deleted, it binds again.
func (c *Consumer) Run(ctx context.Context, cloud string, w Worker) error {
	select {
	case <-c.conn.StreamsReady(cloud): // before the streams are there, there is nothing to bind to
	case <-ctx.Done():
		return nil
	}
	q := &cloudQueue{Consumer: c, cloud: cloud, worker: w, counts: c.metrics.count(cloud, w)}
	defer c.metrics.end(q.counts)
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := q.pull(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > stableAfter {
			failures = 0
		}
		recovered := c.conn.Recovered()
		if err != nil && !natserr.Disconnected(err) && !errors.Is(err, bus.ErrNotConnected) {
			c.conn.Health().Pulls(cloud, err)
		}
		c.conn.Recheck() // perhaps the stream is gone too
		if failures == 0 {
			c.log.WarnContext(ctx, "commands cannot be pulled; trying again", "cloud", cloud, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(delivery.Backoff(failures)):
		case <-recovered:
			failures = -1 // the cause is gone
		}
	}
	c.conn.Health().Pulls(cloud, nil)
	return nil
}

// cloudQueue is the queue of one cloud's commands.
type cloudQueue struct {
	*Consumer
	cloud  string
	worker Worker
	counts *counts
}

// pull delivers commands until ctx ends or the consumer is lost.
func (q *cloudQueue) pull(ctx context.Context) error {
	if err := q.conn.AwaitUp(ctx); err != nil {
		return err
	}
	binding, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	consumer, err := Bind(binding, q.conn, q.cloud, q.log)
	if err != nil {
		return err
	}
	q.conn.Health().Pulls(q.cloud, nil)
	q.metrics.watch(q.cloud, consumer)
	defer q.metrics.unwatch(q.cloud)
	// The consumer's actual value: an operator may have created it with another one.
	keepAlive := max(consumer.CachedInfo().Config.AckWait/3, 10*time.Millisecond)
	puller := q.pullFrom(consumer)
	for ctx.Err() == nil {
		if err := q.worker.Ready(ctx); err != nil {
			return nil
		}
		msg, err := puller.Next(ctx)
		switch {
		case msg != nil:
			q.handle(ctx, msg, keepAlive)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("pull from %s: %w", consumer.CachedInfo().Name, err)
		}
	}
	return nil
}

// handle has the worker handle one message, and settles it.
func (q *cloudQueue) handle(stopping context.Context, msg *nats.Msg, keepAlive time.Duration) {
	ctx, cancel := delivery.Grace(stopping, q.conn.Settings().DrainTimeout)
	defer cancel()
	q.counts.start()

	ctx = delivery.Extract(ctx, measure.Propagator, msg.Header)
	remote := trace.SpanContextFromContext(ctx)
	d := newDelivered(msg)
	if d.first() {
		q.metrics.waited.Record(ctx, max(time.Since(d.stored), 0).Seconds(), q.counts.cloud)
	}
	cmd, mistake := q.conn.Settings().Prefix.DecodeCommand(msg.Subject, msg.Header, msg.Data, d.position)
	d.cmd, d.readable = cmd, mistake == nil

	ctx, span := q.tracer.Start(ctx, "process "+measure.Destination(msg.Subject),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(trace.Link{SpanContext: remote}),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("process"),
			semconv.MessagingOperationTypeProcess, semconv.MessagingDestinationName(msg.Subject),
			attribute.String("factro.operation", cmd.Operation), attribute.Int64("messaging.nats.redelivered", int64(d.redelivered)), //nolint:gosec // far below the limit of the type
		))
	defer span.End()
	if mistake == nil {
		span.SetAttributes(semconv.CloudEventsEventID(cmd.Event.ID()), semconv.MessagingMessageBodySize(len(cmd.Event.Data())))
	}

	stop := delivery.KeepAlive(keepAlive, func() {
		if err := q.conn.NATS().Publish(msg.Reply, []byte(delivery.InProgress)); err != nil && !natserr.Disconnected(err) {
			q.log.WarnContext(ctx, "command cannot be renewed; it may be delivered again", "subject", msg.Subject, "error", err)
		}
	})
	verdict := q.worker.Handle(ctx, stopping, cmd, mistake)
	q.counts.finish(verdict)
	if stopping.Err() == nil && q.counts.undecided(d.position, verdict) >= q.undecidedAfter {
		verdict = q.abandon(ctx, d, mistake, verdict)
	}
	stop()

	// The verdict is known, and must reach the broker even if the grace has ended meanwhile.
	settling, stopSettling := delivery.Grace(ctx, settleTimeout)
	defer stopSettling()
	q.settle(settling, span, d, verdict)
}
