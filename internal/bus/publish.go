package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

const (
	// PublishAttempts bounds how often one message is sent. It is the same message id each time, so the stream keeps one.
	PublishAttempts = 3
	// AttemptTimeout is how long an attempt waits for the acknowledgement. During a change of leader the one in flight is
	// never answered; the next one is.
	AttemptTimeout = 2 * time.Second
)

// producerSpan is made once: the options of a span that nobody records still cost.
var producerSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer)}

// Publish stores the event in the stream that takes its subject and returns when the stream has acknowledged it. Within
// ctx it waits for a lost connection to come back. An event that no message can hold is events.ErrTooLarge, and one that
// the broker refuses for good whatever its size is ErrRefused. After any other error the event may be stored or not, and
// publishing it again under the same id is right; ErrRefusing says that there is little hope for that.
func (b *Conn) Publish(ctx context.Context, subject string, e event.Event, id string) error {
	if token(subject, 1) == "event" {
		_, err := b.PublishEvent(ctx, subject, e, id)
		return err
	}
	return b.publish(ctx, subject, e, id, b.Send)
}

// PublishEvent is Publish for a subject of events. It returns the other event if this one was stored under an id of its own,
// because its id was that of another one.
func (b *Conn) PublishEvent(ctx context.Context, subject string, e event.Event, id string) (other *OtherEvent, _ error) {
	err := b.publish(ctx, subject, e, id, func(ctx context.Context, msg *nats.Msg, id string) (err error) {
		other, err = b.SendEvent(ctx, msg, id, false)
		return err
	})
	return other, err
}

func (b *Conn) publish(ctx context.Context, subject string, e event.Event, id string, send func(context.Context, *nats.Msg, string) error) error {
	ctx, span := b.tracer.Start(ctx, "publish "+kind(subject), producerSpan...)
	defer span.End()

	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return b.published(ctx, span, subject, fmt.Errorf("publish: %w", err))
	}
	if span.IsRecording() {
		span.SetAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"),
			semconv.MessagingOperationTypeSend, semconv.MessagingDestinationName(subject),
			semconv.MessagingMessageID(id), semconv.MessagingMessageBodySize(len(msg.Data)),
			semconv.CloudEventsEventID(e.ID()), semconv.CloudEventsEventSource(e.Source()), semconv.CloudEventsEventType(e.Type()),
		)
	}
	return b.published(ctx, span, subject, send(ctx, msg, id))
}

// published ends the span of a publish and counts it.
func (b *Conn) published(ctx context.Context, span trace.Span, subject string, err error) error {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	b.CountPublished(ctx, subject, err)
	return err
}

// CountPublished counts a publish that ended.
func (b *Conn) CountPublished(ctx context.Context, subject string, err error) {
	outcome := "stored"
	if err != nil {
		outcome = "failed"
	}
	b.metrics.published.Add(ctx, 1, b.metrics.publishedAttrs(kind(subject), outcome))
}

// Send publishes a message whose id is that of no other message, with the current trace context, in bounded attempts. What
// the stream has already is stored.
func (b *Conn) Send(ctx context.Context, msg *nats.Msg, id string) error {
	ack, err := b.sendAcked(ctx, msg, id)
	if err == nil && ack.Duplicate {
		reason := dupRepetition
		if ack.attempt > 1 {
			reason = dupRetry
		}
		b.repeated(ctx, msg.Subject, reason, ack)
	}
	return err
}

func (b *Conn) sendAcked(ctx context.Context, msg *nats.Msg, id string) (acknowledged, error) {
	began := time.Now()
	ack, err := b.attempts(ctx, msg, id)
	err = b.Observe(destination(msg.Subject), began, err)
	b.metrics.sent(ctx, msg, time.Since(began), err)
	return ack, err
}

