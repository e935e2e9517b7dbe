package query

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/text/encoding/unicode"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// AnswerStore keeps answers that no message can hold.
type AnswerStore interface {
	// MaxAnswer is how many bytes of an answer a message can hold.
	MaxAnswer() int
	// Keep stores an answer of a cloud under a name and returns where it is. If it fails, or the content does, nothing is left of it.
	Keep(ctx context.Context, cloud, name string, content io.Reader) (events.ObjectRef, error)
}

// Reader answers the queries of one cloud, any number of them at once. It is a queries.Reader.
type Reader struct {
	api     *coreapi.API
	log     *slog.Logger
	answers AnswerStore
	keys    externalkey.Reads
	mirror  Mirror
	queries *metrics
	flights flights
}

// New builds a reader.
func New(api *coreapi.API, store AnswerStore, external externalkey.Reads, mirror Mirror, log *slog.Logger) (*Reader, error) {
	q, err := newMetrics(api.Cloud())
	return &Reader{api: api, log: log, answers: store, keys: external, mirror: mirror, queries: q}, err
}

// Query answers a query. Equal queries that wait at the same time are one call to factro. One that has been made already
// is joined by nobody: who has heard of a change, by whatever way, is not answered with what was read before it.
func (r *Reader) Query(ctx context.Context, q queries.Query) queries.Answer {
	began := time.Now()
	op, call, named, wrong := r.plan(ctx, q)
	var a queries.Answer
	if wrong != nil {
		a = *wrong
	} else {
		a = r.answer(ctx, q.MaxAge, op, call, named)
	}
	took := time.Since(began)
	r.queries.answered(ctx, op, a.Status, took)
	if a.Error != nil {
		// Not louder: while factro is away, those who ask again and again would fill the log. The metrics tell it, too.
		r.log.DebugContext(ctx, "query not answered", "cloud", r.api.Cloud(), "operation", events.Token(q.Operation),
			"status", a.Status, "code", a.Error.Code, "duration", took.String())
	}
	return a
}

// answer answers a query that can be made: from the mirror, if that is new enough, else from factro.
func (r *Reader) answer(ctx context.Context, maxAge time.Duration, op factro.Operation, call translate.Call, named []keys.Entry) queries.Answer {
	if a, found := r.mirrored(ctx, maxAge, op, call); found {
		return a
	}
	a, shared := r.flights.join(ctx, op.Name+" "+call.Target, func(ctx context.Context, depart func()) queries.Answer {
		return r.read(ctx, depart, op, call)
	})
	trace.SpanFromContext(ctx).SetAttributes(attribute.Bool("factro.query.shared", shared))
	r.free(ctx, a, named)
	return a
}

// plan finds the operation and translates the query, or answers why it cannot be made. named are the external keys whose objects do not
// exist if factro answers 404.
func (r *Reader) plan(ctx context.Context, q queries.Query) (op factro.Operation, call translate.Call, named []keys.Entry, wrong *queries.Answer) {
	op, known := factro.Lookup(q.Operation)
	fail := func(status int, reason *events.Error) (factro.Operation, translate.Call, []keys.Entry, *queries.Answer) {
		return op, translate.Call{}, nil, &queries.Answer{Status: status, Error: reason}
	}
	switch {
	case !known:
		return fail(http.StatusNotFound, &events.Error{
			Code:    events.CodeUnknownOperation,
			Message: fmt.Sprintf("there is no operation %q; bridge contract operations lists them", events.Token(q.Operation)),
		})
	case op.Writes():
		return fail(http.StatusNotFound, &events.Error{
			Code:    events.CodeUnknownOperation,
			Message: op.Name + " writes, so it is no query; send it as a command",
		})
	case op.Resource != q.Resource:
		return fail(http.StatusBadRequest, &events.Error{
			Code:    events.CodeInvalid,
			Message: fmt.Sprintf("%s is an operation on %q, but the subject says %q", op.Name, op.Resource, events.Token(q.Resource)),
		})
	case q.Mistake != nil:
		return fail(http.StatusBadRequest, &events.Error{Code: events.CodeInvalid, Message: q.Mistake.Error()})
	}
	data, named, wrong := r.resolve(ctx, op, q.Data)
	if wrong != nil {
		return op, call, nil, wrong
	}
	call, err := translate.Command(op, data)
	if err != nil {
		return fail(http.StatusBadRequest, coreapi.Mistaken(err))
	}
	return op, call, named, nil
}

