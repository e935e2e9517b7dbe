package await

import (
	"context"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/stored"
)

const (
	// resultsAtOnce bounds how many results are fetched together.
	resultsAtOnce = 64
	// quietMost is after how many empty reads the reading starts over.
	quietMost = 20
	// slowest is how long the stream of results is left alone at most, while somebody waits for what it gets.
	slowest = 5 * time.Second

	// skew is by how much the clocks of a broker's nodes may differ, and more.
	skew = 5 * time.Second
	// unknownSkew is by how much our clock may differ from the broker's, when we may not ask for its time.
	unknownSkew = 10 * time.Minute
	// duplicates is how long the bridge's streams recognise a message id, unless an operator has chosen more.
	duplicates = 10 * time.Minute
)

// Candidate is an event that may be a result of the command.
type Candidate struct {
	// Subject is that of the stream of results, or "" for a copy.
	Subject string
	Header  nats.Header
	Event   event.Event
}

// Results are the results of one command.
type Results struct {
	JS jetstream.JetStream
	// Commands and Stream are the streams of commands and of results, and Filter is what the subjects of the latter match.
	Commands, Stream, Filter string
	// Sent is when the command was sent, by our clock.
	Sent time.Time
	// Duplicate says that the stream of commands has another message instead, mostly the same command. Its result may be there
	// already.
	Duplicate bool

	// from is what since has found out, or zero.
	from time.Time
}

// Read hands over what comes into the stream and may be a result, until ctx ends. It makes no consumer.
func (r *Results) Read(ctx context.Context, out chan<- Candidate) {
	reader := stored.Reader{JS: r.JS, Stream: r.Stream}
	req := stored.Request{NextFor: r.Filter, Batch: resultsAtOnce}
	for quiet := 0; ctx.Err() == nil; {
		if req.Seq == 0 || quiet == quietMost { // perhaps it is another stream by now, which begins with 1 again
			quiet, req.Seq = 0, 0
			since := r.since(ctx)
			req.StartTime = &since
		}
		got, err := reader.Get(ctx, req)
		if err != nil { // nothing yet, or nobody answers: it is tried again as long as somebody waits
			delivery.Pause(ctx, min(delivery.Backoff(quiet), slowest))
			quiet++
			continue
		}
		quiet = 0
		for _, m := range got {
			req.Seq, req.StartTime = m.Sequence+1, nil
			e, err := binding.FromMsg(m.Header, m.Data)
			if err != nil {
				continue
			}
			select {
			case out <- Candidate{m.Subject, m.Header, e}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// since is the time, on the broker's clock, from which the result may be in the stream: since the command was sent, or,
// if it was sent before, since the stream has recognised its id.
func (r *Results) since(ctx context.Context) time.Time {
	if !r.from.IsZero() {
		return r.from
	}
	since, window, known := r.Sent, duplicates, 0
	for _, name := range []string{r.Commands, r.Stream} {
		once, cancel := context.WithTimeout(ctx, delivery.AttemptTimeout)
		stream, err := r.JS.Stream(once, name)
		cancel()
		if err != nil { // perhaps we may not ask: then our own clock has to do
			continue
		}
		known++
		info := stream.CachedInfo()
		since = info.TimeStamp.Add(-time.Since(r.Sent))
		window = max(window, info.Config.Duplicates)
	}
	if r.Duplicate {
		since = since.Add(-window)
	}
	if known == 0 {
		since = since.Add(-unknownSkew)
	}
	since = since.Add(-skew)
	if known == 2 {
		r.from = since
	}
	return since
}
