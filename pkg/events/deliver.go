package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// deliver has one message handled and carries out the verdict. The error says that the verdict did not reach the broker,
// so that the event comes again.
func (s *subscription) deliver(ctx context.Context, d *delivery, renewEvery time.Duration) error {
	msg := s.place.last(d)
	e, unreadable := newEvent(s.prefix, msg.Subject(), msg.Headers(), msg.Data())
	if meta, err := msg.Metadata(); err == nil {
		e.Deliveries, e.Stored, e.Sequence = meta.NumDelivered, meta.Timestamp, meta.Sequence.Stream
	}
	ctx = extract(ctx, msg.Headers())
	ctx, span := startSpan(ctx, "process", msg.Subject(), trace.SpanKindConsumer, withEventID(e.CloudEvent.ID()))
	defer span.End()

	if unreadable != nil {
		span.SetStatus(codes.Error, "unreadable")
		s.onUnreadable(ctx, e, unreadable)
		s.place.decided(d)
		return s.settle(ctx, d, "+TERM unreadable")
	}
	err := s.renewed(ctx, e, d, max(renewEvery, 10*time.Millisecond))
	if err != nil {
		span.SetStatus(codes.Error, "not handled") // the error itself can quote the event's data
	}
	_, final := errors.AsType[*reject](err)
	again, later := errors.AsType[*retry](err)
	if err == nil || final { // it is not to come again, also if a consumer is made anew
		s.place.decided(d)
	}
	switch {
	case err == nil:
		return s.settle(ctx, d, "+ACK")
	case final:
		return s.settle(ctx, d, "+TERM rejected")
	case later:
		return s.settle(ctx, d, nak(again.after))
	case ctx.Err() != nil: // it was interrupted and is nobody's fault
		return s.settle(ctx, d, nak(0))
	default:
		return s.settle(ctx, d, nak(backoff(int(min(max(e.Deliveries, 1)-1, 10)))))
	}
}

// renewed calls the handler and tells the broker meanwhile that the event is still worked on.
func (s *subscription) renewed(ctx context.Context, e Event, d *delivery, every time.Duration) error {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = s.place.last(d).InProgress() // the next one may get through; else the event comes again, as it may anyway
			}
		}
	}()
	defer func() { close(done); <-stopped }()
	return s.handle(ctx, e)
}

// nak asks the broker to deliver the message again after d, at once if that is 0.
func nak(d time.Duration) string {
	if d <= 0 {
		return "-NAK"
	}
	return fmt.Sprintf(`-NAK {"delay": %d}`, d.Nanoseconds())
}

const (
	// confirmTimeout bounds how long a verdict is carried to a broker that is away. After it the event comes again.
	confirmTimeout = 10 * time.Second
	// lostAfter is how long a broker that is there may know nothing of the consumer: it has just started, or the consumer
	// is gone.
	lostAfter = 2 * time.Second
)

// settle sends the verdict about an event, until it is about its last delivery.
func (s *subscription) settle(ctx context.Context, d *delivery, verdict string) error {
	for {
		msg := s.place.last(d)
		err := s.confirm(ctx, msg, verdict)
		if s.place.release(d, msg) {
			return err
		}
	}
}

// confirm sends a verdict and waits until the broker has heard it. The client library can confirm an acknowledgement
// only; the broker answers every verdict. The verdict is out, so it is told even if the subscription is to end.
//
// That an event is to come again is told once. By the time of a second word somebody else may have it, and would lose it;
// without a word it comes after AckWait.
func (s *subscription) confirm(ctx context.Context, msg jetstream.Msg, verdict string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmTimeout)
	defer cancel()
	nc := s.js.Conn()
	once := strings.HasPrefix(verdict, "-NAK")
	began := time.Now()
	for {
		err := nats.ErrConnectionReconnecting
		if nc.IsConnected() || nc.IsClosed() || !once { // else it may lie in the connection's buffer for long
			attempt, stop := context.WithTimeout(ctx, attemptTimeout)
			_, err = nc.RequestWithContext(attempt, msg.Reply(), []byte(verdict))
			stop()
		}
		unheard := errors.Is(err, nats.ErrNoResponders)
		sure := unheard || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting)
		lost := unheard && time.Since(began) > lostAfter
		if err == nil || lost || once && !sure || errors.Is(err, nats.ErrConnectionClosed) || !pause(ctx, 50*time.Millisecond) {
			return err
		}
	}
}
