package bus

import (
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// bodyEvent is an event with an id and a body.
func bodyEvent(t testing.TB, id, body string) event.Event {
	t.Helper()
	e := taskEvent(t, id)
	e.DataEncoded = []byte(body)
	return e
}

// bodies returns the bodies of the stored events by the events' ids.
func (o outside) bodiesByID() map[string]string {
	o.t.Helper()
	out := map[string]string{}
	for _, m := range o.events() {
		id := m.Header.Get("ce-id")
		if _, twice := out[id]; twice {
			o.t.Errorf("two events have the id %s", id)
		}
		out[id] = string(m.Data)
	}
	return out
}

func (o outside) wantBodies(want map[string]string) {
	o.t.Helper()
	got := o.bodiesByID()
	if len(got) != len(want) {
		o.t.Fatalf("the stream has %v, want %v", got, want)
	}
	for id, body := range want {
		if got[id] != body {
			o.t.Errorf("%s has the body %q, want %q", id, got[id], body)
		}
	}
}

// An id that is not a delivery's loses nothing: each body is an event with an id of its own, and a repetition is none.
func TestSameIDOtherBody(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	log, book := newLog()
	b := run(t, server.connect(t, log))
	ready(t, b)
	out := server.outside(t)
	for range 2 {
		for _, body := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
			if err := b.Publish(t.Context(), eventSubject, bodyEvent(t, "w-1", body), "acme.w-1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	out.wantBodies(map[string]string{
		"w-1": `{"n":1}`, identity.OwnID("w-1", []byte(`{"n":2}`)): `{"n":2}`, identity.OwnID("w-1", []byte(`{"n":3}`)): `{"n":3}`,
	})
	if book.count(otherBody) != 1 || book.count(`"reason":"repetition"`) == 0 {
		t.Errorf("the log says %s", book)
	}
}

// factro's record of a webhook that has arrived meanwhile is the same event, although it holds more.
func TestRecordOfADelivery(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	ready(t, b)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	happening := func(origin, body string, happened, arrived time.Time) event.Event {
		e := bodyEvent(t, "d-1", body)
		e.SetExtension(attr.Origin, origin)
		e.SetTime(happened)
		e.SetExtension(attr.RecordedTime, arrived)
		return e
	}
	for _, e := range []event.Event{
		happening("webhook", `{"id":"d-1"}`, at, at),                                     // which does not tell when it happened
		happening("reconcile", `{"id":"d-1","more":1}`, at.Add(-time.Minute), at),        // the same
		happening("reconcile", `{"id":"d-1","createdAt":"x"}`, at.Add(-time.Minute), at), // the same
	} {
		if err := b.Publish(t.Context(), eventSubject, e, "acme.d-1"); err != nil {
			t.Fatal(err)
		}
	}
	server.outside(t).wantBodies(map[string]string{"d-1": `{"id":"d-1"}`})
}

// What is sent again from the dead letters is not lost to an event that has its id.
func TestRedrivenEventOfAKnownID(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	ready(t, b)
	c, err := DialClient(server.config())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := b.Publish(t.Context(), eventSubject, bodyEvent(t, "w-1", `{"n":1}`), "acme.w-1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.PublishEvent(t.Context(), events.DefaultPrefix, eventSubject, bodyEvent(t, "w-1", `{"n":2}`), "acme.w-1"); err != nil {
			t.Fatal(err)
		}
	}
	server.outside(t).wantBodies(map[string]string{"w-1": `{"n":1}`, identity.OwnID("w-1", []byte(`{"n":2}`)): `{"n":2}`})
}

func TestDuplicateWindow(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	log, book := newLog()
	b := run(t, server.connect(t, log, func(c *Config) { c.DuplicateWindow = 15 * time.Second }))
	ready(t, b)
	out := server.outside(t)
	for _, name := range []string{"FACTRO_EVENTS_ACME", "FACTRO_COMMANDS_ACME", "FACTRO_RESULTS_ACME", "FACTRO_DEAD_ACME"} {
		if have := out.stream(name).CachedInfo().Config.Duplicates; have != 15*time.Second {
			t.Errorf("%s has a window of %s", name, have)
		}
	}
	if b.Window("acme") != 15*time.Second || book.count("differs from the contract") != 0 {
		t.Errorf("the window is %s; the log says %s", b.Window("acme"), book)
	}
	later := run(t, server.connect(t, log)) // which wants ten minutes
	ready(t, later)
	if book.count("duplicate window is 15s, want 10m0s") == 0 {
		t.Errorf("the log says %s", book)
	}
	eventually(t, "the shorter window is known", func() bool { return later.Window("acme") == 15*time.Second })
	for _, wrong := range []time.Duration{time.Second, 25 * time.Hour, -time.Minute} {
		cfg := server.config()
		cfg.DuplicateWindow = wrong
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "nats.duplicate_window") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// events are the messages of the stream of events, in order.
func (o outside) events() []*jetstream.RawStreamMsg {
	o.t.Helper()
	var out []*jetstream.RawStreamMsg
	s := o.stream("FACTRO_EVENTS_ACME")
	for seq := s.CachedInfo().State.FirstSeq; seq > 0 && seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(o.t.Context(), seq)
		if err != nil {
			o.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}
