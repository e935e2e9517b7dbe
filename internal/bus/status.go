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
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// StatusTeller says what a process knows of why commands wait.
type StatusTeller interface {
	Status() events.Status
}

// maxStatus bounds the questions about a cloud's commands that are worked on at once; who is not answered asks again.
const maxStatus = 64

// Several bridges of a cloud hear each question, and an asker takes the first answer; across accounts no other reaches it. So
// who knows less lets others go first: the one that has the command in hand answers at once, and of those that have none the
// ones that would take it. How long they hold back is far above what an answer takes inside a cluster.
const (
	heldUpWaits    = 150 * time.Millisecond // we are kept from calling factro; another bridge may not be
	elsewhereWaits = 300 * time.Millisecond // another bridge has the command in hand
)

// ServeStatus answers the questions why the commands of a cloud wait, until ctx ends.
func (b *Conn) ServeStatus(ctx context.Context, cloud string, teller StatusTeller) error {
	replies, err := newReplies(cloud, "status", append([]string{inboxes, imported}, b.cfg.ReplyPrefixes...), b.log)
	if err != nil {
		return err
	}
	d := &statusDesk{bus: b, cloud: cloud, teller: teller, replies: replies, places: make(chan struct{}, maxStatus)}
	subject := b.cfg.Prefix.Status(cloud)
	sub, err := b.nc.Subscribe(subject, func(msg *nats.Msg) { d.take(ctx, msg) })
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	<-ctx.Done()
	return finish([]*nats.Subscription{sub}, &d.inHand)
}

// statusDesk answers the questions about one cloud's commands.
type statusDesk struct {
	bus     *Conn
	cloud   string
	teller  StatusTeller
	replies *Replies
	places  chan struct{} // bounds the questions in hand
	inHand  sync.WaitGroup

	mu     sync.Mutex
	queue  *jetstream.ConsumerInfo // as it was at the last look, nil if there was none
	looked time.Time               // when that look began
}

func (d *statusDesk) take(ctx context.Context, msg *nats.Msg) {
	if msg.Reply == "" || !d.replies.Allow(ctx, msg.Reply, "") {
		return
	}
	select {
	case d.places <- struct{}{}:
	default:
		return
	}
	d.inHand.Go(func() {
		defer func() { <-d.places }()
		reply := message(d.answer(ctx, msg.Data))
		reply.Subject = msg.Reply
		if err := d.bus.nc.PublishMsg(reply); err != nil {
			d.bus.log.DebugContext(ctx, "why commands wait could not be told", "cloud", d.cloud, "error", err)
		}
	})
}

// answer makes the answer, once it is our turn.
func (d *statusDesk) answer(ctx context.Context, data []byte) Answer {
	var ask events.StatusRequest
	if len(data) > 0 {
		if err := json.Unmarshal(data, &ask); err != nil {
			return Answer{Status: http.StatusBadRequest, Error: &events.Error{
				Code: events.CodeInvalid, Message: "the question is not of the form {\"position\": \"<stream>:<sequence>\"}",
			}}
		}
	}
	s, waits := d.status(ctx, ask.Position)
	if waits > 0 {
		select {
		case <-time.After(waits):
		case <-ctx.Done():
		}
		s, _ = d.status(ctx, ask.Position) // it may be another by now
	}
	text, err := json.Marshal(s)
	if err != nil {
		return Answer{Status: http.StatusInternalServerError, Error: &events.Error{Code: events.CodeUnavailable, Message: err.Error()}}
	}
	return Answer{Status: http.StatusOK, Data: text}
}

// status is what we know, and how long to let others go first who may know more.
func (d *statusDesk) status(ctx context.Context, position string) (s events.Status, waits time.Duration) {
	queue := d.look(ctx)
	s = d.teller.Status()
	inHand := s.InHand != nil
	if queue != nil {
		s.Waiting = new(queue.NumPending + uint64(max(queue.NumAckPending, 0)))
		s.Command, s.Before = place(queue, d.bus.cfg.Prefix.CommandStream(d.cloud), position)
		if !inHand && queue.NumAckPending > 0 {
			s.InHand = &events.InHand{State: events.HandElsewhere}
			return s, elsewhereWaits
		}
	}
	if !inHand && (s.Paused != nil || s.Factro.State == events.Unreachable) {
		return s, heldUpWaits
	}
	return s, 0
}

// place is how far a command is by its place in the queue, and how many are before it.
func place(queue *jetstream.ConsumerInfo, stream, position string) (events.CommandState, *uint64) {
	in, number, _ := strings.Cut(position, ":")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if in != stream || err != nil || sequence == 0 {
		return "", nil
	}
	delivered, taken := queue.Delivered.Stream, uint64(max(queue.NumAckPending, 0))
	switch {
	case sequence > delivered:
		between := sequence - delivered - 1
		if queue.NumPending > 0 { // what was deleted from the queue is not waited for
			between = min(between, queue.NumPending-1)
		}
		return events.CommandQueued, new(between + taken)
	case taken > 0 && sequence > queue.AckFloor.Stream:
		return events.CommandInHand, new(uint64(0))
	}
	return events.CommandSettled, nil
}

// look returns what the broker says of the queue, or nil if it cannot be asked. Questions that come during a look share the next
// one: what was seen before a question may be over, and another bridge may have a command in hand by now.
func (d *statusDesk) look(ctx context.Context) *jetstream.ConsumerInfo {
	asked := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.looked.After(asked) {
		return d.queue
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout/2)
	defer cancel()
	d.looked, d.queue = time.Now(), nil
	consumer, err := d.bus.js.Consumer(attempt, d.bus.cfg.Prefix.CommandStream(d.cloud), topology.EgressConsumer(d.cloud))
	if err == nil {
		d.queue = consumer.CachedInfo()
	} else if !errors.Is(err, context.Canceled) {
		d.bus.log.DebugContext(ctx, "the queue of commands cannot be looked at", "cloud", d.cloud, "error", err)
	}
	return d.queue
}
