package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Do sends a command and waits for its final result. The error is nil only if the command was applied.
//
// A command that was rejected or has died comes back with its Result and an error of type *[Error]. If ctx ends first or
// the connection is closed, the error is a *[PendingError], which wraps that of ctx or [nats.ErrConnectionClosed]: the
// command is in the stream, the bridge will still carry it out, and calling Do again with the same payload and its id gets
// the result. Any other error says that the command was not sent.
//
// A command whose source and id were used before is not carried out again: it gets the earlier result. If they were used for
// another payload, the error is a *[ReusedError] instead, with that result where it is known; bridges before contract 3.0 tell
// the difference only after the window of the stream of commands, ten minutes or more. Senders choose
// their message ids, so the stream can take a command for one that somebody else has sent to the same cloud. As soon as that
// one has a result, Do says that the command was not sent; it never returns somebody else's result.
//
// While the connection is lost, Do waits for it to come back, as long as ctx allows. The result is found even if the copy
// that the bridge sends was lost, if the command was sent before, or if the connection broke in between: then it is read
// from the stream of results. That needs the right to create consumers there; without it Do knows the copy only.
func (c *Client) Do(ctx context.Context, cmd Payload, opts ...DoOption) (Result, error) {
	o, subject, e, err := c.order(cmd, opts)
	if err != nil {
		return Result{}, err
	}
	ctx, span := startSpan(ctx, "publish", subject, trace.SpanKindProducer, withOperation(cmd.Operation()), withEventID(e.ID()))
	defer span.End()
	r, err := c.do(ctx, subject, e, o)
	if err != nil {
		span.SetStatus(codes.Error, verdict(err)) // the code, not the text: that can quote the command's data
	}
	return r, err
}

// Sent is a command that the stream has.
type Sent struct {
	// ID is the command's.
	ID string
	// Duplicate is true if the stream had a message with that message id already. Then this command was left out. Mostly it is
	// a command with the same source and id. But senders choose their message ids, so whoever may send commands to the cloud
	// may have used it for a command of his own. Do tells these apart, and so does Send as far as it may read the streams.
	Duplicate bool
	// Position is the place of the command in its stream, "<stream>:<sequence>"; of a duplicate that of the first one.
	Position string
}

// Send sends a command, returns when the stream has it, and does not wait for what becomes of it. The error is as that of
// [Client.Do]: a *[PendingError] if the command may be in the stream or not, else it is not.
//
// Of a duplicate Send looks for up to two seconds whether the earlier command had the same payload; if not, the error is a
// *[ReusedError]. That needs the right to read the stream of commands or that of results by direct get.
func (c *Client) Send(ctx context.Context, cmd Payload, opts ...DoOption) (Sent, error) {
	o, subject, e, err := c.order(cmd, opts)
	if err != nil {
		return Sent{}, err
	}
	ctx, span := startSpan(ctx, "publish", subject, trace.SpanKindProducer, withOperation(cmd.Operation()), withEventID(e.ID()))
	defer span.End()
	began := time.Now()
	ack, err := c.send(ctx, subject, e, o)
	if err != nil {
		span.SetStatus(codes.Error, verdict(err))
		return Sent{}, err
	}
	sent := Sent{ID: e.ID(), Duplicate: ack.Duplicate, Position: position(ack.Stream, ack.Sequence)}
	if ack.Duplicate {
		w := c.waiter(subject, e, o, began, ack)
		if err := w.compare(ctx); err != nil {
			span.SetStatus(codes.Error, verdict(err))
			return sent, err
		}
	}
	return sent, nil
}

func (c *Client) send(ctx context.Context, subject string, e event.Event, o order) (*jetstream.PubAck, error) {
	msg, err := o.message(ctx, subject, e)
	if err != nil {
		return nil, err
	}
	return c.publish(ctx, msg)
}

// order puts together what is sent.
func (c *Client) order(cmd Payload, opts []DoOption) (o order, subject string, e event.Event, err error) {
	o = order{source: DefaultSource, extensions: map[string]any{}}
	for _, opt := range c.defaults {
		opt(&o)
	}
	for _, opt := range opts {
		opt(&o)
	}
	if err := c.check(); err != nil {
		return o, "", e, fmt.Errorf("command: %w", err)
	}
	if e, err = o.event(cmd); err != nil {
		return o, "", e, fmt.Errorf("command: %w", err)
	}
	op := cmd.Operation()
	return o, c.prefix.Command(c.cloud, op.Resource, op.Name), e, nil
}

