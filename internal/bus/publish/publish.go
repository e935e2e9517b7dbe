package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Attempts bounds how often one message is sent. It is the same message id each time, so the stream keeps one.
const Attempts = 3

// Conn is what publishing needs of the connection to NATS.
type Conn interface {
	session
	broker
	checks
}

type session interface {
	// AwaitUp waits until the connection is up. An error says that it never will be, or that ctx has ended.
	AwaitUp(ctx context.Context) error
	Settings() dial.Config
	Health() *health.Health
}

type broker interface {
	NATS() *nats.Conn
	JetStream() jetstream.JetStream
}

type checks interface {
	// Recheck has the streams checked soon. CheckEvery is how often they are checked while all is well.
	Recheck()
	CheckEvery() time.Duration
	// Keeps says whether a stream keeps what it acknowledges, as far as that was seen.
	Keeps(stream string) bool
}

// Publisher publishes on one connection.
type Publisher struct {
	conn    Conn
	cfg     dial.Config
	health  *health.Health
	log     *slog.Logger
	samples *logsample.Sampler // of what is logged again and again
	tracer  trace.Tracer
	metrics metrics

	mu     sync.Mutex
	others map[string]other // who takes a destination of ours, as it was found last
}

// New returns a publisher on a connection.
func New(ctx context.Context, conn Conn, log *slog.Logger) (*Publisher, error) {
	p := &Publisher{
		conn: conn, cfg: conn.Settings(), health: conn.Health(), log: log, samples: logsample.New(time.Minute), tracer: otel.Tracer(measure.Scope),
		others: map[string]other{},
	}
	var err error
	if p.metrics, err = newMetrics(); err != nil {
		return nil, err
	}
	p.metrics.expect(ctx, string(p.cfg.Prefix), p.cfg.Clouds)
	return p, nil
}

// producerSpan is made once: the options of a span that nobody records still cost.
var producerSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer)}

// Publish stores the event in the stream that takes its subject and returns when the stream has acknowledged it. Within
// ctx it waits for a lost connection to come back. An event that no message can hold is events.ErrTooLarge, and one that
// the broker refuses for good whatever its size is ErrRefused. After any other error the event may be stored or not, and
// publishing it again under the same id is right; ErrRefusing says that there is little hope for that.
func (p *Publisher) Publish(ctx context.Context, subject string, e event.Event, id string) error {
	if topology.SubjectToken(subject, 1) == "event" {
		_, err := p.PublishEvent(ctx, subject, e, id)
		return err
	}
	return p.publish(ctx, subject, e, id, p.Send)
}

// PublishEvent is Publish for a subject of events. It returns the other event if this one was stored under an id of its own,
// because its id was that of another one.
func (p *Publisher) PublishEvent(ctx context.Context, subject string, e event.Event, id string) (other *OtherEvent, _ error) {
	err := p.publish(ctx, subject, e, id, func(ctx context.Context, msg *nats.Msg, id string) (err error) {
		other, err = p.SendEvent(ctx, msg, id, false)
		return err
	})
	return other, err
}

func (p *Publisher) publish(ctx context.Context, subject string, e event.Event, id string, send func(context.Context, *nats.Msg, string) error) error {
	ctx, span := p.tracer.Start(ctx, "publish "+measure.Destination(subject), producerSpan...)
	defer span.End()

	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return p.published(ctx, span, subject, fmt.Errorf("publish: %w", err))
	}
	if span.IsRecording() {
		span.SetAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"),
			semconv.MessagingOperationTypeSend, semconv.MessagingDestinationName(subject),
			semconv.MessagingMessageID(id), semconv.MessagingMessageBodySize(len(msg.Data)),
			semconv.CloudEventsEventID(e.ID()), semconv.CloudEventsEventSource(e.Source()), semconv.CloudEventsEventType(e.Type()),
		)
	}
	return p.published(ctx, span, subject, send(ctx, msg, id))
}

// published ends the span of a publish and counts it.
func (p *Publisher) published(ctx context.Context, span trace.Span, subject string, err error) error {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	p.CountPublished(ctx, subject, err)
	return err
}

// CountPublished counts a publish that ended.
func (p *Publisher) CountPublished(ctx context.Context, subject string, err error) {
	outcome := "stored"
	if err != nil {
		outcome = "failed"
	}
	p.metrics.published.Add(ctx, 1, p.metrics.publishedAttrs(measure.Destination(subject), outcome))
}

// Send publishes a message whose id is that of no other message, with the current trace context, in bounded attempts. What
// the stream has already is stored.
func (p *Publisher) Send(ctx context.Context, msg *nats.Msg, id string) error {
	_, err := p.Store(ctx, msg, id)
	return err
}

