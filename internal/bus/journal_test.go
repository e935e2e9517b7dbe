package bus

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

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
