package events

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/stored"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/tracing"
)

// queryTimeout bounds a query whose context has no deadline: the time until its answer begins.
const queryTimeout = time.Minute

// Query is a query whose answer has a Go type: one of the generated structs, such as payload.GetTask. [Ask] asks it.
type Query[T any] interface {
	Payload
	// Answer decodes what [Client.Query] returned.
	Answer(answer io.Reader) (T, error)
}

// Ask asks factro something and returns the decoded answer. The errors are those of [Client.Query]; another one says that the
// answer does not have the form that is known. Then Client.Query with the same query has what came.
//
// The Core API has no pages: a list is whole, and can be large. Ask holds all of it in memory. Client.Query streams it.
func Ask[T any](ctx context.Context, c *Client, query Query[T], opts ...fresh.Option) (T, error) {
	var none T
	body, err := c.Query(ctx, query, opts...)
	if err != nil {
		return none, err
	}
	answer, err := query.Answer(body)
	if err := errors.Join(err, body.Close()); err != nil {
		return none, err
	}
	return answer, nil
}

// Query asks factro something and returns the answer, the Core API's JSON byte for byte. The caller closes it.
//
// An answer that no message can hold is read from the broker's object store, as a stream, while ctx lasts; a Read fails
// if it was damaged on the way. The bridge keeps such an answer for ten minutes. Its reader has a method Size() int64, which
// returns the number of bytes in all.
//
// If the bridge or factro refuse, the error is of type *[Error], and its Status says more. [nats.ErrNoResponders] means
// that no bridge answers queries of this cloud. A query changes nothing, so after any error it may be asked again.
//
// The options of the package [fresh] accept an answer of the mirror, which is a little older and takes no request to factro.
func (c *Client) Query(ctx context.Context, query Payload, opts ...fresh.Option) (io.ReadCloser, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	data, err := payloadData(query)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	op := query.Operation()
	subject := c.prefix.Query(c.cloud, op.Resource, op.Name)
	ctx, span := tracing.Start(ctx, "request", subject, trace.SpanKindClient, tracing.Operation(op.Name))
	defer span.End()
	answer, err := c.query(ctx, subject, data, fresh.Of(opts))
	if err != nil {
		text := "no answer"
		if e, ok := errors.AsType[*Error](err); ok {
			text = e.Code
		}
		span.SetStatus(codes.Error, text)
	}
	return answer, err
}

func (c *Client) query(ctx context.Context, subject string, data []byte, settings fresh.Settings) (io.ReadCloser, error) {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	if _, ok := ctx.Deadline(); ok { // the caller's own counts
		asking, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	answer, err := c.request(asking, "query", subject, data, settings.Header())
	if err != nil {
		return nil, err
	}
	settings.Hear(answer.Header)
	if binding.Lookup(answer.Header, HeaderObject) == nil {
		return io.NopCloser(bytes.NewReader(answer.Data)), nil
	}
	return c.open(ctx, answer)
}

// request sends a request, with the trace of ctx in addition to its headers, and waits for the answer. An answer that is an error is returned as that.
func (c *Client) request(ctx context.Context, what, subject string, data []byte, header nats.Header) (*nats.Msg, error) {
	msg := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
	maps.Copy(msg.Header, header)
	tracing.Propagator.Inject(ctx, delivery.Header(msg.Header))
	answer, err := c.js.Conn().RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, subject, err)
	}
	return answer, answerError(answer)
}

// answerError returns the error that an answer is, or nil.
func answerError(answer *nats.Msg) error {
	values := binding.Lookup(answer.Header, HeaderErrorCode)
	if len(values) == 0 {
		return nil
	}
	status, err := strconv.Atoi(values[0])
	if err != nil {
		status = 0
	}
	var e Error
	if json.Unmarshal(answer.Data, &e) != nil || e.Code == "" { // not by this contract, but it says something
		e = Error{Code: CodeUnavailable, Message: strings.Join(binding.Lookup(answer.Header, HeaderError), " ")}
		if status >= 400 && status < 500 {
			e.Code = CodeRefused
		}
		e.Message = cmp.Or(e.Message, "no text")
	}
	e.Status = status
	return &e
}

// open returns the object that an answer refers to.
func (c *Client) open(ctx context.Context, answer *nats.Msg) (io.ReadCloser, error) {
	var body struct {
		Object ObjectRef `json:"object"`
	}
	if err := json.Unmarshal(answer.Data, &body); err != nil || body.Object.Bucket == "" || body.Object.Name == "" {
		return nil, fmt.Errorf("the answer refers to an object, but does not name it: %w",
			cmp.Or(err, errors.New("bucket or name is empty")))
	}
	return stored.OpenObject(ctx, c.js, body.Object.Bucket, body.Object.Name)
}
