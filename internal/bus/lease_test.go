package bus

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// steal writes the entry of a lease without asking for it.
func (o outside) steal(key, holder string) {
	o.t.Helper()
	kv, err := o.js.KeyValue(o.t.Context(), "FACTRO_RECONCILE")
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := kv.PutString(o.t.Context(), key, `{"holder":"`+holder+`"}`); err != nil {
		o.t.Fatal(err)
	}
}

// TestLease: one holder at a time, the next one gets what the last one kept.
func TestLease(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	one, two := run(t, br.connect(t, quiet())), run(t, br.connect(t, quiet()))
	first, err := one.Lease(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if first.Value() != nil {
		t.Errorf("a new lease has the value %s", first.Value())
	}
	taken := make(chan *Lease, 1)
	go func() {
		l, err := two.Lease(t.Context(), "acme")
		if err != nil {
			t.Error(err)
		}
		taken <- l
	}()
	other, err := two.Lease(t.Context(), "beta") // another key is another lease
	if err != nil {
		t.Fatal(err)
	}
	other.Release(t.Context())
	if err := first.Keep(t.Context(), json.RawMessage(`{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := first.Check(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-taken:
		t.Fatal("two have the lease")
	default:
	}
	first.Release(t.Context())
	second := <-taken
	if string(second.Value()) != `{"n":1}` {
		t.Errorf("the next holder got %s", second.Value())
	}
	second.Release(t.Context())
}

// TestLeaseOfADeadHolder: a lease that is not renewed is taken over, and what the old holder writes then is refused.
func TestLeaseOfADeadHolder(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	b := run(t, br.connect(t, quiet()))
	const ttl = 300 * time.Millisecond
	dead, err := b.lease(t.Context(), "acme", ttl)
	if err != nil {
		t.Fatal(err)
	}
	dead.stop() // it renews no more, as if the process stood still
	<-dead.stopped
	next, err := b.lease(t.Context(), "acme", ttl)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release(t.Context())
	if err := next.Keep(t.Context(), json.RawMessage(`"new"`)); err != nil {
		t.Fatal(err)
	}
	if err := dead.Check(t.Context()); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("the old holder checks and gets %v", err)
	}
	if err := dead.Keep(t.Context(), json.RawMessage(`"old"`)); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("the old holder writes and gets %v", err)
	}
	dead.Release(t.Context()) // gives nothing back that is not its own
	if err := next.Check(t.Context()); err != nil || string(next.Value()) != `"new"` {
		t.Errorf("the new holder has %s, %v", next.Value(), err)
	}
}

// TestLeaseIsRenewed: a holder keeps the lease for longer than it holds by itself, also over an outage of the broker.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	b := run(t, br.connect(t, quiet()))
	l, err := b.lease(t.Context(), "acme", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	before := l.revision
	br.stop()
	br.start()
	if err := l.Keep(t.Context(), json.RawMessage(`"after the outage"`)); err != nil {
		t.Fatal(err)
	}
	if l.revision <= before {
		t.Errorf("the revision went from %d to %d", before, l.revision)
	}
	br.outside(t).steal("acme", "somebody")
	if err := l.Keep(t.Context(), nil); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("a stolen lease is kept: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.lease(ctx, "acme", time.Minute); err == nil {
		t.Error("who stopped waiting got the lease of another")
	}
	l.Release(t.Context())
}

// TestEvents: the events of one cloud since a time, and what the stream has lost of them.
func TestEvents(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	b := run(t, br.connect(t, quiet(), clouds("acme", "beta")))
	publish := func(cloud, id string) {
		t.Helper()
		if err := b.Publish(t.Context(), "factro.event."+cloud+".task.x.TaskCreated", taskEvent(t, id), cloud+"."+id); err != nil {
			t.Fatal(err)
		}
	}
	read := func(since time.Time) (ids []string, whole time.Time) {
		t.Helper()
		whole, err := b.Events(t.Context(), "acme", since, func(m Message) { ids = append(ids, m.Event.ID()) })
		if err != nil {
			t.Fatal(err)
		}
		return ids, whole
	}
	ready(t, b)
	if ids, whole := read(time.Time{}); len(ids) != 0 || !whole.IsZero() {
		t.Errorf("an empty stream has %v since %s", ids, whole)
	}
	for _, id := range []string{"1", "2", "3"} {
		publish("acme", id)
		publish("beta", id)
	}
	if ids, whole := read(time.Now().Add(-time.Hour)); len(ids) != 3 || ids[0] != "1" || ids[2] != "3" || !whole.IsZero() {
		t.Errorf("the stream has %v since %s", ids, whole)
	}
	if ids, _ := read(time.Now().Add(time.Hour)); len(ids) != 0 {
		t.Errorf("from tomorrow on the stream has %v", ids)
	}
	s := br.outside(t).stream("FACTRO_EVENTS_ACME")
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(2)); err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ids, whole := read(time.Time{}); len(ids) != 2 || !whole.Equal(info.State.FirstTime) {
		t.Errorf("after a purge the stream has %v since %s", ids, whole)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids, whole := read(time.Time{}); len(ids) != 0 || whole.IsZero() {
		t.Errorf("an emptied stream has %v since %s", ids, whole)
	}
}

// TestReturned: it comes back when the connection does, and the bus knows when it was away.
func TestReturned(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	b := run(t, br.connect(t, quiet()))
	back := make(chan error, 1)
	go func() { back <- b.Returned(t.Context()) }()
	for { // it may not be waiting yet when the broker goes
		br.stop()
		br.start()
		ready(t, b)
		select {
		case err := <-back:
			if err != nil {
				t.Error(err)
			}
			if lost, back := b.Outage(); lost.IsZero() || !lost.Before(back) {
				t.Errorf("the outage was from %s to %s", lost, back)
			}
			return
		default:
		}
	}
}

// TestOutage: a bus that never lost its connection knows of no outage, one that had to wait for its first one knows only the
// end of it, and an outage soon after another is its continuation.
func TestOutage(t *testing.T) {
	t.Parallel()
	br := startBroker(t)
	b := run(t, br.connect(t, quiet()))
	ready(t, b)
	if lost, back := b.Outage(); !lost.IsZero() || !back.IsZero() {
		t.Errorf("without an outage it is from %s to %s", lost, back)
	}
	second := newBroker(t)
	late := second.connect(t, quiet())
	start(t, late.Run)
	second.start()
	ready(t, late)
	if lost, back := late.Outage(); !lost.IsZero() || back.IsZero() {
		t.Errorf("after a late start the outage is from %s to %s", lost, back)
	}
	at := time.Now()
	o := outage{lost: at, back: at.Add(time.Minute)}
	if o.goes(o.back.Add(flapping)); !o.lost.Equal(at) {
		t.Errorf("the outage that goes on began at %s, want %s", o.lost, at)
	}
	if o.goes(o.back.Add(flapping + time.Second)); !o.lost.After(o.back) {
		t.Errorf("a new outage began at %s", o.lost)
	}
}
