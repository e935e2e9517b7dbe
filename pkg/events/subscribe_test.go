package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const stateChanged = "factro.event.acme.task.8d3f6c1e.TaskStateChanged"

// subscriber runs a subscription and collects what it gets.
type subscriber struct {
	got  chan events.Event
	done chan error
	stop context.CancelFunc
}

// subscribe begins with all that the stream has, so that no test has to know when the subscription is there. The verdict
// is nil unless the test gives another.
func subscribe(t *testing.T, b *broker, verdict func(events.Event) error, opts ...events.SubscribeOption) *subscriber {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &subscriber{got: make(chan events.Event, 64), done: make(chan error, 1), stop: cancel}
	go func() {
		s.done <- events.Subscribe(ctx, b.js, prefix.EventFilter("acme", "task", events.Any, "TaskStateChanged"),
			func(_ context.Context, e events.Event) error {
				s.got <- e
				if verdict == nil {
					return nil
				}
				return verdict(e)
			}, append([]events.SubscribeOption{events.Since(time.Time{})}, opts...)...)
	}()
	t.Cleanup(func() { cancel(); <-s.done })
	return s
}

// next returns the ids of the next n events.
func (s *subscriber) next(t *testing.T, n int) []string {
	t.Helper()
	var ids []string
	for range n {
		select {
		case e := <-s.got:
			ids = append(ids, e.CloudEvent.ID())
		case err := <-s.done:
			s.done <- err
			t.Fatalf("the subscription ended after %v: %v", ids, err)
		}
	}
	return ids
}

func (s *subscriber) want(t *testing.T, want ...string) {
	t.Helper()
	if got := s.next(t, len(want)); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	s := subscribe(t, b, nil)
	b.publish(t, "factro.event.acme.task.8d3f6c1e.TaskCreated", "another action")
	b.publish(t, stateChanged, "größe")
	b.publish(t, "factro.event.acme.task._.TaskStateChanged", "2")
	first := <-s.got
	for what, pair := range map[string][2]any{
		"id":         {first.CloudEvent.ID(), "größe"},
		"subject":    {first.Subject, stateChanged},
		"cloud":      {first.Cloud, "acme"},
		"resource":   {first.Resource, "task"},
		"entity":     {first.EntityID, "8d3f6c1e"},
		"action":     {first.Action, "TaskStateChanged"},
		"deliveries": {first.Deliveries, uint64(1)},
		"sequence":   {first.Sequence, uint64(2)},
		"data":       {string(first.Data()), `{"action":"TaskStateChanged"}`},
		"header":     {first.Header.Get("ce-specversion"), "1.0"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
	var body struct{ Action string }
	if err := first.Decode(&body); err != nil || body.Action != "TaskStateChanged" || first.Stored.IsZero() {
		t.Errorf("got %+v, %v, stored at %v", body, err, first.Stored)
	}
	if second := <-s.got; second.EntityID != "8d3f6c1e" { // the true one, from the event
		t.Errorf("got the entity %q", second.EntityID)
	}
	marked := taskEvent()
	marked.DataEncoded = append([]byte("\ufeff"), marked.DataEncoded...)
	msg, err := events.ToMsg(stateChanged, marked)
	if err != nil {
		t.Fatal(err)
	}
	b.store(t, msg)
	body.Action = ""
	if e := <-s.got; e.Decode(&body) != nil || body.Action != "TaskStateChanged" || !strings.HasPrefix(string(e.Data()), "\ufeff{") {
		t.Errorf("with a byte order mark: got %+v of %q", body, e.Data())
	}
	if _, err := first.Result(); !contains(err, "none of a result") {
		t.Errorf("got %v", err)
	}
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("the end of the context is not the end: %v", err)
	}
	s.done <- nil
	names := b.consumers(t, prefix.EventStream("acme"))
	if len(names) != 0 {
		t.Errorf("consumers are left: %v", names)
	}
}

func (b *broker) consumers(t *testing.T, stream string) []string {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range s.ConsumerNames(t.Context()).Name() {
		names = append(names, name)
	}
	return names
}

// TestVerdicts: a retried event keeps the others waiting, a rejected one does not come again.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	failure := errors.New("not now")
	s := subscribe(t, b, func(e events.Event) error {
		switch {
		case e.CloudEvent.ID() == "reject":
			return fmt.Errorf("handle: %w", events.Reject(failure))
		case e.Deliveries > 2:
			return nil
		case e.CloudEvent.ID() == "retry":
			return fmt.Errorf("handle: %w", events.Retry(failure, 10*time.Millisecond))
		case e.CloudEvent.ID() == "other":
			return failure
		}
		return nil
	})
	for _, id := range []string{"retry", "reject", "other", "last"} {
		b.publish(t, stateChanged, id)
	}
	s.want(t, "retry", "retry", "retry", "reject", "other", "other", "other", "last")
}

