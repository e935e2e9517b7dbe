package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// waiter waits for the results of one command, on the inbox that gets copies and in the stream that has them all.
type waiter struct {
	client  *Client
	subject string // the command's
	id      string
	source  string
	order   order
	began   time.Time
	digest  string // of the command's data
	// place is where the command is in its stream, or the message that the stream has instead.
	place    string
	stream   string
	sequence uint64
	// duplicate is that place if the stream has another message instead of the command, or "": mostly it is the same command,
	// and its result may be there, too.
	duplicate string
	// from is what since has found out, or zero.
	from time.Time
	// told are the deferred results that the caller has heard of; they come on both ways.
	told map[string]bool
}

// found is an event of a result, with the subject in the stream, or "" if it is a copy.
type found struct {
	subject string
	header  nats.Header
	event   event.Event
}

func (w *waiter) wait(ctx context.Context, copies <-chan *nats.Msg) (Result, error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	stored := make(chan found)
	begin := make(chan struct{}, 1)
	go func() {
		select {
		case <-begin:
			w.read(reading, stored)
		case <-reading.Done():
		}
	}()
	other := make(chan error, 1)
	if w.duplicate != "" {
		begin <- struct{}{}
		go func() { // while the earlier one waits, it is still in the stream
			if _, err := w.compareStored(reading); err != nil {
				other <- err
			}
		}()
	}
	waits := make(chan news)
	if w.order.onStatus != nil {
		go w.watch(reading, waits)
	}
	nc := w.client.js.Conn()
	closed := nc.StatusChanged(nats.CLOSED)
	defer nc.RemoveStatusListener(closed)
	if nc.IsClosed() { // nobody tells that again
		return Result{}, w.pending(nats.ErrConnectionClosed)
	}
	patience := time.After(w.client.patience)
	for {
		var f found
		select {
		case <-ctx.Done():
			return Result{}, w.pending(ctx.Err())
		case <-closed:
			return Result{}, w.pending(nats.ErrConnectionClosed)
		case <-patience:
			select {
			case begin <- struct{}{}:
			default: // it has begun
			}
			continue
		case msg := <-copies:
			e, err := FromMsg(msg.Header, msg.Data)
			if err != nil { // anybody may write to an inbox
				continue
			}
			f.header, f.event = msg.Header, e
		case f = <-stored:
		case err := <-other:
			return Result{}, err
		case n := <-waits:
			w.order.onStatus(n.status, n.err)
			continue
		}
		r, err := w.judge(f)
		switch {
		case errors.Is(err, errOther):
		case err != nil:
			return Result{}, err
		case r.Outcome.Final():
			w.tell(f, r)
			return r, w.verdict(r)
		case !w.told[string(f.event.Data())]:
			w.told[string(f.event.Data())] = true
			w.tell(f, r)
		}
	}
}

// pending says that there is no final result.
func (w *waiter) pending(err error) error {
	return &PendingError{ID: w.id, Duplicate: w.duplicate != "", Err: err}
}

// tell passes a result on to those who want to hear of each.
func (w *waiter) tell(f found, r Result) {
	if w.order.onDeferred != nil && !r.Outcome.Final() {
		w.order.onDeferred(r)
	}
	if w.order.onResult == nil {
		return
	}
	a, _ := w.client.prefix.ParseCommand(w.subject) // it is of our making
	w.order.onResult(Event{
		CloudEvent: f.event, Subject: w.client.prefix.Result(a.Cloud, a.Resource, a.Operation, r.Outcome), Header: f.header,
		Cloud: a.Cloud, Resource: a.Resource, Action: a.Operation, data: f.event.Data(),
	})
}

// errOther says that a result is not of the command that is waited for.
var errOther = errors.New("result of another command")

// judge returns the result if it is the command's.
func (w *waiter) judge(f found) (Result, error) {
	if !Caused(f.event, w.source, w.id) {
		return Result{}, w.taken(f)
	}
	r, err := ResultOf(f.event)
	if err != nil || r.DryRun != w.order.dryRun {
		return Result{}, errOther
	}
	if r.CommandDigest != "" && r.CommandDigest != w.digest && w.isOperation(f) {
		if place, _ := f.event.Extensions()[attr.CausationPosition].(string); w.duplicate == "" || place != w.duplicate {
			return Result{}, errOther // of an earlier command; what the bridge says of this one follows
		}
		return Result{}, &ReusedError{ID: w.id, Earlier: &r}
	}
	if f.subject == "" {
		return r, nil
	}
	p := w.client.prefix
	a, err := p.ParseResult(f.subject)
	if err != nil {
		return Result{}, errOther
	}
	// The stream knows ids and nothing else, so it takes a new command under an old id for the old one.
	if p.Command(a.Cloud, a.Resource, a.Operation) != w.subject {
		return Result{}, &ReusedError{ID: w.id, Operation: a.Operation, Cloud: a.Cloud, Earlier: &r}
	}
	return r, nil
}