func (b *Conn) attempts(ctx context.Context, msg *nats.Msg, id string) (ack acknowledged, _ error) {
	// The origin of the trace is written once, into the event; the header is of the current hop.
	Propagator.Inject(ctx, delivery.Header(msg.Header))
	if hop := delivery.Header(msg.Header).Get(attr.TraceParent); hop != "" && msg.Header["ce-"+attr.TraceParent] == nil {
		if msg.Header["ce-specversion"] != nil {
			msg.Header["ce-"+attr.TraceParent] = []string{hop}
		}
	}
	msg.Header[events.HeaderMessageID] = []string{percent.Encode(id)}
	streams := takers(b.cfg.Prefix, msg.Subject)
	natserr.Expect(msg, streams[0]) // counts among the headers

	if err := natserr.CheckHeader(msg.Header); err != nil {
		return ack, refusedFor(msg, err, b.nc.MaxPayload())
	}
	var err error
	for attempt := 1; ; attempt++ {
		if err = b.AwaitUp(ctx); err != nil {
			return ack, fmt.Errorf("publish to %s: %w", msg.Subject, err)
		}
		if !b.keeps(streams[0]) { // it would acknowledge all the same
			return ack, fmt.Errorf("publish to %s: the stream %s: %w", msg.Subject, streams[0], natserr.ErrNotKept)
		}
		ack.attempt++
		if ack.PubAck, err = b.sendOnce(ctx, msg, streams); err == nil {
			return ack, nil
		}
		_, refused := natserr.Refusal(err)
		switch {
		case natserr.Of(err) == natserr.Permanent:
			return ack, refusedFor(msg, err, b.nc.MaxPayload())
		case natserr.Disconnected(err):
			attempt-- // it went nowhere; waitUp waits, as soon as it has heard of the disconnect
		case errors.Is(err, jetstream.ErrNoStreamResponse):
			b.Recheck()
		case errors.Is(err, natserr.ErrOtherStream), errors.Is(err, natserr.ErrNoAck):
			err, refused = b.nameOther(ctx, msg.Subject, streams, err), true
		}
		if attempt == PublishAttempts || ctx.Err() != nil || refused && natserr.Answered(err) {
			return ack, fmt.Errorf("publish to %s (attempt %d): %w", msg.Subject, attempt, natserr.WithHelp(err))
		}
		select { // let a lost connection be noticed, or a new leader be found
		case <-time.After(time.Duration(max(attempt, 1)) * 50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (b *Conn) sendOnce(ctx context.Context, msg *nats.Msg, streams []string) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	return natserr.Publish(ctx, b.js, msg, streams...)
}

// Reply sends a copy of an event to a subject that a command's sender named. Nobody acknowledges it: the stream has the
// result.
func (b *Conn) Reply(ctx context.Context, subject string, e event.Event) error {
	msg, err := events.ToMsg(subject, e)
	if err == nil {
		Propagator.Inject(ctx, delivery.Header(msg.Header))
		err = b.nc.PublishMsg(msg)
	}
	if err != nil {
		return fmt.Errorf("reply to %s: %w", subject, err)
	}
	return nil
}

// Traced runs a publish in a span of its own, and counts it.
func (b *Conn) Traced(ctx context.Context, subject string, publish func(context.Context) error) error {
	ctx, span := b.tracer.Start(ctx, "publish "+kind(subject), producerSpan...)
	defer span.End()
	return b.published(ctx, span, subject, publish(ctx))
}

// Destination is the part of a subject that stands in metrics and in the names of spans: prefix, kind and cloud.
func Destination(subject string) string { return kind(subject) }

// kind is the low-cardinality part of a subject: prefix, kind and cloud.
func kind(subject string) string {
	dots := 0
	for i := range len(subject) {
		if subject[i] == '.' {
			if dots++; dots == 3 {
				return subject[:i]
			}
		}
	}
	return subject
}

// token returns the nth token of a subject, "" if there is none.
func token(subject string, n int) string {
	tokens := strings.SplitN(subject, ".", n+2)
	if n >= len(tokens) {
		return ""
	}
	return tokens[n]
}

func cloudAttr(cloud string) attribute.KeyValue { return attribute.String("factro.cloud", cloud) }
