package publish_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// takeSubjects gives the subjects of a stream of ours to one of somebody else.
func (o outside) takeSubjects(ours, theirs string) {
	o.t.Helper()
	cfg := o.Stream(ours).CachedInfo().Config
	subjects := cfg.Subjects
	cfg.Subjects = []string{"elsewhere." + strings.ToLower(ours)}
	if _, err := o.JS.UpdateStream(o.t.Context(), cfg); err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.JS.CreateStream(o.t.Context(), jetstream.StreamConfig{Name: theirs, Subjects: subjects}); err != nil {
		o.t.Fatal(err)
	}
}

// TestInterest: a stream that keeps only what somebody is interested in acknowledges what it drops. Nothing is promised then, until
// it has a consumer.
func TestInterest(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	out := connected(t, broker)
	cfg := jetstream.StreamConfig{Name: "FACTRO_EVENTS_ACME", Subjects: []string{"factro.event.acme.>"}, Retention: jetstream.InterestPolicy}
	stream, err := out.JS.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn := bustest.Connect(t, broker, bustest.Quiet())
	bustest.Start(t, conn.Run)
	b := bustest.Publisher(t, conn)
	bustest.Unready(t, conn, "does not keep")
	err = b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "e-1")
	if !errors.Is(err, natserr.ErrNotKept) || !strings.Contains(err.Error(), "FACTRO_EVENTS_ACME") {
		t.Errorf("published: %v", err)
	}
	if text := differences(t, broker); !strings.Contains(text, "does not keep") {
		t.Errorf("the differences are %s", text)
	}
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "reader"}); err != nil {
		t.Fatal(err)
	}
	bustest.Ready(t, conn)
	if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "e-1"); err != nil {
		t.Fatal(err)
	}
	if n := out.Count("FACTRO_EVENTS_ACME"); n != 1 {
		t.Errorf("the stream has %d events", n)
	}
}

// TestOtherStream: a stream of somebody else that takes our subjects acknowledges nothing of ours, and is named.
func TestOtherStream(t *testing.T) {
	t.Parallel()
	for kind, tt := range map[string]struct {
		ours    string
		publish func(testing.TB, *natstest.Server, *publish.Publisher) error
	}{
		"event": {"FACTRO_EVENTS_ACME", func(t testing.TB, _ *natstest.Server, b *publish.Publisher) error {
			t.Helper()
			return b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "1"), "1")
		}},
		"result": {"FACTRO_RESULTS_ACME", func(t testing.TB, _ *natstest.Server, b *publish.Publisher) error {
			t.Helper()
			return b.Publish(t.Context(), "factro.result.acme.task.createTask.applied", bustest.TaskEvent(t, "1"), "1")
		}},
		"dead letter": {"FACTRO_DEAD_ACME", func(t testing.TB, _ *natstest.Server, b *publish.Publisher) error {
			t.Helper()
			return b.Send(t.Context(), &nats.Msg{Subject: "factro.dead.webhook.acme", Header: nats.Header{}, Data: []byte("x")}, "1")
		}},
		"command of pkg/events": {"FACTRO_COMMANDS_ACME", func(t testing.TB, broker *natstest.Server, _ *publish.Publisher) error {
			t.Helper()
			_, err := events.NewClient(bustest.Connected(t, broker).JS, "acme").Send(t.Context(), payload.Generic{Name: "createTask", Resource: "task", Data: json.RawMessage("{}")})
			return err
		}},
		"redriven command": {"FACTRO_COMMANDS_ACME", func(t testing.TB, broker *natstest.Server, _ *publish.Publisher) error {
			t.Helper()
			c := bustest.Client(t, broker)
			_, err := c.PublishAcked(t.Context(), "factro", &nats.Msg{Subject: "factro.redrive.acme.task.createTask", Header: nats.Header{}})
			return err
		}},
		"event of the command line": {"FACTRO_EVENTS_ACME", func(t testing.TB, broker *natstest.Server, _ *publish.Publisher) error {
			t.Helper()
			return bustest.Client(t, broker).PublishEvent(t.Context(), "factro", bustest.EventSubject, bustest.TaskEvent(t, "1"), "1")
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			broker := natstest.Start(t)
			log, book := bustest.NewLog()
			conn, b := running(t, broker, log)
			out := connected(t, broker)
			out.takeSubjects(tt.ours, "THEIRS")
			if err := tt.publish(t, broker, b); !errors.Is(err, natserr.ErrOtherStream) {
				t.Errorf("published: %v", err)
			}
			if n := out.Count("THEIRS"); n != 0 {
				t.Errorf("the other stream has %d messages", n)
			}
			bustest.Unready(t, conn, "the stream THEIRS has")
			natstest.Eventually(t, "the log names it", func() bool { return strings.Contains(book.String(), "THEIRS") })
			if text := differences(t, broker); !strings.Contains(text, tt.ours) || !strings.Contains(text, "the stream THEIRS has") {
				t.Errorf("the differences are %s", text)
			}
		})
	}
}

// TestPlainResponder: a program that answers on our subjects is no stream. Beside one it does no harm; without one its answer
// is no acknowledgement.
func TestPlainResponder(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	log, book := bustest.NewLog()
	conn, b := running(t, broker, log)
	out := connected(t, broker)
	for _, answer := range []string{"ok", `{"stream":"","seq":1}`, `[]`} {
		if _, err := out.NC.Subscribe("factro.event.>", func(m *nats.Msg) { _ = m.Respond([]byte(answer)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, id), id); err != nil {
			t.Errorf("published: %v", err)
		}
	}
	if n := out.Count("FACTRO_EVENTS_ACME"); n != 5 {
		t.Errorf("the stream has %d messages, want 5", n)
	}
	cfg := out.Stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.Subjects = []string{"elsewhere"}
	if _, err := out.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "6"), "6"); !errors.Is(err, natserr.ErrNoAck) {
		t.Errorf("published: %v", err)
	}
	bustest.Unready(t, conn, "it does not take factro.event.acme.>")
	if book.Count("a program that is not a stream answers") != 1 || book.Count("somebody else is on their subject") != 1 {
		t.Errorf("the log is\n%s", book)
	}
}

// differences are those that the command line lists, a line each.
func differences(t testing.TB, server *natstest.Server) (text string) {
	t.Helper()
	found, err := ensure.Differences(t.Context(), bustest.Client(t, server), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		text += d.Stream + " " + d.What + "\n"
	}
	return text
}
