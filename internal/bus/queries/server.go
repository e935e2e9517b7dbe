package queries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
)

// Serve answers the queries of a cloud until ctx ends. Then it accepts no more, and finishes those in flight within the
// drain timeout. It begins as soon as there is a connection, and goes on after each reconnect.
func Serve(ctx context.Context, conn Conn, s Service, r Reader, log *slog.Logger) error {
	cfg := conn.Settings()
	d := &server{
		nc: conn.NATS(), prefix: cfg.Prefix, reader: r, cloud: s.Cloud, log: log, tracer: otel.Tracer(measure.Scope),
		slots: make(chan struct{}, maxQueries), service: newService(cfg.Prefix, s),
	}
	var err error
	if d.replies, err = publish.RequestReplies(s.Cloud, "query", cfg.ReplyPrefixes, log); err != nil {
		return err
	}
	working, stop := delivery.Grace(ctx, cfg.DrainTimeout)
	defer stop()
	subs, err := d.open(working)
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, drain(subs, &d.inFlight))
}

// server accepts queries and sends answers.
type server struct {
	nc       *nats.Conn
	prefix   events.Prefix
	reader   Reader
	cloud    string
	log      *slog.Logger
	tracer   trace.Tracer
	service  *service
	replies  *publish.Replies
	slots    chan struct{} // bounds the queries in flight
	inFlight sync.WaitGroup
}

// subjects begins the subjects of the cloud's queries. It also names their spans.
func (d *server) subjects() string { return string(d.prefix) + ".query." + d.cloud }

// open subscribes to the queries, and to the requests about the service.
func (d *server) open(ctx context.Context) ([]*nats.Subscription, error) {
	var subs []*nats.Subscription
	// One subscription for all operations, so that a query for an unknown operation gets an answer that says so.
	all := d.subjects() + ".*.*"
	sub, err := d.nc.QueueSubscribe(all, Queue, func(msg *nats.Msg) { d.accept(ctx, msg) })
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", all, err)
	}
	subs = append(subs, sub)
	for subject, describe := range d.service.requests() {
		sub, err := d.nc.Subscribe(subject, func(msg *nats.Msg) {
			if text, err := json.Marshal(describe()); err == nil && d.replies.Allow(ctx, msg.Reply, "") {
				_ = d.nc.Publish(msg.Reply, text) // the requester asks again
			}
		})
		if err != nil {
			return subs, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

// accept begins with a query, without waiting for its answer: the next one may be quicker.
func (d *server) accept(ctx context.Context, msg *nats.Msg) {
	if msg.Reply == "" {
		return // nobody waits for the answer, so there is no need to call factro
	}
	if !d.replies.Allow(ctx, msg.Reply, "") {
		return
	}
	began := time.Now()
	ctx = delivery.Extract(ctx, measure.Propagator, msg.Header)
	ctx, span := d.tracer.Start(ctx, "process "+d.subjects(),
		// The requester waits for the answer, unlike with a command: a server, in the terms of traces.
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("process"),
			semconv.MessagingOperationTypeProcess, semconv.MessagingDestinationName(msg.Subject),
			semconv.MessagingMessageBodySize(len(msg.Data)),
		))
	q := d.read(msg)
	select {
	case d.slots <- struct{}{}:
	default:
		d.answer(ctx, span, msg, q, began, Answer{
			Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
			Error: &events.Error{
				Code:    events.CodeUnavailable,
				Message: fmt.Sprintf("the bridge is working on %d queries of this cloud already", maxQueries),
			},
		})
		return
	}
	d.inFlight.Go(func() {
		defer func() { <-d.slots }()
		d.answer(ctx, span, msg, q, began, d.reader.Query(ctx, q))
	})
}

// read takes the data out of a message: that of a CloudEvent, or the message's own.
func (d *server) read(msg *nats.Msg) Query {
	q := Query{Data: msg.Data}
	q.Address, q.Mistake = d.prefix.ParseQuery(msg.Subject)
	switch e, err := events.FromMsg(msg.Header, msg.Data); {
	case err == nil:
		q.Data = e.Data()
	case !errors.Is(err, events.ErrPlain):
		q.Mistake = err
	}
	if q.Mistake == nil {
		q.MaxAge, q.Mistake = maxAge(delivery.Header(msg.Header).Get(fresh.HeaderMaxAge))
	}
	if len(q.Data) == 0 {
		q.Data = []byte("{}")
	}
	return q
}

// maxAge reads the header that says how old the answer may be.
func maxAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("header %s: %.40q is no duration such as 30s or 5m", fresh.HeaderMaxAge, text)
	}
	return d, nil
}

// answer sends an answer, counts it and ends the span.
func (d *server) answer(ctx context.Context, span trace.Span, msg *nats.Msg, q Query, began time.Time, a Answer) {
	defer span.End()
	span.SetAttributes(attribute.String("factro.operation", events.Token(q.Operation)), attribute.Int("factro.query.status", a.Status))
	if a.Error != nil {
		span.SetAttributes(attribute.String("error.type", a.Error.Code))
		if a.Status >= http.StatusInternalServerError { // below that it is the requester's mistake
			span.SetStatus(codes.Error, a.Error.Code)
		}
	}
	defer func() { d.service.count(q.Operation, time.Since(began), a) }()
	reply := a.message()
	reply.Subject = msg.Reply
	measure.Propagator.Inject(ctx, delivery.Header(reply.Header))
	err := d.nc.PublishMsg(reply)
	if errors.Is(err, nats.ErrMaxPayload) { // after a reconnect, to a server that accepts less than the one before
		a = Answer{Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Error: &events.Error{
			Code: events.CodeUnavailable, Message: "the answer is too large for a message; ask again",
		}}
		again := a.message()
		reply.Header, reply.Data = again.Header, again.Data
		err = d.nc.PublishMsg(reply)
	}
	if err != nil {
		d.log.WarnContext(ctx, "answer to a query could not be sent", "cloud", d.cloud, "operation", events.Token(q.Operation), "error", err)
	}
}