func (c *Client) do(ctx context.Context, subject string, e event.Event, o order) (Result, error) {
	msg, err := o.message(ctx, subject, e)
	if err != nil {
		return Result{}, err
	}
	nc := c.js.Conn()
	copies := make(chan *nats.Msg, 16)
	inbox, err := nc.ChanSubscribe(nc.NewInbox(), copies)
	if err != nil {
		return Result{}, fmt.Errorf("subscribe to the result: %w", err)
	}
	defer func() { _ = inbox.Unsubscribe() }() // the connection is closed, then
	msg.Header[HeaderReplyTo] = []string{inbox.Subject}

	began := time.Now()
	ack, err := c.publish(ctx, msg)
	if err != nil {
		return Result{}, err
	}
	return c.waiter(subject, e, o, began, ack).wait(ctx, copies)
}

// waiter makes what waits for the results of a command that the stream has.
func (c *Client) waiter(subject string, e event.Event, o order, began time.Time, ack *jetstream.PubAck) *waiter {
	w := &waiter{
		client: c, subject: subject, id: e.ID(), source: o.source, order: o, began: began, told: map[string]bool{},
		digest: CommandDigest(e.Data()), place: position(ack.Stream, ack.Sequence), stream: ack.Stream, sequence: ack.Sequence,
	}
	if ack.Duplicate {
		w.duplicate = w.place
	}
	return w
}

// position is the place of a message in a stream.
func position(stream string, sequence uint64) string {
	return stream + ":" + strconv.FormatUint(sequence, 10)
}

// message is what goes over the wire, with the trace of ctx.
func (o *order) message(ctx context.Context, subject string, e event.Event) (*nats.Msg, error) {
	if s := trace.SpanContextFromContext(ctx); s.IsValid() { // where the trace begins; the header is of the current hop
		origin := delivery.Header{}
		propagator.Inject(ctx, origin)
		for _, name := range origin.Keys() {
			e.SetExtension(name, origin.Get(name))
		}
	}
	msg, err := ToMsg(subject, e)
	if err != nil {
		return nil, err
	}
	propagator.Inject(ctx, delivery.Header(msg.Header))
	msg.Header[HeaderMessageID] = []string{o.messageID()}
	return msg, nil
}

// event makes the CloudEvent of a command.
func (o *order) event(cmd Payload) (event.Event, error) {
	data, err := payloadData(cmd)
	if err != nil {
		return event.Event{}, err
	}
	source, err := url.Parse(o.source)
	if err != nil {
		return event.Event{}, fmt.Errorf("source: %w", err)
	}
	o.source = sourceOnWire(source.String())
	if o.id == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return event.Event{}, fmt.Errorf("id: %w", err)
		}
		o.id = id.String()
	}
	if o.dryRun {
		o.extensions[attr.DryRun] = true
	}
	e := event.Event{
		Context: &event.EventContextV1{
			ID: o.id, Source: types.URIRef{URL: *source}, Type: CommandTypePrefix + cmd.Operation().Name,
			Time: &types.Timestamp{Time: time.Now()}, DataContentType: new(event.ApplicationJSON), Extensions: o.extensions,
		},
		DataEncoded: data,
	}
	var bad binding.Problems
	capAttributes(e, false, &bad) // the bridge would refuse it under another id, and nobody would know whose result that is
	return e, bad.Err()
}

// messageID is the id by which the stream recognises the command when it is sent again. It tells apart what is not the same:
// commands of other sources, and a rehearsal from the performance. No encoded id has a percent sign without two hex digits.
func (o *order) messageID() string {
	id := percent.Encode(o.id) + "%source." + SourceDigest(o.source)
	if o.dryRun {
		return id + "%dryrun"
	}
	return id
}

const (
	// publishAttempts bounds how often a command is sent that nobody acknowledges. It is the same message id each time, so
	// the stream keeps one.
	publishAttempts = 3
	// attemptTimeout is how long an attempt waits for the acknowledgement. During a change of leader the one in flight is
	// never answered; the next one is.
	attemptTimeout = 2 * time.Second
)

