package bus

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// takeSubjects gives the subjects of a stream of ours to one of somebody else.
func (o outside) takeSubjects(ours, theirs string) {
	o.t.Helper()
	cfg := o.stream(ours).CachedInfo().Config
	subjects := cfg.Subjects
	cfg.Subjects = []string{"elsewhere." + strings.ToLower(ours)}
	if _, err := o.js.UpdateStream(o.t.Context(), cfg); err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.js.CreateStream(o.t.Context(), jetstream.StreamConfig{Name: theirs, Subjects: subjects}); err != nil {
		o.t.Fatal(err)
	}
}

// TestOtherStream: a stream of somebody else that takes our subjects acknowledges nothing of ours, and is named.
// TestInterest: a stream that keeps only what somebody is interested in acknowledges what it drops. Nothing is promised then, until
// it has a consumer.
func TestInterest(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	cfg := jetstream.StreamConfig{Name: "FACTRO_EVENTS_ACME", Subjects: []string{"factro.event.acme.>"}, Retention: jetstream.InterestPolicy}
	stream, err := out.js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := broker.connect(t, quiet())
	start(t, b.Run)
	unready(t, b, "does not keep")
	err = b.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "e-1")
	if !errors.Is(err, natserr.ErrNotKept) || !strings.Contains(err.Error(), "FACTRO_EVENTS_ACME") {
		t.Errorf("published: %v", err)
	}
	found, err := Differences(t.Context(), dialWith(t, b.cfg))
	if err != nil || !slices.ContainsFunc(found, func(d Difference) bool { return strings.Contains(d.What, "does not keep") }) {
		t.Errorf("differences are %v, %v", found, err)
	}
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "reader"}); err != nil {
		t.Fatal(err)
	}
	ready(t, b)
	storeEvent(t, b, "e-1")
	if n := out.count("FACTRO_EVENTS_ACME"); n != 1 {
		t.Errorf("the stream has %d events", n)
	}
}

