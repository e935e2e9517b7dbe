package events_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// waiting waits until a consumer has so many requests for an event.
func (b *broker) waiting(t *testing.T, name string, n int) {
	t.Helper()
	for waiting := -1; waiting < n; {
		if consumer, err := b.js.Consumer(t.Context(), prefix.EventStream("acme"), name); err == nil {
			waiting = consumer.CachedInfo().NumWaiting
		}
	}
}

// TestRetryIsSentOnce: the broker's answer to the verdict is late, and somebody else has the event by then.
func TestRetryIsSentOnce(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	seen := make(chan *nats.Msg, 256)
	for _, subject := range []string{"$JS.ACK." + prefix.EventStream("acme") + ".billing.>", "$JS.API.CONSUMER.MSG.NEXT." + prefix.EventStream("acme") + ".billing"} {
		if _, err := b.nc.ChanSubscribe(subject, seen); err != nil {
			t.Fatal(err)
		}
	}
	js, hold, release := b.slowAnswers(t, "FIRST")
	goOn, end := make(chan struct{}), make(chan struct{})
	first := subscribe(t, &broker{js: js}, func(e events.Event) error {
		if e.Deliveries > 1 {
			t.Errorf("it came %d times", e.Deliveries)
		}
		<-goOn
		return events.Retry(errors.New("not here"), 0)
	}, events.Durable("billing"))
	b.publish(t, stateChanged, "1")
	first.want(t, "1")
	second := subscribe(t, b, func(events.Event) error { <-end; return nil }, events.Durable("billing"))
	hold()
	close(goOn)
	second.want(t, "1")
	naks, asks := 0, false
	for !asks { // until the first one asks for another event
		m := <-seen
		mine := strings.HasPrefix(m.Reply, "FIRST.")
		if mine && strings.HasPrefix(string(m.Data), "-NAK") {
			naks++
		}
		asks = mine && naks > 0 && strings.HasPrefix(m.Subject, "$JS.API.")
	}
	if naks != 1 {
		t.Errorf("it was sent %d times", naks)
	}
	release()
	close(end)
	b.settled(t)
}

// TestSlowHandler: a lost consumer is followed by another while a handler runs, which keeps its event.
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	goOn := make(chan struct{})
	var inFlight, most atomic.Int32
	s := subscribe(t, b, func(e events.Event) error {
		if n := inFlight.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer inFlight.Add(-1)
		if e.CloudEvent.ID() == "1" {
			<-goOn
		}
		return nil
	}, events.InFlight(2), events.Durable("billing"))
	b.publish(t, stateChanged, "1")
	s.want(t, "1")
	for _, id := range []string{"2", "3"} {
		b.waiting(t, "billing", 1) // else nobody knows that it is gone
		if err := b.js.DeleteConsumer(t.Context(), prefix.EventStream("acme"), "billing"); err != nil {
			t.Fatal(err)
		}
		b.publish(t, stateChanged, id)
		for s.next(t, 1)[0] != id { //nolint:revive // what had a verdict just before may come again
		}
	}
	close(goOn)
	b.settled(t) // the verdict is about the delivery of the last consumer
	for len(s.got) > 0 {
		if e := <-s.got; e.CloudEvent.ID() == "1" {
			t.Error("it was handled a second time")
		}
	}
	if most.Load() > 2 {
		t.Errorf("%d were handled at once", most.Load())
	}
}

// TestSharedInFlight: a program that knows nothing of an event that another one holds creates the lost consumer again.
func TestSharedInFlight(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	opts := []events.SubscribeOption{events.Durable("billing"), events.InFlight(2)}
	goOn := make(chan struct{})
	defer close(goOn)
	relayed := b.relay(t)
	first := subscribe(t, relayed.b, func(e events.Event) error {
		if e.CloudEvent.ID() == "1" {
			<-goOn
		}
		return errors.New("not here")
	}, opts...)
	b.publish(t, stateChanged, "1")
	first.want(t, "1")
	relayed.hold("$JS.API.") // it is slow, so that the other one is faster
	second := subscribe(t, b, nil, opts...)
	for i := 2; i < 8; i++ {
		b.publish(t, stateChanged, fmt.Sprint(i))
	}
	for second.next(t, 1)[0] != "7" { //nolint:revive // until it is far ahead
	}
	b.waiting(t, "billing", 2) // one of them may be the first one's
	if err := b.js.DeleteConsumer(t.Context(), prefix.EventStream("acme"), "billing"); err != nil {
		t.Fatal(err)
	}
	for second.next(t, 1)[0] != "1" { //nolint:revive // until it has what the first one holds
	}
}

// TestLook: what the broker was asked about does not come again.
func TestLook(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	relayed := b.relay(t)
	s := subscribe(t, relayed.b, nil, events.InFlight(2), events.Durable("billing"), events.SyncEvery(time.Millisecond))
	for _, id := range []string{"1", "2", "3"} {
		b.publish(t, stateChanged, id)
	}
	s.next(t, 3)
	b.settled(t)
	for len(relayed.seen) > 0 {
		<-relayed.seen
	}
	for range 3 { // the first may have been under way, the third says that the second was answered
		relayed.until("$JS.API.CONSUMER.INFO.")
	}
	b.waiting(t, "billing", 1)
	if err := b.js.DeleteConsumer(t.Context(), prefix.EventStream("acme"), "billing"); err != nil {
		t.Fatal(err)
	}
	b.publish(t, stateChanged, "4")
	s.want(t, "4")
}

// TestManyInFlight: the broker takes the requests of all.
func TestManyInFlight(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	s := subscribe(t, b, nil, events.Durable("billing"), events.InFlight(600))
	b.waiting(t, "billing", 600)
	b.publish(t, stateChanged, "1")
	s.want(t, "1")
}

// TestMayNotAsk: who has no right to ask for the stream gets its events.
func TestMayNotAsk(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	b.publish(t, stateChanged, "1")
	b.restart(t, func() {
		b.Options.NoAuthUser = "all"
		b.Options.Users = []*server.User{{Username: "all"}, {Username: "few", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.INFO.>"}},
		}}}
	})
	_, js := b.Connect(t, nats.UserInfo("few", ""), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	subscribe(t, &broker{js: js}, nil).want(t, "1")
}
