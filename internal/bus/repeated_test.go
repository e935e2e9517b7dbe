package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
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
		"w-1": `{"n":1}`, events.OwnID("w-1", []byte(`{"n":2}`)): `{"n":2}`, events.OwnID("w-1", []byte(`{"n":3}`)): `{"n":3}`,
	})
	if book.count(otherBody) != 1 || book.count(`"reason":"repetition"`) == 0 {
		t.Errorf("the log says %s", book)
	}
}

// The same before the broker's word, and through a spool.
func TestSameIDOtherBodyInTheSpool(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := spool(t, b, spoolConfig(t.TempDir()))
	ids := map[string]bool{}
	want := map[string]string{}
	for round := range 2 {
		for n := range 5 {
			e := bodyEvent(t, "w-1", fmt.Sprintf(`{"n":%d}`, n))
			id, spooled, err := s.Publish(t.Context(), subjectOf(n), e, "acme.w-1")
			if err != nil || !spooled || round == 0 && ids[id] {
				t.Fatalf("round %d, %d: stored as %s, spooled %v: %v", round, n, id, spooled, err)
			}
			ids[id] = true
			want[id] = string(e.Data())
		}
	}
	if len(want) != 5 || !ids["w-1"] {
		t.Fatalf("the ids are %v", ids)
	}
	server.start()
	start(t, s.Run)
	eventually(t, "the spool is empty", func() bool { return s.waiting() == 0 })
	server.outside(t).wantBodies(want)
}

// Another process may have stored an event of the same id: then the broker's word is what tells.
func TestSameIDOfAnotherProcess(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := spool(t, b, spoolConfig(t.TempDir()))
	id, spooled, err := s.Publish(t.Context(), subjectOf(1), bodyEvent(t, "w-1", `{"ours":1}`), "acme.w-1")
	if err != nil || !spooled || id != "w-1" {
		t.Fatalf("stored as %s, spooled %v: %v", id, spooled, err)
	}
	server.start()
	other := run(t, server.connect(t, quiet()))
	ready(t, other)
	if err := other.Publish(t.Context(), subjectOf(2), bodyEvent(t, "w-1", `{"theirs":1}`), "acme.w-1"); err != nil {
		t.Fatal(err)
	}
	start(t, s.Run)
	eventually(t, "the spool is empty", func() bool { return s.waiting() == 0 })
	server.outside(t).wantBodies(map[string]string{"w-1": `{"theirs":1}`, events.OwnID("w-1", []byte(`{"ours":1}`)): `{"ours":1}`})
}

// Which body came first is the stream's word, also with another process: each body is stored once, wherever it comes again.
func TestRepetitionAtAnotherProcess(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	out := server.outside(t)
	var spools []*Spool
	for range 2 {
		b := run(t, server.connect(t, quiet()))
		ready(t, b)
		spools = append(spools, spool(t, b, SpoolConfig{}))
	}
	first, second := []byte(`{"n":1}`), []byte(`{"n":2}`)
	for i, body := range [][]byte{first, second, first, second} { // the first one at one process, and all the rest at the other
		id, _, err := spools[min(i, 1)].Publish(t.Context(), subjectOf(1), bodyEvent(t, "w-1", string(body)), "acme.w-1")
		if want := map[bool]string{true: "w-1", false: events.OwnID("w-1", second)}[string(body) == string(first)]; err != nil || id != want {
			t.Errorf("%s is stored as %s, want %s: %v", body, id, want, err)
		}
	}
	out.wantBodies(map[string]string{"w-1": string(first), events.OwnID("w-1", second): string(second)})
}

// Beyond the stream's window a process still knows which body came first.
func TestBodiesAreRemembered(t *testing.T) {
	t.Parallel()
	var s bodies
	for _, body := range []string{"1", "2", "1"} { // also when it comes again
		if s.first("a", []byte(body)) != (body == "1") {
			t.Errorf("%s is not told from the first body", body)
		}
	}
	for i := range 3 * mostBodies {
		s.first(fmt.Sprint(i), []byte("x"))
		if i%1000 == 0 && s.first("a", []byte("2")) { // asked for now and then
			t.Fatalf("forgotten after %d", i)
		}
	}
	if len(s.now)+len(s.old) > 2*mostBodies {
		t.Errorf("%d ids are held", len(s.now)+len(s.old))
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
		e.SetExtension(events.ExtOrigin, origin)
		e.SetTime(happened)
		e.SetExtension(events.ExtRecordedTime, arrived)
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
	c, err := Dial(server.config())
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
	server.outside(t).wantBodies(map[string]string{"w-1": `{"n":1}`, events.OwnID("w-1", []byte(`{"n":2}`)): `{"n":2}`})
}

// A search in the stream does not take another event of the same id for the one that waits in the spool.
func TestSearchComparesBodies(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	ready(t, b)
	for _, body := range []string{`{"n":1}`, `{"n":2}`} {
		if err := b.Publish(t.Context(), eventSubject, bodyEvent(t, "w-1", body), "acme.w-1"); err != nil {
			t.Fatal(err)
		}
	}
	s := &Spool{bus: b, log: quiet()}
	for body, want := range map[string]bool{`{"n":1}`: true, `{"n":2}`: true, `{"n":3}`: false} {
		h := &held{at: time.Now().Add(-time.Hour), msg: &nats.Msg{Subject: eventSubject, Data: []byte(body)}, id: "acme.w-1", suspect: true}
		if err := s.search(t.Context(), &lane{cloud: "acme"}, h); err != nil || h.done != want {
			t.Errorf("%s: found %v, want %v: %v", body, h.done, want, err)
		}
	}
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

// The headers of a request come with its dead letter, also through a spool.
func TestQuarantineWithHeaders(t *testing.T) {
	t.Parallel()
	server, b := away(t)
	s := spool(t, b, spoolConfig(t.TempDir()))
	request := http.Header{"Content-Type": {"application/json; charset=klingon"}, "X-Größe": {"ä", "b"}}
	if err := s.Quarantine(t.Context(), "factro.dead.webhook.acme", "q-1", "unusable", errors.New("no"), []byte("x"), request); err != nil {
		t.Fatal(err)
	}
	server.start()
	start(t, s.Run)
	eventually(t, "the spool is empty", func() bool { return s.waiting() == 0 })
	l := server.outside(t).last("FACTRO_DEAD_ACME")
	text, err := events.DecodeHeader(l.Header.Get(topology.HeaderDeadRequest))
	var have http.Header
	if err == nil {
		err = json.Unmarshal([]byte(text), &have)
	}
	if err != nil || have.Get("Content-Type") != request.Get("Content-Type") || len(have["X-Größe"]) != 2 {
		t.Errorf("the letter has %v: %v", have, err)
	}
}
