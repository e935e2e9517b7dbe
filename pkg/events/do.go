package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/command"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/send"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/tracing"
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
// from the stream of results. That needs the right to read it by direct get; without it Do knows the copy only.
func (c *Client) Do(ctx context.Context, cmd Payload, opts ...DoOption) (Result, error) {
	o, a, e, err := c.order(cmd, opts)
	if err != nil {
		return Result{}, err
	}
	ctx, span := c.startSending(ctx, a, e)
	defer span.End()
	r, err := c.do(ctx, a, e, o)
	if err != nil {
		span.SetStatus(codes.Error, spanText(err)) // the code, not the text: that can quote the command's data
	}
	return r, err
}

// Sent is a command that the stream has.
type Sent struct {
	// ID is the command's.
	ID string
	// Duplicate is true if the stream had a message with that message id already. Then this command was left out. Mostly it is
	// a command with the same source and id. But senders choose their message ids, so another sender to the same cloud
	// may have used it for another command. Do can distinguish these, and so can Send as far as it may read the streams.
	Duplicate bool
	// Position is the place of the command in its stream, "<stream>:<sequence>"; of a duplicate that of the first one.
	Position string
}

// Send sends a command, returns when the stream has it, and does not wait for its outcome. A subscription to results recognises
// those of the command with attr.Caused. The error is as that of [Client.Do]: a *[PendingError] if the command may be in the
// stream or not, else it is not.
//
// Of a duplicate Send checks for up to two seconds whether the earlier command had the same payload; if not, the error is a
// *[ReusedError]. That needs the right to read the stream of commands or that of results by direct get.
func (c *Client) Send(ctx context.Context, cmd Payload, opts ...DoOption) (Sent, error) {
	o, a, e, err := c.order(cmd, opts)
	if err != nil {
		return Sent{}, err
	}
	ctx, span := c.startSending(ctx, a, e)
	defer span.End()
	sent, err := c.send(ctx, a, e, o)
	if err != nil {
		span.SetStatus(codes.Error, spanText(err))
	}
	return sent, err
}

func (c *Client) send(ctx context.Context, a Address, e event.Event, o order) (Sent, error) {
	msg, err := o.Message(ctx, c.subject(a), e)
	if err != nil {
		return Sent{}, err
	}
	began := time.Now()
	ack, err := c.publish(ctx, msg, o.ID)
	if err != nil {
		return Sent{}, err
	}
	sent := Sent{ID: e.ID(), Duplicate: ack.Duplicate, Position: position(ack)}
	if ack.Duplicate {
		err = c.waiter(a, e, o, began, ack).compare(ctx)
	}
	return sent, err
}

func (c *Client) startSending(ctx context.Context, a Address, e event.Event) (context.Context, trace.Span) {
	return tracing.Start(ctx, "publish", c.subject(a), trace.SpanKindProducer, tracing.Operation(a.Operation), tracing.EventID(e.ID()))
}

// subject is that of a command.
func (c *Client) subject(a Address) string { return c.prefix.Command(a.Cloud, a.Resource, a.Operation) }

// order puts together what is sent.
func (c *Client) order(cmd Payload, opts []DoOption) (o order, a Address, e event.Event, err error) {
	o.Draft = command.Draft{Source: DefaultSource, Extensions: map[string]any{}}
	for _, opt := range slices.Concat(c.defaults, opts) {
		opt(&o)
	}
	var data []byte
	if err = c.check(); err == nil {
		data, err = payloadData(cmd)
	}
	op := cmd.Operation()
	if err == nil {
		e, err = o.Event(CommandTypePrefix+op.Name, data)
	}
	if err != nil {
		return o, a, e, fmt.Errorf("command: %w", err)
	}
	return o, Address{Cloud: c.cloud, Resource: op.Resource, Operation: op.Name}, e, nil
}

func (c *Client) do(ctx context.Context, a Address, e event.Event, o order) (Result, error) {
	msg, err := o.Message(ctx, c.subject(a), e)
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
	ack, err := c.publish(ctx, msg, o.ID)
	if err != nil {
		return Result{}, err
	}
	return c.waiter(a, e, o, began, ack).wait(ctx, copies)
}

// publish stores the message of a command in its stream.
func (c *Client) publish(ctx context.Context, msg *nats.Msg, id string) (*jetstream.PubAck, error) {
	// Commands of all clouds were in one stream once. Its bridge takes them over.
	former := strings.ToUpper(string(c.prefix)) + "_COMMANDS"
	ack, err := send.Publish(ctx, c.js, msg, c.prefix.CommandStream(c.cloud), former)
	if unsure, ok := errors.AsType[*send.UnsureError](err); ok {
		return nil, &PendingError{ID: id, Unsure: true, Err: unsure.Err}
	}
	return ack, err
}

// position is the place of a message in a stream.
func position(ack *jetstream.PubAck) string {
	return ack.Stream + ":" + strconv.FormatUint(ack.Sequence, 10)
}

// spanText is what a span may say about an error.
func spanText(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if _, ok := errors.AsType[*PendingError](err); ok {
		return "pending"
	}
	return "not sent"
}
