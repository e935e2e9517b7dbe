package events

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/subscription"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/tracing"
)

// subscriber is one call of Subscribe.
type subscriber struct {
	subscription.Subscription
	prefix       Prefix
	handle       Handler
	onUnreadable func(context.Context, Event, error)
}

// deliver has one message handled and settles it.
func (s *subscriber) deliver(ctx context.Context, d *subscription.Delivery) error {
	msg := d.Msg
	e, unreadable := newEvent(s.prefix, msg.Subject, msg.Header, msg.Data)
	if meta, err := msg.Metadata(); err == nil {
		e.Deliveries, e.Stored, e.Sequence = meta.NumDelivered, meta.Timestamp, meta.Sequence.Stream
	}
	ctx = delivery.Extract(ctx, tracing.Propagator, msg.Header)
	ctx, span := tracing.Start(ctx, "process", msg.Subject, trace.SpanKindConsumer, tracing.EventID(e.CloudEvent.ID()))
	defer span.End()

	if unreadable != nil {
		span.SetStatus(codes.Error, "unreadable")
		s.onUnreadable(ctx, e, unreadable)
		return d.Settle(ctx, delivery.Term("unreadable"))
	}
	err := s.handled(ctx, e, d)
	if err != nil {
		span.SetStatus(codes.Error, "not handled") // the error itself can quote the event's data
	}
	return d.Settle(ctx, verdictOf(ctx, e, err))
}

// handled calls the handler and keeps the event ours meanwhile.
func (s *subscriber) handled(ctx context.Context, e Event, d *subscription.Delivery) error {
	stop := d.KeepAlive()
	defer stop()
	return s.handle(ctx, e)
}

// verdictOf is what the broker gets to know of an event whose handler returned err.
func verdictOf(ctx context.Context, e Event, err error) delivery.Verdict {
	if err == nil {
		return delivery.Ack
	}
	if _, final := errors.AsType[*reject](err); final {
		return delivery.Term("rejected")
	}
	if again, later := errors.AsType[*retry](err); later {
		return delivery.Nak(again.after)
	}
	if ctx.Err() != nil { // it was interrupted and is nobody's fault
		return delivery.Nak(0)
	}
	return delivery.Nak(delivery.Backoff(int(min(max(e.Deliveries, 1)-1, 10))))
}
