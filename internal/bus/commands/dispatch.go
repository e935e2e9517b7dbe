package commands

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// lookAgain is how long a bridge that is ready waits for a command until it makes sure that it still is.
const lookAgain = 30 * time.Second

// dispatch has the worker handle one command after the other, several at once, until ctx ends. It returns when none is in flight.
func (q *cloudQueue) dispatch(ctx context.Context) {
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	q.counts.Limited(q.slots.Limit)
	defer q.counts.Limited(nil)
	idle := make(chan func())
	defer close(idle)
	for {
		slot, err := q.slots.Take(ctx)
		if err != nil || q.worker.Ready(ctx) != nil {
			return
		}
		// After a wait the way to factro may be closed, so that the worker has to be asked again before a command is chosen.
		ready, waited := q.index.Await(ctx, lookAgain)
		if !ready || waited {
			slot.End()
			continue
		}
		it := q.index.Next()
		if it == nil {
			slot.End()
			continue
		}
		all := company{q}.withOthers(it)
		work := func() {
			defer slot.End()
			company{q}.carryOutAll(slot.Begin(ctx), all)
		}
		select {
		case idle <- work: // by a goroutine whose stack has grown already
		default:
			inFlight.Go(func() {
				for ok := true; ok; work, ok = <-idle {
					work()
				}
			})
		}
	}
}

// carryOut has a command handled, and takes it out of the index or has it wait there.
func (q *cloudQueue) carryOut(stopping context.Context, it *index.Item, by handler) {
	msg, err := q.message(stopping, it)
	switch {
	case err != nil && stopping.Err() != nil:
		q.index.Wait(it.Seq, 0)
		return
	case err != nil:
		q.log.WarnContext(stopping, "a command cannot be read; trying again", "cloud", q.cloud, "sequence", it.Seq, "error", err)
		q.index.Wait(it.Seq, delivery.Backoff(int(min(it.Tries, 10))))
		return
	case msg == nil: // somebody took it out of the stream
		q.index.Done(it.Seq)
		return
	}
	if gone, after := q.handle(stopping, it, msg, by); !gone {
		q.index.Wait(it.Seq, after)
		return
	}
	q.index.Done(it.Seq)
}

// message is the message of a command, nil if its stream does not have it any more.
func (q *cloudQueue) message(ctx context.Context, it *index.Item) (*nats.Msg, error) {
	if msg := q.index.Take(it); msg != nil {
		return msg, nil
	}
	m, err := q.read(ctx, it.Seq, "")
	switch {
	case natserr.NoMessage(err), errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, nil //nolint:nilnil // it is not there, and that is no error
	case err != nil:
		return nil, err
	case !m.Time.Equal(it.Stored): // of a stream that was made again
		return nil, nil //nolint:nilnil // as above
	}
	return &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, nil
}

// consumerSpan is made once: the options of a span that nobody records still cost.
var consumerSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}

// handle has one message handled, and settles it. If it is not gone then, it has to wait.
func (q *cloudQueue) handle(stopping context.Context, it *index.Item, msg *nats.Msg, by handler) (gone bool, after time.Duration) {
	ctx, cancel := delivery.Grace(stopping, q.conn.Settings().DrainTimeout)
	defer cancel()
	stopWatching := endWithLease(stopping, cancel)
	defer stopWatching()
	q.counts.Start()

	ctx = delivery.Extract(ctx, measure.Propagator, msg.Header)
	remote := trace.SpanContextFromContext(ctx)
	d := q.delivered(it, msg)
	if d.first() {
		q.counts.Waited(ctx, time.Since(d.stored))
	}
	cmd, mistake := q.conn.Settings().Prefix.DecodeCommand(msg.Subject, msg.Header, msg.Data, d.position)
	d.cmd, d.readable = cmd, mistake == nil

	ctx, span := q.tracer.Start(ctx, "process "+measure.Destination(msg.Subject), consumerSpan...)
	defer span.End()
	if span.IsRecording() {
		span.AddLink(trace.Link{SpanContext: remote})
		span.SetAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("process"),
			semconv.MessagingOperationTypeProcess, semconv.MessagingDestinationName(msg.Subject),
			attribute.String("factro.operation", cmd.Operation), attribute.Int64("messaging.nats.redelivered", int64(d.redelivered)), //nolint:gosec // far below the limit of the type
		)
		if mistake == nil {
			span.SetAttributes(semconv.CloudEventsEventID(cmd.Event.ID()), semconv.MessagingMessageBodySize(len(cmd.Event.Data())))
		}
	}

	verdict := by.Handle(ctx, stopping, cmd, mistake)
	q.counts.Finish(isReturned(verdict))
	if stopping.Err() == nil && q.counts.Undecided(d.position, isUndecided(verdict)) >= q.undecidedAfter {
		verdict = q.abandon(ctx, d, mistake, verdict)
	}

	// The verdict is known, and must reach the broker even if the grace has ended meanwhile.
	settling, stopSettling := delivery.Grace(ctx, settleTimeout)
	defer stopSettling()
	return q.settle(settling, span, d, verdict)
}

// endWithLease ends the work on a command when the lease is lost, without the grace that it has when the bridge stops.
func endWithLease(stopping context.Context, end context.CancelFunc) (stop func() bool) {
	return context.AfterFunc(stopping, func() {
		if errors.Is(context.Cause(stopping), errLeaseLost) {
			end()
		}
	})
}
