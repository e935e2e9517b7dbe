package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Query is a query as it arrived.
type Query struct {
	// Address is what the subject says: cloud, resource and operation.
	events.Address
	// Data is one JSON object; "{}" if the message had none. Mistake is why it could not be read, else nil.
	Data    []byte
	Mistake error
}

// Answer is the answer to a query: Data, or the Object that holds it, or an Error.
type Answer struct {
	// Status is the Core API's HTTP status, or the one that says the same of an error of ours.
	Status int
	Data   []byte
	Object *events.ObjectRef
	Error  *events.Error
	// RetryAfter is when it is worth asking again; 0 if that is not known.
	RetryAfter time.Duration
}

// Reader answers queries, many at once.
type Reader interface {
	Query(ctx context.Context, q Query) Answer
}

// Service is what a cloud's queries show of themselves to the tools of NATS.
type Service struct {
	Cloud, Version string
	Endpoints      []Endpoint
}

// Endpoint is one query.
type Endpoint struct {
	Resource, Operation string
	Metadata            map[string]string
}

const (
	// maxQueries bounds how many queries of one cloud are worked on at once. The request budget lets through eight a second.
	maxQueries = 64
	// headerRetryAfter is on an error that passes: the seconds until it is worth asking again.
	headerRetryAfter = "Retry-After"
	// queryQueue is the queue group by which several bridges share the queries. It is the one that NATS services have.
	queryQueue = micro.DefaultQueueGroup
)

// Serve answers the queries of a cloud until ctx ends. Then it takes no more, and finishes those in hand within the drain
// timeout. It begins as soon as there is a connection, and goes on after each reconnect.
func (b *Conn) Serve(ctx context.Context, s Service, r Reader) error {
	d := &desk{bus: b, reader: r, cloud: s.Cloud, places: make(chan struct{}, maxQueries), service: newService(b.cfg.Prefix, s)}
	var err error
	if d.replies, err = queryReplies(s.Cloud, b.cfg.ReplyPrefixes, b.log); err != nil {
		return err
	}
	working, stop := delivery.Grace(ctx, b.cfg.DrainTimeout)
	defer stop()
	subs, err := d.open(working)
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, finish(subs, &d.inHand))
}

// desk takes queries and hands out answers.
type desk struct {
	bus     *Conn
	reader  Reader
	cloud   string
	service *service
	replies *Replies
	places  chan struct{} // bounds the queries in hand
	inHand  sync.WaitGroup
}

// open subscribes to the queries, and to what asks about the service.
func (d *desk) open(ctx context.Context) ([]*nats.Subscription, error) {
	var subs []*nats.Subscription
	// One subscription for all operations, so that a query that there is not is answered with what is wrong with it.
	all := string(d.bus.cfg.Prefix) + ".query." + d.cloud + ".*.*"
	sub, err := d.bus.nc.QueueSubscribe(all, queryQueue, func(msg *nats.Msg) { d.take(ctx, msg) })
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", all, err)
	}
	subs = append(subs, sub)
	for subject, tell := range d.service.questions() {
		sub, err := d.bus.nc.Subscribe(subject, func(msg *nats.Msg) {
			if text, err := json.Marshal(tell()); err == nil && d.replies.Allow(ctx, msg.Reply, "") {
				_ = d.bus.nc.Publish(msg.Reply, text) // whoever asked asks again
			}
		})
		if err != nil {
			return subs, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		subs = append(subs, sub)
	}
	return subs, nil
}

// finish ends subscriptions, and waits for the requests that are worked on, those that have arrived by then included.
func finish(subs []*nats.Subscription, inHand *sync.WaitGroup) error {
	closed := make(chan struct{}, len(subs))
	var open int
	var errs []error
	for _, sub := range subs {
		sub.SetClosedHandler(func(string) { closed <- struct{}{} })
		switch err := sub.Drain(); {
		case err == nil:
			open++
		case !errors.Is(err, nats.ErrConnectionClosed):
			errs = append(errs, fmt.Errorf("stop %s: %w", sub.Subject, err))
		}
	}
	late := time.NewTimer(settleTimeout) // without a connection nothing comes any more, and nobody says so
	defer late.Stop()
	for range open {
		select {
		case <-closed:
		case <-late.C:
			for _, sub := range subs {
				_ = sub.Unsubscribe() // nothing is to begin any more; those that are closed say so
			}
			inHand.Wait()
			return errors.Join(errs...)
		}
	}
	inHand.Wait()
	return errors.Join(errs...)
}

