package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/await"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/watch"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// waiter waits for the results of one command and judges them.
type waiter struct {
	client  *Client
	prefix  Prefix
	address Address // of the command
	order   order
	digest  string // of the command's data
	// ack says where the command is. If it calls it a duplicate, the stream has another message instead: mostly the same command,
	// whose result may be there, too.
	ack     *jetstream.PubAck
	results await.Results
	// reported are the deferred results that the caller has; they arrive in two ways.
	reported map[string]bool
}

// waiter makes what waits for the results of a command that the stream has.
func (c *Client) waiter(a Address, e event.Event, o order, began time.Time, ack *jetstream.PubAck) *waiter {
	filter := c.prefix.ResultFilter(a.Cloud, a.Resource, a.Operation, Any)
	if ack.Duplicate { // the result says which command it is for
		filter = c.prefix.ResultFilter(a.Cloud, Any, Any, Any)
	}
	return &waiter{
		client: c, prefix: c.prefix, address: a, order: o, digest: identity.CommandDigest(e.Data()), ack: ack, reported: map[string]bool{},
		results: await.Results{
			JS: c.js, Commands: c.prefix.CommandStream(a.Cloud), Stream: c.prefix.ResultStream(a.Cloud), Filter: filter,
			Sent: began, Duplicate: ack.Duplicate,
		},
	}
}

func (w *waiter) wait(ctx context.Context, copies <-chan *nats.Msg) (final Result, verdict error) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	notices := make(chan func() bool)
	notify := func(f func() bool) {
		select {
		case notices <- f:
		case <-waiting.Done():
		}
	}
	if w.ack.Duplicate {
		go func() { // while the earlier one waits, it is still in the stream
			if _, err := w.compareStored(waiting); err != nil {
				notify(func() bool { verdict = err; return true })
			}
		}()
	}
	if w.order.onStatus != nil {
		about := status.Request{Position: position(w.ack), Source: w.order.Source, ID: w.order.ID}
		ask := func(ctx context.Context) (status.Status, error) { return w.client.status(ctx, about) }
		go watch.Status(waiting, ask, func(s status.Status, err error) {
			notify(func() bool { w.order.onStatus(s, err); return false })
		})
	}
	how := await.Wait{Copies: copies, Patience: w.client.patience, Notices: notices}
	if err := w.results.Each(ctx, how, func(c await.Candidate) bool {
		r, err := w.judge(c)
		switch {
		case errors.Is(err, errOther):
		case err != nil:
			verdict = err
			return true
		case r.Outcome.Final():
			w.report(c, r)
			final, verdict = r, w.verdict(r)
			return true
		case !w.reported[string(c.Event.Data())]:
			w.reported[string(c.Event.Data())] = true
			w.report(c, r)
		}
		return false
	}); err != nil {
		return Result{}, &PendingError{ID: w.order.ID, Duplicate: w.ack.Duplicate, Err: err}
	}
	return final, verdict
}

// report passes each result on to the callbacks.
func (w *waiter) report(c await.Candidate, r Result) {
	if w.order.onDeferred != nil && !r.Outcome.Final() {
		w.order.onDeferred(r)
	}
	if w.order.onResult == nil {
		return
	}
	a := w.address
	w.order.onResult(Event{
		CloudEvent: c.Event, Subject: w.prefix.Result(a.Cloud, a.Resource, a.Operation, r.Outcome), Header: c.Header,
		Cloud: a.Cloud, Resource: a.Resource, Action: a.Operation, data: c.Event.Data(),
	})
}

// errOther says that a result is not of the command that is waited for.
var errOther = errors.New("result of another command")

// judge returns the result if it is the command's.
func (w *waiter) judge(c await.Candidate) (Result, error) {
	if !attr.Caused(c.Event.Extensions(), w.order.Source, w.order.ID) {
		return Result{}, w.taken(c)
	}
	r, err := ResultOf(c.Event)
	if err != nil || r.DryRun != w.order.DryRun {
		return Result{}, errOther
	}
	of := w.address
	if c.Subject != "" {
		a, err := w.prefix.ParseResult(c.Subject)
		if err != nil {
			return Result{}, errOther
		}
		of = a.Address
	}
	switch {
	case of != w.address: // the stream knows ids and nothing else, so it takes a new command under an old id for the old one
		return Result{}, &ReusedError{ID: w.order.ID, Operation: of.Operation, Cloud: of.Cloud, Earlier: &r}
	case r.CommandDigest == "" || r.CommandDigest == w.digest:
		return r, nil
	case w.isOfDuplicate(c):
		return Result{}, &ReusedError{ID: w.order.ID, Earlier: &r}
	}
	return Result{}, errOther // of an earlier command; what the bridge says of this one follows
}

// isOfDuplicate says whether a result is of the message that the stream has instead of the command.
func (w *waiter) isOfDuplicate(c await.Candidate) bool {
	return w.ack.Duplicate && c.Event.Extensions()[attr.CausationPosition] == position(w.ack)
}

// taken says whether a result of another command shows that the stream has that one instead of ours: its sender has used our
// message id.
func (w *waiter) taken(c await.Candidate) error {
	if c.Subject == "" || !w.isOfDuplicate(c) {
		return errOther
	}
	id, _ := c.Event.Extensions()[attr.CausationID].(string)
	source, _ := c.Event.Extensions()[attr.CausationSource].(string)
	return takenBy(id, source)
}

// takenBy says that a command of a source, or of a sender that named none, has the message id.
func takenBy(id, source string) error {
	if source == "" {
		source = "a sender that named no source"
	} else {
		source = binding.Quote(source)
	}
	return fmt.Errorf("command not sent: its message id was used before by another command, with the id %s, of %s; choose another id",
		binding.Quote(id), source)
}
