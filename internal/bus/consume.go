package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Worker works on the commands of one cloud.
type Worker interface {
	// Ready waits until a command may be pulled. It returns an error only when ctx ends.
	Ready(ctx context.Context) error
	// Handle carries out a command. mistake is why the message could not be read as a command, else nil; the command then
	// holds what could be read. stopping ends when the bridge is told to stop, ctx a bounded while later. The error is the
	// verdict: nil settles the command, Terminal parks it among the dead letters, RetryAfter and any other error bring it
	// back.
	Handle(ctx, stopping context.Context, cmd events.Command, mistake error) error
}

// terminal is the verdict that a command is never to come again.
type terminal struct{ letter Letter }

func (t *terminal) Error() string { return t.letter.Reason.Error() }
func (t *terminal) Unwrap() error { return t.letter.Reason }

// Terminal returns the verdict that the command is not to come again. It is kept as the dead letter.
func Terminal(l Letter) error { return &terminal{l} }

// LetterOf returns the dead letter of a verdict, if it is a terminal one.
func LetterOf(verdict error) (Letter, bool) {
	end, ok := errors.AsType[*terminal](verdict)
	if !ok {
		return Letter{}, false
	}
	return end.letter, true
}

// retry is the verdict that a command is to come again after a while.
type retry struct {
	err   error
	after time.Duration
}

func (r *retry) Error() string { return r.err.Error() }
func (r *retry) Unwrap() error { return r.err }

// RetryAfter returns the verdict that the command is to come again after d; at once if d is 0.
func RetryAfter(err error, d time.Duration) error { return &retry{err, d} }

// Consume pulls the commands of a cloud one by one and has the worker handle each, until ctx ends. A command in hand is
// finished first, within the drain timeout. Consume survives a lost connection and a deleted consumer: it binds again.
func (b *Conn) Consume(ctx context.Context, cloud string, w Worker) error {
	select {
	case <-b.StreamsReady(cloud): // before Run has made the streams there is nothing to bind to
	case <-ctx.Done():
		return nil
	}
	t := b.metrics.tally(cloud, w)
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := b.consume(ctx, cloud, w, t)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > time.Minute { // it worked for a while, so this is news
			failures = 0
		}
		better := b.Recovered()
		if err != nil && !isDisconnect(err) && !errors.Is(err, ErrNotConnected) {
			b.health.pulls(cloud, err)
		}
		b.Recheck() // perhaps the stream is gone too
		if failures == 0 {
			b.log.WarnContext(ctx, "commands cannot be pulled; trying again", "cloud", cloud, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(delivery.Backoff(failures)):
		case <-better:
			failures = -1 // what was wrong is over
		}
	}
	b.health.pulls(cloud, nil)
	return nil //nolint:nilerr // the end of ctx is the ordinary end
}

// consume pulls until ctx ends or the consumer is lost.
func (b *Conn) consume(ctx context.Context, cloud string, w Worker, t *tally) error {
	if err := b.AwaitUp(ctx); err != nil {
		return err
	}
	setup, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := b.CommandConsumer(setup, cloud)
	if err != nil {
		return err
	}
	b.health.pulls(cloud, nil)
	b.metrics.watch(cloud, c)
	defer b.metrics.unwatch(cloud)
	// What the consumer really has: an operator may have made it with another time to wait.
	renewEvery := max(c.CachedInfo().Config.AckWait/3, 10*time.Millisecond)
	puller := b.puller(c)
	for ctx.Err() == nil {
		if err := w.Ready(ctx); err != nil {
			return nil
		}
		msg, err := puller.Next(ctx)
		switch {
		case msg != nil:
			b.handle(ctx, w, t, msg, renewEvery)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("pull from %s: %w", c.CachedInfo().Name, err)
		}
	}
	return nil
}

// handle has one message worked on and settles it.
func (b *Conn) handle(stopping context.Context, w Worker, t *tally, msg *nats.Msg, renewEvery time.Duration) {
	ctx, cancel := delivery.Grace(stopping, b.cfg.DrainTimeout)
	defer cancel()
	t.take()

	ctx = delivery.Extract(ctx, Propagator, msg.Header)
	remote := trace.SpanContextFromContext(ctx)
	d := newTaken(msg)
	if d.first() {
		b.metrics.waited.Record(ctx, max(time.Since(d.stored), 0).Seconds(), t.cloud)
	}
	cmd, mistake := b.cfg.Prefix.DecodeCommand(msg.Subject, msg.Header, msg.Data, d.position)
	d.cmd, d.readable = cmd, mistake == nil

	ctx, span := b.tracer.Start(ctx, "process "+kind(msg.Subject),
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

	stop := delivery.KeepAlive(renewEvery, func() {
		if err := b.nc.Publish(msg.Reply, []byte(delivery.InProgress)); err != nil && !isDisconnect(err) {
			b.log.WarnContext(ctx, "command cannot be renewed; it may be delivered again", "subject", msg.Subject, "error", err)
		}
	})
	verdict := w.Handle(ctx, stopping, cmd, mistake)
	t.leave(verdict)
	if stopping.Err() == nil && t.stuck(d.position, verdict) >= b.refusingAfter {
		verdict = b.abandon(ctx, w, d, mistake, verdict)
	}
	stop()

	// The verdict is out: it must reach the broker even if the grace ended meanwhile.
	settling, stopSettling := delivery.Grace(ctx, settleTimeout)
	defer stopSettling()
	b.settle(settling, span, d, verdict)
}

// taken is one delivery of a command.
type taken struct {
	msg         *nats.Msg
	position    string    // of the command in its stream, as far as that is known
	stored      time.Time // when the stream took it; zero if that is not known
	redelivered uint64    // how often it was delivered before
	others      uint64    // how many wait behind it
	cmd         events.Command
	readable    bool
}

func newTaken(msg *nats.Msg) taken {
	d := taken{msg: msg, position: msg.Subject}
	if meta, err := msg.Metadata(); err == nil {
		d.position, d.stored = meta.Stream+":"+strconv.FormatUint(meta.Sequence.Stream, 10), meta.Timestamp
		d.redelivered, d.others = meta.NumDelivered-1, meta.NumPending
	}
	return d
}

func (d taken) first() bool { return d.redelivered == 0 && !d.stored.IsZero() }