// take begins with a query, without waiting for its answer: the next one may be quicker.
func (d *desk) take(ctx context.Context, msg *nats.Msg) {
	if msg.Reply == "" {
		return // nobody waits for the answer, so factro need not be asked
	}
	if !d.replies.Allow(ctx, msg.Reply, "") {
		return
	}
	began := time.Now()
	ctx = delivery.Extract(ctx, Propagator, msg.Header)
	ctx, span := d.bus.tracer.Start(ctx, "process "+kind(msg.Subject),
		// Somebody waits for the answer, unlike with a command: a server, in the terms of traces.
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("process"),
			semconv.MessagingOperationTypeProcess, semconv.MessagingDestinationName(msg.Subject),
			semconv.MessagingMessageBodySize(len(msg.Data)),
		))
	q := d.read(msg)
	select {
	case d.places <- struct{}{}:
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
	d.inHand.Go(func() {
		defer func() { <-d.places }()
		d.answer(ctx, span, msg, q, began, d.reader.Query(ctx, q))
	})
}

// read takes the data out of a message: that of a CloudEvent, or the message's own.
func (d *desk) read(msg *nats.Msg) Query {
	q := Query{Data: msg.Data}
	q.Address, q.Mistake = d.bus.cfg.Prefix.ParseQuery(msg.Subject)
	switch e, err := events.FromMsg(msg.Header, msg.Data); {
	case err == nil:
		q.Data = e.Data()
	case !errors.Is(err, events.ErrPlain):
		q.Mistake = err
	}
	if len(q.Data) == 0 {
		q.Data = []byte("{}")
	}
	return q
}

// answer sends an answer, counts it and ends the span.
func (d *desk) answer(ctx context.Context, span trace.Span, msg *nats.Msg, q Query, began time.Time, a Answer) {
	defer span.End()
	span.SetAttributes(attribute.String("factro.operation", events.Token(q.Operation)), attribute.Int("factro.query.status", a.Status))
	if a.Error != nil {
		span.SetAttributes(attribute.String("error.type", a.Error.Code))
		if a.Status >= http.StatusInternalServerError { // below that it is the requester's mistake
			span.SetStatus(codes.Error, a.Error.Code)
		}
	}
	defer func() { d.service.count(q.Operation, time.Since(began), a) }()
	reply := message(a)
	reply.Subject = msg.Reply
	Propagator.Inject(ctx, delivery.Header(reply.Header))
	err := d.bus.nc.PublishMsg(reply)
	if errors.Is(err, nats.ErrMaxPayload) { // a server that takes less than the one before the reconnect
		a = Answer{Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Error: &events.Error{
			Code: events.CodeUnavailable, Message: "the answer is too large for a message; ask again",
		}}
		reply.Header, reply.Data = message(a).Header, message(a).Data
		err = d.bus.nc.PublishMsg(reply)
	}
	if err != nil {
		d.bus.log.WarnContext(ctx, "answer to a query could not be sent", "cloud", d.cloud, "operation", events.Token(q.Operation), "error", err)
	}
}

// message writes an answer as NATS services do: an error in their two headers and as the contract's JSON.
func message(a Answer) *nats.Msg {
	m := &nats.Msg{Header: nats.Header{}, Data: a.Data}
	var body any
	switch {
	case a.Error != nil:
		m.Header[events.HeaderErrorCode] = []string{strconv.Itoa(a.Status)}
		m.Header[events.HeaderError] = []string{oneLine(a.Error.Message)}
		if a.RetryAfter > 0 {
			m.Header[headerRetryAfter] = []string{strconv.Itoa(int((a.RetryAfter + time.Second - 1) / time.Second))}
		}
		body = a.Error
	case a.Object != nil:
		m.Header[events.HeaderObject] = []string{a.Object.Bucket + "/" + a.Object.Name}
		body = map[string]any{"object": a.Object}
	default:
		return m
	}
	text, err := json.Marshal(body)
	if err != nil { // a detail that is no JSON, which the type allows
		text = []byte("{}")
	}
	m.Data = text
	return m
}

// oneLine makes a header's value of a message, and something to read of none.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if s == "" {
		return "no text"
	}
	return limit(s, 512)
}