func TestVerdictsAreErrors(t *testing.T) {
	t.Parallel()
	if again, never := events.Retry(nil, time.Second), events.Reject(nil); again != nil || never != nil {
		t.Errorf("of no error: got %v, %v", again, never)
	}
	failure := errors.New("größe")
	for _, err := range []error{events.Retry(failure, time.Second), events.Reject(failure)} {
		if !errors.Is(err, failure) || err.Error() != "größe" {
			t.Errorf("got %v", err)
		}
	}
}

// TestPoison: what is no event is reported and does not hold up the others.
func TestPoison(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	type unreadable struct {
		e   events.Event
		err error
	}
	reported := make(chan unreadable, 4)
	s := subscribe(t, b, nil, events.OnUnreadable(func(_ context.Context, e events.Event, err error) {
		reported <- unreadable{e, err}
	}))
	b.store(t, &nats.Msg{Subject: stateChanged, Data: []byte("plain")})
	b.store(t, &nats.Msg{Subject: stateChanged, Header: nats.Header{"ce-id": {"x"}}})
	b.publish(t, stateChanged, "good")
	s.want(t, "good")
	first, second := <-reported, <-reported
	if !errors.Is(first.err, events.ErrPlain) || string(first.e.Data()) != "plain" || first.e.EntityID != "8d3f6c1e" || first.e.Sequence != 1 {
		t.Errorf("got %+v", first)
	}
	if !contains(second.err, "ce-specversion is missing") || second.e.Sequence != 2 {
		t.Errorf("got %+v", second)
	}
	if len(reported) != 0 {
		t.Errorf("it came again: %+v", <-reported)
	}
}

// TestDurable: the place is kept over restarts of the subscriber and of the broker.
func TestDurable(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	for _, id := range []string{"1", "2"} {
		b.publish(t, stateChanged, id)
	}
	s := subscribe(t, b, nil, events.Durable("billing"))
	s.want(t, "1", "2")
	b.settled(t)
	s.stop()
	b.publish(t, stateChanged, "3")
	again := subscribe(t, b, nil, events.Durable("billing"))
	again.want(t, "3")
	b.restart(t, func() {})
	b.publish(t, stateChanged, "4")
	if ids := again.next(t, 1); ids[0] == "3" { // if its acknowledgement was on the way
		again.want(t, "4")
	} else if ids[0] != "4" {
		t.Errorf("got %v", ids)
	}
}

// settled waits until the consumer billing has a verdict about all events.
func (b *broker) settled(t *testing.T) {
	t.Helper()
	for {
		c, err := b.js.Consumer(t.Context(), prefix.EventStream("acme"), "billing")
		if err != nil {
			t.Fatal(err)
		}
		if info := c.CachedInfo(); info.NumPending == 0 && info.NumAckPending == 0 {
			return
		}
	}
}