// dialWith is a client of a configuration.
func dialWith(t testing.TB, cfg Config) Client {
	t.Helper()
	c, err := DialClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestOtherStream(t *testing.T) {
	t.Parallel()
	for kind, tt := range map[string]struct {
		ours    string
		publish func(testing.TB, *broker, *Conn) error
	}{
		"event": {"FACTRO_EVENTS_ACME", func(t testing.TB, _ *broker, b *Conn) error {
			t.Helper()
			return b.Publish(t.Context(), eventSubject, taskEvent(t, "1"), "1")
		}},
		"result": {"FACTRO_RESULTS_ACME", func(t testing.TB, _ *broker, b *Conn) error {
			t.Helper()
			return b.Publish(t.Context(), "factro.result.acme.task.createTask.applied", taskEvent(t, "1"), "1")
		}},
		"dead letter": {"FACTRO_DEAD_ACME", func(t testing.TB, _ *broker, b *Conn) error {
			t.Helper()
			return b.Send(t.Context(), &nats.Msg{Subject: "factro.dead.webhook.acme", Header: nats.Header{}, Data: []byte("x")}, "1")
		}},
		"command of pkg/events": {"FACTRO_COMMANDS_ACME", func(t testing.TB, broker *broker, _ *Conn) error {
			t.Helper()
			_, err := events.NewClient(broker.outside(t).js, "acme").Send(t.Context(), payload.Generic{Name: "createTask", Resource: "task", Data: json.RawMessage("{}")})
			return err
		}},
		"redriven command": {"FACTRO_COMMANDS_ACME", func(t testing.TB, broker *broker, _ *Conn) error {
			t.Helper()
			c := broker.client(t)
			_, err := c.PublishAcked(t.Context(), "factro", &nats.Msg{Subject: "factro.redrive.acme.task.createTask", Header: nats.Header{}})
			return err
		}},
		"event of the command line": {"FACTRO_EVENTS_ACME", func(t testing.TB, broker *broker, _ *Conn) error {
			t.Helper()
			return broker.client(t).PublishEvent(t.Context(), "factro", eventSubject, taskEvent(t, "1"), "1")
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			broker := startBroker(t)
			log, book := newLog()
			b := run(t, broker.connect(t, log))
			out := broker.outside(t)
			out.takeSubjects(tt.ours, "THEIRS")
			if err := tt.publish(t, broker, b); !errors.Is(err, natserr.ErrOtherStream) {
				t.Errorf("published: %v", err)
			}
			if n := out.count("THEIRS"); n != 0 {
				t.Errorf("the other stream has %d messages", n)
			}
			unready(t, b, "the stream THEIRS has")
			eventually(t, "the log names it", func() bool { return strings.Contains(book.String(), "THEIRS") })
			if text := differences(t, broker); !strings.Contains(text, tt.ours) || !strings.Contains(text, "the stream THEIRS has") {
				t.Errorf("the differences are %s", text)
			}
		})
	}
}

// client is a connection of the command line's.
func (b *broker) client(t testing.TB) Client {
	t.Helper()
	c, err := DialClient(b.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestOtherStreamFirst: a stream that has our subjects before ours is made is named as well.
func TestOtherStreamFirst(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	if _, err := out.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVERYTHING", Subjects: []string{"factro.event.>"}}); err != nil {
		t.Fatal(err)
	}
	b := broker.connect(t, quiet())
	start(t, b.Run)
	unready(t, b, "the stream EVERYTHING has factro.event.acme.>")
	if text := differences(t, broker); !strings.Contains(text, "it is missing; the stream EVERYTHING has") {
		t.Errorf("the differences are %s", text)
	}
	if err := out.js.DeleteStream(t.Context(), "EVERYTHING"); err != nil {
		t.Fatal(err)
	}
	ready(t, b)
	if text := differences(t, broker); strings.Contains(text, "FACTRO_EVENTS_ACME") {
		t.Errorf("the differences are %s", text)
	}
}

// TestPlainResponder: a program that answers on our subjects is no stream. Beside one it does no harm; without one its answer
// is no acknowledgement.
func TestPlainResponder(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	log, book := newLog()
	b := run(t, broker.connect(t, log))
	out := broker.outside(t)
	for _, answer := range []string{"ok", `{"stream":"","seq":1}`, `[]`} {
		if _, err := out.nc.Subscribe("factro.event.>", func(m *nats.Msg) { _ = m.Respond([]byte(answer)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		if err := b.Publish(t.Context(), eventSubject, taskEvent(t, id), id); err != nil {
			t.Errorf("published: %v", err)
		}
	}
	if n := out.count("FACTRO_EVENTS_ACME"); n != 5 {
		t.Errorf("the stream has %d messages, want 5", n)
	}
	cfg := out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.Subjects = []string{"elsewhere"}
	if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "6"), "6"); !errors.Is(err, natserr.ErrNoAck) {
		t.Errorf("published: %v", err)
	}
	unready(t, b, "it does not take factro.event.acme.>")
	if book.count("a program that is not a stream answers") != 1 || book.count("somebody else is on their subject") != 1 {
		t.Errorf("the log is\n%s", book)
	}
}

// TestNoAck: a stream that acknowledges nothing makes the bridge unready, and is a difference.
func TestNoAck(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	cfg := out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.NoAck, cfg.Duplicates = true, 1e9
	if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	unready(t, b, "no_ack")
	for _, want := range []string{"no_ack is true", "duplicate window is 1s"} {
		if text := differences(t, broker); !strings.Contains(text, want) {
			t.Errorf("the differences are %s, want %s", text, want)
		}
	}
}

// differences are those that the command line lists, a line each.
func differences(t testing.TB, b *broker) (text string) {
	t.Helper()
	found, err := Differences(t.Context(), b.client(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		text += d.Stream + " " + d.What + "\n"
	}
	return text
}
