package publish_test

import (
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// bodies returns the bodies of the stored events by the events' ids.
func (o outside) bodiesByID() map[string]string {
	o.t.Helper()
	out := map[string]string{}
	for _, m := range o.Events() {
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
	server := natstest.Start(t)
	log, book := bustest.NewLog()
	conn, b := running(t, server, log)
	bustest.Ready(t, conn)
	out := connected(t, server)
	for range 2 {
		for _, body := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
			if err := b.Publish(t.Context(), bustest.EventSubject, bodyEvent(t, "w-1", body), "acme.w-1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	out.wantBodies(map[string]string{
		"w-1": `{"n":1}`, identity.OwnID("w-1", []byte(`{"n":2}`)): `{"n":2}`, identity.OwnID("w-1", []byte(`{"n":3}`)): `{"n":3}`,
	})
	if book.Count("the id of an event is that of another event with another body") != 1 || book.Count(`"reason":"repetition"`) == 0 {
		t.Errorf("the log says %s", book)
	}
}

// factro's record of a webhook that has arrived meanwhile is the same event, although it holds more.
func TestRecordOfADelivery(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn, b := running(t, server, bustest.Quiet())
	bustest.Ready(t, conn)
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
		if err := b.Publish(t.Context(), bustest.EventSubject, e, "acme.d-1"); err != nil {
			t.Fatal(err)
		}
	}
	connected(t, server).wantBodies(map[string]string{"d-1": `{"id":"d-1"}`})
}

// What is sent again from the dead letters is not lost to an event that has its id.
func TestRedrivenEventOfAKnownID(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn, b := running(t, server, bustest.Quiet())
	bustest.Ready(t, conn)
	c := bustest.Client(t, server)
	if err := b.Publish(t.Context(), bustest.EventSubject, bodyEvent(t, "w-1", `{"n":1}`), "acme.w-1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.PublishEvent(t.Context(), events.DefaultPrefix, bustest.EventSubject, bodyEvent(t, "w-1", `{"n":2}`), "acme.w-1"); err != nil {
			t.Fatal(err)
		}
	}
	connected(t, server).wantBodies(map[string]string{"w-1": `{"n":1}`, identity.OwnID("w-1", []byte(`{"n":2}`)): `{"n":2}`})
}