func TestDurableDiffers(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	for name, cfg := range map[string]jetstream.ConsumerConfig{
		"filter": {FilterSubject: "factro.event.acme.>", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1},
		"none":   {FilterSubject: prefix.EventFilter("acme", "task", "*", "TaskStateChanged"), AckPolicy: jetstream.AckNonePolicy},
		"many":   {FilterSubject: prefix.EventFilter("acme", "task", "*", "TaskStateChanged"), AckPolicy: jetstream.AckExplicitPolicy},
	} {
		cfg.Durable = name
		if _, err := b.js.CreateConsumer(t.Context(), prefix.EventStream("acme"), cfg); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"filter": "has the filter [factro.event.acme.>], want factro.event.acme.task.*.TaskStateChanged",
		"none":   "has the ack policy AckNone, want AckExplicit",
		"many":   "has a MaxAckPending of 1000, want 1",
	} {
		if err := <-subscribe(t, b, nil, events.Durable(name)).ended(); !contains(err, want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	many := []events.SubscribeOption{events.Durable("many"), events.InFlight(1000)}
	if err := <-subscribe(t, b, nil, many...).ended(); !contains(err, "has a MaxWaiting of 512, want 1000") {
		t.Errorf("got %v", err)
	}
	if err := <-subscribe(t, b, nil, events.InFlight(1025)).ended(); !contains(err, "1025 events in flight, want at most 1024") {
		t.Errorf("got %v", err)
	}
	if err := <-subscribe(t, b, nil, events.Durable("a.b")).ended(); !errors.Is(err, jetstream.ErrInvalidConsumerName) {
		t.Errorf("got %v", err)
	}
}

// ended is done, with a word left for the cleanup.
func (s *subscriber) ended() <-chan error {
	err := <-s.done
	s.done <- nil
	out := make(chan error, 1)
	out <- err
	return out
}

func TestSubscribeRefuses(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	for filter, want := range map[string]string{
		"factro.command.acme.>":     "want <prefix>.event",
		"":                          "want <prefix>.event",
		">":                         "want <prefix>.event",
		"other.event.acme.>":        "stream not found",
		"factro.event.>":            "subscribe once for each cloud",
		"factro.event.*.task.*.*":   "subscribe once for each cloud",
		"factro.result.*.task.*.*":  "subscribe once for each cloud",
		"factro.dead.command.*.*.*": "subscribe once for each cloud",
		"factro.dead.>":             "subscribe once for each cloud",
		"factro.dead.command":       "subscribe once for each cloud",
		"factro.event.Acme.>":       "is not of the form",
	} {
		err := events.Subscribe(t.Context(), b.js, filter, func(context.Context, events.Event) error { return nil })
		if !contains(err, want) {
			t.Errorf("%s: got %v, want %s", filter, err, want)
		}
	}
	b.nc.Close()
	err := events.Subscribe(t.Context(), b.js, "factro.event.acme.>", func(context.Context, events.Event) error { return nil })
	if !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %v", err)
	}
}

// TestOverRestart: the handler runs while the broker goes away, and nothing that comes later is lost. The consumer is
// an ephemeral one.
func TestOverRestart(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	begun, goOn := make(chan struct{}, 8), make(chan struct{})
	s := subscribe(t, b, func(events.Event) error {
		begun <- struct{}{}
		<-goOn
		return nil
	})
	b.publish(t, stateChanged, "1")
	<-begun
	b.restart(t, func() {})
	close(goOn)
	for _, id := range []string{"2", "3"} {
		b.publish(t, stateChanged, id)
	}
	var ids []string
	for !slices.Contains(ids, "3") {
		ids = append(ids, s.next(t, 1)...)
	}
	if got := strings.Join(slices.Compact(ids), " "); got != "1 2 3" {
		t.Errorf("got %v", ids)
	}
}

// TestConsumerDeleted: another consumer goes on where the last one was, with the event that had no verdict.
func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]events.SubscribeOption{
		"ephemeral": nil, "durable": {events.Durable("billing")}, "many in flight": {events.InFlight(3)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t)
			for _, id := range []string{"1", "2"} {
				b.publish(t, stateChanged, id)
			}
			var tried atomic.Bool
			s := subscribe(t, b, func(e events.Event) error {
				if e.CloudEvent.ID() == "2" && tried.CompareAndSwap(false, true) {
					consumers := b.consumers(t, prefix.EventStream("acme"))
					if err := b.js.DeleteConsumer(t.Context(), prefix.EventStream("acme"), consumers[0]); err != nil {
						t.Error(err)
					}
					return errors.New("not now")
				}
				return nil
			}, opts...)
			b.publish(t, stateChanged, "3")
			ids := map[string]int{}
			for ids["3"] == 0 || ids["2"] < 2 {
				ids[s.next(t, 1)[0]]++
			}
			if len(opts) == 0 && (ids["1"] != 1 || ids["3"] != 1) {
				t.Errorf("got %v", ids)
			}
		})
	}
}

