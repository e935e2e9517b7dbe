package delayed

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const stream, queue = "FACTRO_DELAYED_ACME", "FACTRO_COMMANDS_ACME"

// commandAt is a command whose message is at a position.
func commandAt(position string) events.Command {
	e := event.New()
	e.SetID("order-4711")
	e.SetSource("urn:test")
	e.SetType("com.factro.command.deleteTask")
	if err := e.SetData(event.ApplicationJSON, map[string]string{"taskId": "x"}); err != nil {
		panic(err)
	}
	return events.Command{
		Address: events.Address{Cloud: "acme", Resource: "task", Operation: "deleteTask"}, Event: e, Position: position, ReplyTo: "_INBOX.me",
	}
}

func newStore(t *testing.T) (*Store, bustest.Outside) {
	t.Helper()
	n := natstest.Start(t)
	b := bustest.Running(t, n)
	return New(b, bustest.Ensurer(b), bustest.Publisher(t, b), bustest.Quiet()), bustest.Connected(t, n)
}

// TestScheduleRepeats: a command whose message is delivered again after a crash is stored once, also if it has fired by then. Another
// message of the same command does not replace it.
func TestScheduleRepeats(t *testing.T) {
	t.Parallel()
	s, out := newStore(t)
	cmd, until := commandAt("S:1"), time.Now().Add(time.Hour)
	id := cmd.Identity()
	if err := s.Schedule(t.Context(), id, cmd, until); err != nil {
		t.Fatal(err)
	}
	for _, position := range []string{"S:1", "S:2"} {
		if err := s.Schedule(t.Context(), id, commandAt(position), until.Add(time.Hour)); !errors.Is(err, ErrOther) {
			t.Errorf("the message at %s: %v", position, err)
		}
	}
	w, found, err := s.Find(t.Context(), "acme", id)
	if err != nil || !found || w.Due || !w.Until.Equal(until) || w.Command.Identity() != id || w.Command.ReplyTo != "_INBOX.me" {
		t.Errorf("found %+v, %t, %v", w, found, err)
	}
	if _, found, err := s.Find(t.Context(), "acme", "other"); found || err != nil {
		t.Errorf("found another one: %t, %v", found, err)
	}
	if n := out.Count(stream); n != 1 {
		t.Errorf("%d messages are stored", n)
	}
	// Nobody hands over yet.
	for range 2 {
		if err := s.Release(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Eventually(t, "it is due", func() bool {
		w, found, err = s.Find(t.Context(), "acme", id)
		return err == nil && found && w.Due
	})
	if err := s.Release(t.Context(), w); err != nil {
		t.Error(err)
	}
	if err := s.Schedule(t.Context(), id, cmd, until); err != nil {
		t.Error(err)
	}
	if n := out.Count(stream); n != 1 {
		t.Errorf("%d messages are stored", n)
	}
}

// TestForwardRepeats: a command that is handed over again, since the first acknowledgement was lost, is in its queue once, without what
// the stream of delayed commands needs. What is no delayed command goes nowhere, and what is early waits.
func TestForwardRepeats(t *testing.T) {
	t.Parallel()
	s, out := newStore(t)
	cmd := commandAt("S:1")
	if err := s.Schedule(t.Context(), cmd.Identity(), cmd, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.bind(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	c, err := out.JS.Consumer(t.Context(), stream, "egress-delayed")
	if err != nil {
		t.Fatal(err)
	}
	due, err := c.Next(jetstream.FetchMaxWait(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	msg := &nats.Msg{Subject: due.Subject(), Reply: due.Reply(), Header: due.Headers(), Data: due.Data(), Sub: &nats.Subscription{}}
	for range 2 {
		if verdict, err := s.forward(t.Context(), "acme", msg); err != nil || !verdict.Final() {
			t.Fatalf("%s, %v", verdict, err)
		}
	}
	last := out.Last(queue)
	if out.Count(queue) != 1 || last.Subject != "factro.command.acme.task.deleteTask" || last.Header.Get("Factro-Reply-To") != "_INBOX.me" ||
		last.Header.Get("Nats-Scheduler") != "" || last.Header.Get("Factro-Delayed-Until") != "" || last.Header.Get("ce-id") != "order-4711" {
		t.Errorf("in the queue is %+v", last)
	}
	for name, change := range map[string]func(h nats.Header){
		"no subject":    func(h nats.Header) { delete(h, "Factro-Delayed-Subject") },
		"another cloud": func(h nats.Header) { h["Factro-Delayed-Subject"] = []string{"factro.command.beta.task.deleteTask"} },
		"not for us": func(h nats.Header) {
			h["Factro-Delayed-Subject"] = []string{"$JS.API.STREAM.DELETE.FACTRO_EVENTS_ACME"}
		},
		"no time": func(h nats.Header) { h["Factro-Delayed-Until"] = []string{"soon"} },
		"an hour too soon": func(h nats.Header) {
			h["Factro-Delayed-Until"] = []string{time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)}
		},
	} {
		other := *msg
		other.Header = maps.Clone(msg.Header)
		change(other.Header)
		verdict, err := s.forward(t.Context(), "acme", &other)
		if early := name == "an hour too soon"; early != (err == nil) || early == verdict.Final() {
			t.Errorf("%s: %s, %v", name, verdict, err)
		}
	}
	if n := out.Count(queue); n != 1 {
		t.Errorf("%d messages are in the queue", n)
	}
}