// isOperation says whether a result is of the command's operation, as far as its subject tells.
func (w *waiter) isOperation(f found) bool {
	if f.subject == "" {
		return true
	}
	a, err := w.client.prefix.ParseResult(f.subject)
	return err != nil || w.client.prefix.Command(a.Cloud, a.Resource, a.Operation) == w.subject
}

// taken says whether a result of another command shows that the stream has that one instead of ours: its sender has used our
// message id.
func (w *waiter) taken(f found) error {
	place, _ := f.event.Extensions()[attr.CausationPosition].(string)
	if w.duplicate == "" || f.subject == "" || place != w.duplicate {
		return errOther
	}
	id, _ := f.event.Extensions()[attr.CausationID].(string)
	source, _ := f.event.Extensions()[attr.CausationSource].(string)
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

// read hands over what comes into the stream of results and may be the command's, until ctx ends. It makes no consumer.
func (w *waiter) read(ctx context.Context, out chan<- found) {
	p := w.client.prefix
	address, err := p.ParseCommand(w.subject)
	if err != nil {
		return // it is of our making
	}
	filter := p.ResultFilter(address.Cloud, address.Resource, address.Operation, Any)
	if w.duplicate != "" { // of which command of this cloud, we shall see
		filter = p.ResultFilter(address.Cloud, Any, Any, Any)
	}
	results := storedReader{js: w.client.js, stream: p.ResultStream(address.Cloud)}
	req := getRequest{NextFor: filter, Batch: resultsAtOnce, MaxBytes: bytesAtOnce}
	for quiet := 0; ctx.Err() == nil; {
		if req.Seq == 0 || quiet == quietMost { // perhaps it is another stream by now, which begins with 1 again
			quiet, req.Seq = 0, 0
			since := w.since(ctx)
			req.StartTime = &since
		}
		got, err := results.get(ctx, req)
		if err != nil { // nothing yet, or nobody answers: it is tried again as long as somebody waits
			pause(ctx, min(delivery.Backoff(quiet), slowest))
			quiet++
			continue
		}
		quiet = 0
		for _, m := range got {
			req.Seq, req.StartTime = m.sequence+1, nil
			e, err := FromMsg(m.header, m.data)
			if err != nil {
				continue
			}
			select {
			case out <- found{m.subject, m.header, e}:
			case <-ctx.Done():
				return
			}
		}
	}
}

const (
	// resultsAtOnce bounds how many results are fetched together.
	resultsAtOnce = 64
	// quietMost is after how many times that nothing came the reading begins anew.
	quietMost = 20
	// slowest is how long the stream of results is left alone at most, while somebody waits for what it gets.
	slowest = 5 * time.Second
)

const (
	// skew is by how much the clocks of a broker's nodes may differ, and more.
	skew = 5 * time.Second
	// unknownSkew is by how much our clock may differ from the broker's, of whom we may not ask the time.
	unknownSkew = 10 * time.Minute
	// duplicates is how long the bridge's streams recognise a message id, unless an operator has chosen more.
	duplicates = 10 * time.Minute
)

// since is the time, on the broker's clock, from which the result may be in the stream: since the command was sent, or,
// if it was sent before, since the stream has recognised its id.
func (w *waiter) since(ctx context.Context) time.Time {
	if !w.from.IsZero() {
		return w.from
	}
	since, window, told := w.began, duplicates, 0
	for _, name := range []string{w.client.prefix.CommandStream(w.client.cloud), w.client.prefix.ResultStream(w.client.cloud)} {
		once, cancel := context.WithTimeout(ctx, attemptTimeout)
		stream, err := w.client.js.Stream(once, name)
		cancel()
		if err != nil { // perhaps we may not ask: then our own clock has to do
			continue
		}
		told++
		info := stream.CachedInfo()
		since = info.TimeStamp.Add(-time.Since(w.began))
		window = max(window, info.Config.Duplicates)
	}
	if w.duplicate != "" {
		since = since.Add(-window)
	}
	if told == 0 {
		since = since.Add(-unknownSkew)
	}
	since = since.Add(-skew)
	if told == 2 {
		w.from = since
	}
	return since
}