// Store is Send, and returns the place of the message in the stream of its subject. It is 0 if the stream of an older version has taken
// the message.
func (p *Publisher) Store(ctx context.Context, msg *nats.Msg, id string) (sequence uint64, _ error) {
	ack, err := p.sendAcked(ctx, msg, id)
	if err == nil && ack.Duplicate {
		reason := Repetition
		if ack.attempt > 1 {
			reason = dupRetry
		}
		p.repeated(ctx, msg.Subject, reason, ack)
	}
	if err != nil || ack.Stream != Takers(p.cfg.Prefix, msg.Subject)[0] {
		return 0, err
	}
	return ack.Sequence, nil
}

func (p *Publisher) sendAcked(ctx context.Context, msg *nats.Msg, id string) (acknowledged, error) {
	began := time.Now()
	ack, err := p.attempts(ctx, msg, id)
	err = p.health.Observe(health.Destination(msg.Subject), began, err)
	p.metrics.sent(ctx, msg, time.Since(began), err)
	return ack, err
}

func (p *Publisher) attempts(ctx context.Context, msg *nats.Msg, id string) (ack acknowledged, _ error) {
	// The origin of the trace is written once, into the event; the header is of the current hop.
	measure.Propagator.Inject(ctx, delivery.Header(msg.Header))
	if hop := delivery.Header(msg.Header).Get(attr.TraceParent); hop != "" && msg.Header["ce-"+attr.TraceParent] == nil {
		if msg.Header["ce-specversion"] != nil {
			msg.Header["ce-"+attr.TraceParent] = []string{hop}
		}
	}
	msg.Header[events.HeaderMessageID] = []string{percent.Encode(id)}
	streams := Takers(p.cfg.Prefix, msg.Subject)
	natserr.Expect(msg, streams[0]) // counts among the headers

	if err := natserr.CheckHeader(msg.Header); err != nil {
		return ack, Refused(msg, err, p.conn.NATS().MaxPayload())
	}
	var err error
	for attempt := 1; ; attempt++ {
		if err = p.conn.AwaitUp(ctx); err != nil {
			return ack, fmt.Errorf("publish to %s: %w", msg.Subject, err)
		}
		if !p.conn.Keeps(streams[0]) { // it would acknowledge all the same
			return ack, fmt.Errorf("publish to %s: the stream %s: %w", msg.Subject, streams[0], natserr.ErrNotKept)
		}
		ack.attempt++
		if ack.PubAck, err = p.sendOnce(ctx, msg, streams); err == nil {
			return ack, nil
		}
		_, refused := natserr.Refusal(err)
		switch {
		case natserr.Of(err) == natserr.Permanent:
			return ack, Refused(msg, err, p.conn.NATS().MaxPayload())
		case natserr.Disconnected(err):
			attempt-- // it was not sent; AwaitUp waits as soon as the disconnect is known
		case errors.Is(err, jetstream.ErrNoStreamResponse):
			p.conn.Recheck()
		case errors.Is(err, natserr.ErrOtherStream), errors.Is(err, natserr.ErrNoAck):
			err, refused = p.nameOther(ctx, msg.Subject, streams, err), true
		}
		if attempt == Attempts || ctx.Err() != nil || refused && natserr.Answered(err) {
			return ack, fmt.Errorf("publish to %s (attempt %d): %w", msg.Subject, attempt, natserr.WithHelp(err))
		}
		select { // let a lost connection be noticed, or a new leader be found
		case <-time.After(time.Duration(max(attempt, 1)) * 50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (p *Publisher) sendOnce(ctx context.Context, msg *nats.Msg, streams []string) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, dial.AttemptTimeout)
	defer cancel()
	return natserr.Publish(ctx, p.conn.JetStream(), msg, streams...)
}

// Reply sends a copy of an event to a subject that a command's sender named. Nobody acknowledges it: the stream has the
// result.
func (p *Publisher) Reply(ctx context.Context, subject string, e event.Event) error {
	msg, err := events.ToMsg(subject, e)
	if err == nil {
		measure.Propagator.Inject(ctx, delivery.Header(msg.Header))
		err = p.conn.NATS().PublishMsg(msg)
	}
	if err != nil {
		return fmt.Errorf("reply to %s: %w", subject, err)
	}
	return nil
}

// Traced runs a publish in a span of its own, and counts it.
func (p *Publisher) Traced(ctx context.Context, subject string, publish func(context.Context) error) error {
	ctx, span := p.tracer.Start(ctx, "publish "+measure.Destination(subject), producerSpan...)
	defer span.End()
	return p.published(ctx, span, subject, publish(ctx))
}