// read makes the call for a query.
func (r *Reader) read(ctx context.Context, depart func(), op factro.Operation, call translate.Call) queries.Answer {
	if o := r.api.PausedQueries(ctx); o.Code != "" {
		return held(o)
	}
	key, o := r.api.Acquire(ctx)
	if o.Code != "" {
		return held(o)
	}
	depart()
	ctx, cancel := context.WithTimeout(ctx, coreapi.QueryTimeout)
	defer cancel()
	var a queries.Answer
	got, j := r.api.Exchange(ctx, coreapi.Attempt{Op: op, Number: 1, Take: func(body io.Reader) (err error) {
		a.Data, a.Object, err = r.take(ctx, op, body)
		return err
	}}, call, key)
	switch {
	case got.Unasked():
		return held(coreapi.Obstacle{Code: events.CodeUnavailable, Until: time.Now().Add(time.Second)})
	case j == coreapi.Throttled, j == coreapi.Unauthorized:
		if o := r.api.Obstacle(key); o.Code != "" {
			return held(o)
		}
		// The gate is open all the same, as for a new key: the old one was refused.
		code := events.CodeThrottled
		if j == coreapi.Unauthorized {
			code = events.CodeUnauthorized
		}
		return held(coreapi.Obstacle{Code: code, Until: time.Now().Add(time.Second)})
	case j == coreapi.Refused:
		return queries.Answer{Status: got.Status, Error: got.Refusal()}
	case j != coreapi.Done:
		return queries.Answer{Status: failure(got), Error: &events.Error{
			Code: events.CodeUnavailable, Message: got.Text(), Answer: got.Quoted(),
		}, RetryAfter: got.AskedFor()}
	case got.Ours != nil:
		r.log.WarnContext(ctx, "answer is too large for a message and could not be stored", "cloud", r.api.Cloud(),
			"operation", op.Name, "error", got.Ours)
		return queries.Answer{Status: http.StatusServiceUnavailable, RetryAfter: storeAgain, Error: &events.Error{
			Code: events.CodeUnavailable, Message: "the answer is too large for a message and could not be stored: " + got.Ours.Error(),
		}}
	}
	a.Status = got.Status
	return a
}

// take reads an answer: into memory, if a message can hold it, else as a stream into the answer store.
func (r *Reader) take(ctx context.Context, op factro.Operation, body io.Reader) ([]byte, *events.ObjectRef, error) {
	most := r.answers.MaxAnswer()
	body = unicode.UTF8.NewDecoder().Reader(body) // the answer says that it is JSON
	var begin bytes.Buffer
	n, err := io.Copy(&begin, io.LimitReader(body, int64(most)+1))
	if err != nil {
		return nil, nil, err
	}
	if n <= int64(most) {
		return begin.Bytes(), nil, shape.Check(op, bytes.NewReader(begin.Bytes()))
	}
	name := r.api.Cloud() + "." + op.Name + "." + rand.Text()
	content := shape.Checked(op, io.MultiReader(&begin, body))
	ref, err := r.answers.Keep(ctx, r.api.Cloud(), name, content)
	_ = content.Close() // a pipe's never fails
	if wrong := content.Wrong(); wrong != nil {
		err = wrong
	}
	return nil, &ref, err
}

// held is the answer while factro is not to be called: at once, so that nobody waits for what will not come in time.
func held(o coreapi.Obstacle) queries.Answer {
	var after time.Duration // unknown while an operator has paused the queries
	if !o.Until.IsZero() {
		after = max(time.Until(o.Until), time.Second)
	}
	return queries.Answer{
		Status: map[string]int{
			events.CodeThrottled: http.StatusTooManyRequests, events.CodeUnauthorized: http.StatusUnauthorized,
			events.CodeUnavailable: http.StatusServiceUnavailable, events.CodePaused: http.StatusServiceUnavailable,
		}[o.Code],
		Error: &events.Error{Code: o.Code, Message: o.Message()}, RetryAfter: after,
	}
}

// failure is the status for an answer that is no answer of factro's: as good as a gateway can tell.
func failure(got coreapi.Answer) int {
	switch {
	case got.Silent(), errors.Is(got.Err, context.DeadlineExceeded), got.Status == http.StatusRequestTimeout:
		return http.StatusGatewayTimeout
	case got.Err != nil:
		return http.StatusServiceUnavailable
	case got.Status >= 500:
		return got.Status
	}
	return http.StatusBadGateway // a redirect is no answer of the API's
}
