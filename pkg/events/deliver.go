package events

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// deliver has one message handled and carries out the verdict. The error says that the verdict did not reach the broker,
// so that the event comes again.
func (s *subscription) deliver(ctx context.Context, d *taken, renewEvery time.Duration) error {
	msg := s.place.last(d)
	e, unreadable := newEvent(s.prefix, msg.Subject, msg.Header, msg.Data)
	if meta, err := msg.Metadata(); err == nil {
		e.Deliveries, e.Stored, e.Sequence = meta.NumDelivered, meta.Timestamp, meta.Sequence.Stream
	}
	ctx = delivery.Extract(ctx, propagator, msg.Header)
	ctx, span := startSpan(ctx, "process", msg.Subject, trace.SpanKindConsumer, withEventID(e.CloudEvent.ID()))
	defer span.End()

	if unreadable != nil {
		span.SetStatus(codes.Error, "unreadable")
		s.onUnreadable(ctx, e, unreadable)
		s.place.decided(d)
		return s.settle(ctx, d, delivery.Term("unreadable"))
	}
	err := s.renewed(ctx, e, d, renewEvery)
	if err != nil {
		span.SetStatus(codes.Error, "not handled") // the error itself can quote the event's data
	}
	_, final := errors.AsType[*reject](err)
	again, later := errors.AsType[*retry](err)
	if err == nil || final { // it is not to come again, even if a consumer is created again
		s.place.decided(d)
	}
	switch {
	case err == nil:
		return s.settle(ctx, d, delivery.Ack)
	case final:
		return s.settle(ctx, d, delivery.Term("rejected"))
	case later:
		return s.settle(ctx, d, delivery.Nak(again.after))
	case ctx.Err() != nil: // it was interrupted and is nobody's fault
		return s.settle(ctx, d, delivery.Nak(0))
	default:
		return s.settle(ctx, d, delivery.Nak(delivery.Backoff(int(min(max(e.Deliveries, 1)-1, 10)))))
	}
}

// renewed calls the handler and meanwhile reports to the broker that the event is still in progress.
func (s *subscription) renewed(ctx context.Context, e Event, d *taken, every time.Duration) error {
	stop := delivery.KeepAlive(every, func() {
		// An error is harmless: the next one may get through; else the event comes again, as it may anyway.
		_ = s.js.Conn().Publish(s.place.last(d).Reply, []byte(delivery.InProgress))
	})
	defer stop()
	return s.handle(ctx, e)
}

// confirmTimeout bounds how long Confirm waits for a broker that is away. After it the event comes again.
const confirmTimeout = 10 * time.Second

// settle sends the verdict about an event, until it is about its last delivery.
func (s *subscription) settle(ctx context.Context, d *taken, verdict delivery.Verdict) error {
	for {
		msg := s.place.last(d)
		err := s.confirm(ctx, msg, verdict)
		if s.place.release(d, msg) {
			return err
		}
	}
}

// confirm sends a verdict and waits until the broker has it. The verdict is out, so it is sent even if the subscription is to
// end.
func (s *subscription) confirm(ctx context.Context, msg *nats.Msg, verdict delivery.Verdict) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	return delivery.Confirm(ctx, s.line, s.js.Conn(), msg.Reply, verdict)
}