// TestStreamCreatedAgain: the new stream counts from one again, and has come further than the old one before it is looked at.
func TestStreamCreatedAgain(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	relayed := b.relay(t)
	s := subscribe(t, relayed.b, nil, events.Durable("billing"))
	for _, id := range []string{"1", "2", "3"} {
		b.publish(t, stateChanged, id)
	}
	s.want(t, "1", "2", "3")
	b.settled(t)
	old, err := b.js.Stream(t.Context(), prefix.EventStream("acme"))
	if err != nil {
		t.Fatal(err)
	}
	b.waiting(t, "billing", 1) // else nobody knows that it is gone
	relayed.hold("$JS.API.")
	if err := b.js.DeleteStream(t.Context(), prefix.EventStream("acme")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.CreateStream(t.Context(), old.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"new 1", "new 2", "new 3", "new 4", "new 5"} {
		b.publish(t, stateChanged, id)
	}
	relayed.release()
	s.want(t, "new 1", "new 2", "new 3", "new 4", "new 5")
}

// TestInFlight has three handlers wait for each other.
func TestInFlight(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	var waiting atomic.Int32
	all := make(chan struct{})
	s := subscribe(t, b, func(events.Event) error {
		if waiting.Add(1) == 3 {
			close(all)
		}
		<-all
		return nil
	}, events.InFlight(3))
	for _, id := range []string{"1", "2", "3"} {
		b.publish(t, stateChanged, id)
	}
	ids := s.next(t, 3)
	<-all
	if slices.Sort(ids); !slices.Equal(ids, []string{"1", "2", "3"}) {
		t.Errorf("got %v", ids)
	}
}

// TestInterrupted: an event whose handler was cut short by the end of the subscription comes again at once.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	b.publish(t, stateChanged, "1")
	ctx, cancel := context.WithCancel(t.Context())
	filter := prefix.EventFilter("acme", "task", events.Any, "TaskStateChanged")
	err := events.Subscribe(ctx, b.js, filter, func(ctx context.Context, _ events.Event) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}, events.Durable("billing"), events.Since(time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	s := subscribe(t, b, nil, events.Durable("billing"))
	if e := <-s.got; e.CloudEvent.ID() != "1" || e.Deliveries != 2 {
		t.Errorf("got %s the %d. time", e.CloudEvent.ID(), e.Deliveries)
	}
}

// TestRenewed: an event that is long in progress stays there. The handler ends when the broker knew so for longer than it
// would have waited, and somebody else who asks does not get it.
func TestRenewed(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	if _, err := b.js.CreateConsumer(t.Context(), prefix.EventStream("acme"), jetstream.ConsumerConfig{
		Durable: "billing", FilterSubject: prefix.EventFilter("acme", "task", events.Any, "TaskStateChanged"),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 500 * time.Millisecond, MaxAckPending: 1,
	}); err != nil {
		t.Fatal(err)
	}
	signs := make(chan *nats.Msg, 64)
	if _, err := b.nc.ChanSubscribe("$JS.ACK."+prefix.EventStream("acme")+".billing.>", signs); err != nil {
		t.Fatal(err)
	}
	var inFlight atomic.Int32
	hold := func(e events.Event) error {
		if inFlight.Add(1) > 1 || e.Deliveries > 1 {
			t.Errorf("%s was delivered %d times", e.CloudEvent.ID(), e.Deliveries)
		}
		defer inFlight.Add(-1)
		for range 5 { // one every third of the time that the broker waits
			if m := <-signs; string(m.Data) != "+WPI" {
				t.Errorf("got %s", m.Data)
			}
		}
		return nil
	}
	first := subscribe(t, b, hold, events.Durable("billing"))
	second := subscribe(t, b, hold, events.Durable("billing"))
	b.publish(t, stateChanged, "1")
	select {
	case <-first.got:
	case <-second.got:
	}
	b.settled(t)
	if n := len(first.got) + len(second.got); n != 0 {
		t.Errorf("it came %d times more", n)
	}
}

// TestSubscribeFromNow leaves out what was there before.
func TestSubscribeFromNow(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	b.publish(t, stateChanged, "old")
	got := make(chan string, 8)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- events.Subscribe(ctx, b.js, stateChanged, func(_ context.Context, e events.Event) error {
			got <- e.CloudEvent.ID()
			return nil
		})
	}()
	for len(b.consumers(t, prefix.EventStream("acme"))) == 0 { //nolint:revive // until the subscription is there
	}
	b.publish(t, stateChanged, "new")
	if id := <-got; id != "new" {
		t.Errorf("got %s", id)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestSubscribeToResults and to dead letters; one of them is no event at all.
func TestSubscribeToResults(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(refused))
	if _, err := c.Do(t.Context(), setState, events.WithID("x")); err == nil {
		t.Fatal("want an error")
	}
	e := f.b.first(t, prefix.ResultFilter("acme", events.Any, events.Any, events.Rejected))
	r, err := e.Result()
	if err != nil || r.Status != 403 || e.Action != "setTaskState" || e.Resource != "task" || e.Cloud != "acme" || e.EntityID != "" {
		t.Errorf("got %+v, %v of %+v", r, err, e)
	}

	f.b.store(t, &nats.Msg{
		Subject: prefix.DeadCommand("acme", "task", "createTask"), Data: []byte("half a comm"),
		Header: nats.Header{events.HeaderDeadCode: {events.CodeInvalid}},
	})
	e = f.b.first(t, prefix.DeadCommandFilter("acme", events.Any, events.Any))
	if string(e.Data()) != "half a comm" || e.Header.Get(events.HeaderDeadCode) != "invalid" || e.Action != "createTask" || e.CloudEvent.ID() != "" {
		t.Errorf("got %+v", e)
	}
	f.b.store(t, &nats.Msg{Subject: prefix.DeadWebhook("acme"), Data: []byte("half a body")})
	if e = f.b.first(t, prefix.DeadWebhook("acme")); string(e.Data()) != "half a body" || e.Cloud != "acme" || e.Action != "" {
		t.Errorf("got %+v", e)
	}
}

// first returns the first message that a filter matches.
func (b *broker) first(t *testing.T, filter string) events.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got events.Event
	err := events.Subscribe(ctx, b.js, filter, func(_ context.Context, e events.Event) error {
		got = e
		cancel()
		return nil
	}, events.Since(time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	return got
}