// publish stores a message in its stream and waits for a lost connection meanwhile.
func (c *Client) publish(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	// Commands of all clouds were in one stream once. Its bridge takes them over.
	stream, former := c.prefix.CommandStream(c.cloud), strings.ToUpper(string(c.prefix))+"_COMMANDS"
	natserr.Expect(msg, stream)
	if err := natserr.CheckHeader(msg.Header); err != nil {
		return nil, fmt.Errorf("send command: %w: %w", ErrTooLarge, err)
	}
	unsure := false // whether an attempt may have reached the stream without a word
	for attempt := 1; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, attemptTimeout)
		ack, err := natserr.Publish(once, c.js, msg, stream, former)
		cancel()
		_, refused := natserr.Refusal(err)
		refused = refused || errors.Is(err, natserr.ErrOtherStream)
		away := isDisconnect(err) || !c.js.Conn().IsConnected()
		timeout := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
		unsure = unsure || timeout || errors.Is(err, nats.ErrDisconnected)
		switch {
		case err == nil:
			return ack, nil
		case natserr.TooLarge(err):
			return nil, fmt.Errorf("send command: %w: %d bytes of data: %w", ErrTooLarge, len(msg.Data), err)
		case natserr.Of(err) == natserr.Permanent:
			return nil, fmt.Errorf("send command: %w", err) // each attempt meets the same, so none has stored it
		case ctx.Err() != nil:
			return nil, &PendingError{ID: commandID(msg), Unsure: true, Err: ctx.Err()}
		case refused && natserr.Answered(err) || errors.Is(err, nats.ErrConnectionClosed) || attempt >= publishAttempts && !away:
			if unsure {
				return nil, &PendingError{ID: commandID(msg), Unsure: true, Err: err}
			}
			if errors.Is(err, jetstream.ErrNoStreamResponse) {
				return nil, fmt.Errorf("send command: no stream takes %s: is the cloud's name right, and has its bridge run once? %w", msg.Subject, err)
			}
			if help := natserr.Help(err); help != "" {
				return nil, fmt.Errorf("send command: %w (%s)", err, help)
			}
			return nil, fmt.Errorf("send command: %w", err)
		case away:
			attempt-- // it did not fail, there is only nobody there
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, &PendingError{ID: commandID(msg), Unsure: true, Err: ctx.Err()}
		}
	}
}

func commandID(msg *nats.Msg) string {
	id, _ := percent.Decode(delivery.Header(msg.Header).Get(binding.AttributePrefix + "id"))
	return id
}

// isDisconnect says whether something failed only since the connection was away.
func isDisconnect(err error) bool { return natserr.Disconnected(err) }

// pause waits, and returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// PendingError says that a command has no final result yet, and may have one later. Calling Do again with the same
// payload and [WithID] asks for it; the command is not carried out twice.
type PendingError struct {
	// ID is the command's.
	ID string
	// Unsure is true if the stream did not acknowledge the command, so that it may be there or not. Else it is.
	Unsure bool
	// Duplicate is true if the stream had a message with the command's message id already, as in Sent.
	Duplicate bool
	// Err is why Do stopped waiting, mostly the error of its context.
	Err error
}

func (e *PendingError) Error() string {
	where := "is in the stream and has no final result yet"
	switch {
	case e.Unsure:
		where = "may be in the stream or not"
	case e.Duplicate:
		where = "was not sent again, since the stream has its message id already, and has no final result yet"
	}
	return fmt.Sprintf("command %s %s; do it again with this id to get its result: %v", e.ID, where, e.Err)
}

func (e *PendingError) Unwrap() error { return e.Err }

// verdict is what a span may tell of an error.
func verdict(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if _, ok := errors.AsType[*PendingError](err); ok {
		return "pending"
	}
	return "not sent"
}

// Err returns nil if the command was applied, and else an error of type *Error.
func (r Result) Err() error {
	if r.Outcome == Applied {
		return nil
	}
	if r.Error == nil { // not by this contract, but then there is no other word for it
		return &Error{Code: string(r.Outcome), Message: strings.TrimSpace(r.Operation + " was not applied"), Status: r.Status}
	}
	e := *r.Error
	e.Status = r.Status
	return &e
}

// ResultOf reads the result that an event carries, be it from a subscription or from elsewhere.
func ResultOf(e event.Event) (Result, error) {
	if !strings.HasPrefix(e.Type(), ResultTypePrefix) {
		return Result{}, fmt.Errorf("the event's type is %s, which is none of a result", binding.Quote(e.Type()))
	}
	var r Result
	if err := json.Unmarshal(e.Data(), &r); err != nil {
		return Result{}, fmt.Errorf("result: %w", err)
	}
	switch dry := e.Extensions()[attr.DryRun].(type) {
	case bool:
		r.DryRun = dry
	case string:
		r.DryRun = dry == "true"
	}
	return r, nil
}
