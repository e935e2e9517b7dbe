package queries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// StatusReporter reports what a process knows about why commands wait.
type StatusReporter interface {
	Status() status.Status
}

// placer is a StatusReporter that also knows the places of the commands, if this bridge is the one that works on them.
type placer interface {
	// Place is the state of a command by its sequence, and how many are likely to go before it. known is false if this bridge does
	// not know the command; works is whether it works on the cloud's commands.
	Place(sequence uint64) (state status.CommandState, before uint64, known, works bool)
}

// delayer is a StatusReporter that also knows the commands which wait for their notbefore.
type delayer interface {
	Delayed(ctx context.Context, source, id string) (until time.Time, found bool)
}

const (
	// maxStatus bounds the status requests of a cloud that are in flight at once. Whoever gets no answer asks again.
	maxStatus = 64
	// statusWait bounds how long the broker may take to describe the queue of commands.
	statusWait = time.Second
)

// Several bridges of a cloud receive each request, and the requester uses the first answer; across accounts it receives no
// other. So a bridge that knows less lets the others go first. The one that has the command in flight answers at once, and
// of those that have none the ones that could start it. The delays are far above what an answer takes inside a cluster.
const (
	blockedDelay   = 150 * time.Millisecond // we cannot call factro; another bridge perhaps can
	elsewhereDelay = 300 * time.Millisecond // another bridge has the command in flight
)

// ServeStatus answers the requests why the commands of a cloud wait, until ctx ends.
func ServeStatus(ctx context.Context, conn Conn, cloud string, reporter StatusReporter, log *slog.Logger) error {
	cfg := conn.Settings()
	replies, err := publish.RequestReplies(cloud, "status", cfg.ReplyPrefixes, log)
	if err != nil {
		return err
	}
	d := &statusServer{
		nc: conn.NATS(), js: conn.JetStream(), stream: cfg.Prefix.CommandStream(cloud),
		cloud: cloud, reporter: reporter, replies: replies, log: log, slots: make(chan struct{}, maxStatus),
	}
	subject := cfg.Prefix.Status(cloud)
	sub, err := d.nc.Subscribe(subject, func(msg *nats.Msg) { d.accept(ctx, msg) })
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	<-ctx.Done()
	return drain([]*nats.Subscription{sub}, &d.inFlight)
}

// statusServer answers the requests about one cloud's commands.
type statusServer struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	stream   string // of the commands
	cloud    string
	reporter StatusReporter
	replies  *publish.Replies
	log      *slog.Logger
	slots    chan struct{} // bounds the requests in flight
	inFlight sync.WaitGroup

	mu      sync.Mutex
	queue   *jetstream.ConsumerInfo // what the broker answered last, nil if it did not
	checked time.Time               // when it was asked
}

func (d *statusServer) accept(ctx context.Context, msg *nats.Msg) {
	if msg.Reply == "" || !d.replies.Allow(ctx, msg.Reply, "") {
		return
	}
	select {
	case d.slots <- struct{}{}:
	default:
		return
	}
	d.inFlight.Go(func() {
		defer func() { <-d.slots }()
		reply := d.answer(ctx, msg.Data).message()
		reply.Subject = msg.Reply
		if err := d.nc.PublishMsg(reply); err != nil {
			d.log.DebugContext(ctx, "why commands wait could not be reported", "cloud", d.cloud, "error", err)
		}
	})
}

// answer makes the answer, after the delay that lets better informed bridges go first.
func (d *statusServer) answer(ctx context.Context, data []byte) Answer {
	var ask status.Request
	if len(data) > 0 {
		if err := json.Unmarshal(data, &ask); err != nil {
			return Answer{Status: http.StatusBadRequest, Error: &events.Error{
				Code: events.CodeInvalid, Message: "the question is not of the form {\"position\": \"<stream>:<sequence>\"}",
			}}
		}
	}
	s, delay := d.status(ctx, ask)
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		s, _ = d.status(ctx, ask) // it may have changed by now
	}
	text, err := json.Marshal(s)
	if err != nil {
		return Answer{Status: http.StatusInternalServerError, Error: &events.Error{Code: events.CodeUnavailable, Message: err.Error()}}
	}
	return Answer{Status: http.StatusOK, Data: text}
}

// status is what we know, and how long to let bridges go first that may know more.
func (d *statusServer) status(ctx context.Context, ask status.Request) (s status.Status, delay time.Duration) {
	queue := d.check(ctx)
	s = d.reporter.Status()
	inFlight := s.InFlight != nil
	if queue != nil {
		s.Waiting = new(queue.NumPending + uint64(max(queue.NumAckPending, 0)))
		s.Command, s.Before = place(queue, d.stream, ask.Position)
		works := false
		if p, ok := d.reporter.(placer); ok {
			var known bool
			var state status.CommandState
			var before uint64
			if state, before, known, works = p.Place(sequenceOf(d.stream, ask.Position)); known {
				s.Command, s.Before = state, &before
			}
		}
		if p, ok := d.reporter.(delayer); ok && ask.ID != "" && s.Command == status.CommandSettled {
			if until, found := p.Delayed(ctx, ask.Source, ask.ID); found {
				s.Command, s.NotBefore = status.CommandDelayed, &until
			}
		}
		if !inFlight && !works && queue.NumAckPending > 0 {
			s.InFlight = &status.InFlight{State: status.Elsewhere}
			return s, elsewhereDelay
		}
	}
	if !inFlight && (s.Paused != nil || s.Factro.State == status.Unreachable) {
		return s, blockedDelay
	}
	return s, 0
}

// sequenceOf is the sequence in a position of a stream, 0 if it is none.
func sequenceOf(stream, position string) uint64 {
	in, number, _ := strings.Cut(position, ":")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if in != stream || err != nil {
		return 0
	}
	return sequence
}

// place is the state of a command by its place in the queue, and how many are before it, as far as the broker knows that. A bridge
// takes all commands, and carries them out side by side, so it may be that fewer are before it.
func place(queue *jetstream.ConsumerInfo, stream, position string) (status.CommandState, *uint64) {
	sequence := sequenceOf(stream, position)
	if sequence == 0 {
		return "", nil
	}
	delivered, inFlight := queue.Delivered.Stream, uint64(max(queue.NumAckPending, 0))
	switch {
	case sequence > delivered:
		between := sequence - delivered - 1
		if queue.NumPending > 0 { // what was deleted from the queue does not count
			between = min(between, queue.NumPending-1)
		}
		return status.CommandQueued, new(between + inFlight)
	case inFlight > 0 && sequence > queue.AckFloor.Stream:
		before := min(sequence-queue.AckFloor.Stream-1, inFlight-1)
		if before == 0 {
			return status.CommandInFlight, new(uint64(0))
		}
		return status.CommandQueued, &before
	}
	return status.CommandSettled, nil
}

// check asks the broker for the state of the queue. It returns nil if the broker cannot be asked. Requests that come during
// a check share the next one: the state before a request may be out of date, and another bridge may have a command in
// progress by now.
func (d *statusServer) check(ctx context.Context) *jetstream.ConsumerInfo {
	asked := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checked.After(asked) {
		return d.queue
	}
	attempt, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	d.checked, d.queue = time.Now(), nil
	consumer, err := d.js.Consumer(attempt, d.stream, topology.EgressConsumer(d.cloud))
	if err == nil {
		d.queue = consumer.CachedInfo()
	} else if !errors.Is(err, context.Canceled) {
		d.log.DebugContext(ctx, "the queue of commands cannot be inspected", "cloud", d.cloud, "error", err)
	}
	return d.queue
}
