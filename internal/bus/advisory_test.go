package bus

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// advise starts to read advisories and returns what senders are told.
func advise(t testing.TB, b *Conn) <-chan events.Command {
	t.Helper()
	told := make(chan events.Command, 100)
	start(t, func(ctx context.Context) error {
		return b.Advisories(ctx, "acme", func(_ context.Context, cmd events.Command, mistake, reason error) error {
			if mistake != nil || reason == nil {
				t.Errorf("told of %v with the mistake %v and the reason %v", cmd.Event.ID(), mistake, reason)
			}
			told <- cmd
			return nil
		})
	})
	return told
}

// letters returns the dead letters that are there.
func (o outside) letters() []DeadLetter {
	o.t.Helper()
	var all []DeadLetter
	c := &Client{nc: o.nc, js: o.js}
	if err := c.DeadLetters(o.t.Context(), "factro", DeadFilter{Cloud: "acme"}, func(l DeadLetter) error {
		all = append(all, l)
		return nil
	}); err != nil {
		o.t.Fatal(err)
	}
	return all
}

// exhaust has an operator's consumer deliver the commands of acme twice at most, and nobody gives a verdict.
func (o outside) exhaust() {
	o.t.Helper()
	c, err := o.js.CreateConsumer(o.t.Context(), "FACTRO_COMMANDS_ACME", jetstream.ConsumerConfig{
		Durable: "egress-acme", FilterSubject: "factro.command.acme.>", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 2,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	reading, err := c.Consume(func(msg jetstream.Msg) { _ = msg.Nak() })
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(reading.Stop)
}

// TestUndeliverable: what a consumer with a limit of deliveries gives up becomes a dead letter, its sender is told, and
// the queue is free of it.
func TestUndeliverable(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	told := advise(t, b)
	eventually(t, "the stream of advisories", func() bool {
		_, err := out.js.Stream(t.Context(), "FACTRO_ADVISORIES_ACME")
		return err == nil
	})
	out.command("größe-1")
	out.exhaust()

	if cmd := receive(t, told); cmd.Event.ID() != "größe-1" || cmd.Cloud != "acme" {
		t.Errorf("told of %+v", cmd)
	}
	eventually(t, "the queue is empty", func() bool { return out.count("FACTRO_COMMANDS_ACME") == 0 })
	eventually(t, "the advisory is settled", func() bool { return out.count("FACTRO_ADVISORIES_ACME") == 0 })
	letters := out.letters()
	if len(letters) != 1 {
		t.Fatalf("%d letters", len(letters))
	}
	l := letters[0]
	if l.Code != events.CodeUndeliverable || l.ID != "größe-1" || l.Original != "factro.command.acme.task.deleteTask" || l.Deliveries != 2 ||
		string(l.Data) != `{"taskId":"größe-1"}` || l.Position != "FACTRO_COMMANDS_ACME:1" || l.Operation != "deleteTask" || !strings.Contains(l.Reason, "egress-acme") {
		t.Errorf("the letter is %+v", l)
	}
}

// TestUndeliverableAgain: an advisory that is handled twice makes one letter, also after a crash before the message was
// deleted.
func TestUndeliverableAgain(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	out.command("a")
	a := advisory{Type: maxDeliver, Stream: "FACTRO_COMMANDS_ACME", Consumer: "egress-acme", Sequence: 1, Deliveries: 2, Time: time.Now()}
	crash := context.Canceled
	if err := b.undeliverable(t.Context(), "acme", a, func(context.Context, events.Command, error, error) error { return crash }); err == nil {
		t.Fatal("a sender that could not be told is not an error")
	}
	if n := out.count("FACTRO_COMMANDS_ACME"); n != 1 {
		t.Fatalf("the command is gone before its sender was told: %d", n)
	}
	for range 2 {
		if err := b.undeliverable(t.Context(), "acme", a, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n, left := out.count("FACTRO_DEAD_ACME"), out.count("FACTRO_COMMANDS_ACME"); n != 1 || left != 0 {
		t.Errorf("%d letters, %d commands; want 1 and 0", n, left)
	}
}

// TestUndeliverableStale: an advisory about a stream that is gone does not bury the command that has its number by now.
func TestUndeliverableStale(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	out.command("a")
	old := advisory{Type: maxDeliver, Stream: "FACTRO_COMMANDS_ACME", Consumer: "egress-acme", Sequence: 1, Time: time.Now().Add(-time.Hour)}
	if err := b.undeliverable(t.Context(), "acme", old, nil); err != nil {
		t.Error(err)
	}
	if n, left := out.count("FACTRO_DEAD_ACME"), out.count("FACTRO_COMMANDS_ACME"); n != 0 || left != 1 {
		t.Errorf("%d letters, %d commands; want 0 and 1", n, left)
	}
}

// TestLettersVanish: somebody else deletes the letters that are still to be read.
func TestLettersVanish(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	for range 2 * deadBatch {
		out.publish(&nats.Msg{Subject: "factro.dead.command.acme.task.createTask", Data: []byte(`{}`)})
	}
	c, n := &Client{nc: out.nc, js: out.js}, 0
	if err := c.DeadLetters(t.Context(), "factro", DeadFilter{Cloud: "acme"}, func(DeadLetter) error {
		n++
		return out.stream("FACTRO_DEAD_ACME").Purge(t.Context())
	}); err != nil || n == 0 {
		t.Errorf("%d letters, %v", n, err)
	}
}

// TestMendedTwice: a letter that is mended twice in the same way becomes one command.
func TestMendedTwice(t *testing.T) {
	t.Parallel()
	l := DeadLetter{
		Message: Message{Subject: "factro.dead.command.acme.task.createTask", Data: []byte(`{}`), Time: time.Unix(1, 2)}, Sequence: 3,
		Kind: DeadCommand, Original: "factro.command.acme.task.createTask",
	}
	id := func(data string) string {
		t.Helper()
		r, err := PrepareRedrive("factro", l, []byte(data), time.Now())
		if err != nil || r.msg.Header.Get(events.HeaderMessageID) != r.ID {
			t.Fatalf("%+v, %v", r, err)
		}
		return r.ID
	}
	if one := id(`{"title":"ä"}`); one != id(`{"title":"ä"}`) || one == id(`{"title":"ö"}`) {
		t.Errorf("the id is %s", one)
	}
}

// TestTerminated: our own terminations have their letters and get no other; of somebody else's the advisory is kept.
func TestTerminated(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	advise(t, b)
	eventually(t, "the consumer of advisories", func() bool {
		_, err := out.js.Consumer(t.Context(), "FACTRO_ADVISORIES_ACME", advisoryConsumer)
		return err == nil
	})
	stop := consume(t, b, worker{handle: func(context.Context, context.Context, events.Command, error) error {
		return Terminal(Letter{Subject: "factro.dead.command.acme.task.deleteTask", Code: "refused", Reason: context.Canceled})
	}})
	for _, id := range []string{"1", "2", "3"} {
		out.command(id)
	}
	eventually(t, "all are buried", func() bool { return out.count("FACTRO_DEAD_ACME") == 3 && out.count("FACTRO_COMMANDS_ACME") == 0 })
	stop()

	out.command("4")
	c, err := out.js.Consumer(t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := c.Next(jetstream.FetchMaxWait(patience))
	if err != nil {
		t.Fatal(err)
	}
	if err := msg.TermWithReason("keine Lust"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the foreign one has a letter", func() bool { return out.count("FACTRO_DEAD_ACME") >= 4 })
	eventually(t, "all advisories are settled", func() bool { return out.count("FACTRO_ADVISORIES_ACME") == 0 })
	letters := out.letters()
	if len(letters) != 4 {
		t.Fatalf("%d letters, want 4", len(letters))
	}
	l := letters[3]
	if l.Code != codeTerminated || !l.Lost() || l.Cloud != "acme" || l.ID != "" || l.Position != "FACTRO_COMMANDS_ACME:4" ||
		!strings.Contains(l.Reason, "keine Lust") || !strings.Contains(string(l.Data), `"stream_seq":4`) {
		t.Errorf("the letter is %+v with %s", l, l.Data)
	}
	if _, err := PrepareRedrive("factro", l, nil, time.Now()); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("a letter without data can be sent again: %v", err)
	}
}

// TestTerminatedAndDropped: the letter about one of our own terminations may be gone before its advisory is read.
func TestTerminatedAndDropped(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	for reason, want := range map[string]uint64{events.CodeRefused: 0, "": 1} {
		a := advisory{Type: terminated, Stream: "FACTRO_COMMANDS_ACME", Consumer: "egress-acme", Sequence: 7, Reason: reason, Time: time.Now()}
		if err := b.terminated(t.Context(), &recentLetters{bus: b, cloud: "acme"}, a, &nats.Msg{}); err != nil {
			t.Error(err)
		}
		if n := broker.outside(t).count("FACTRO_DEAD_ACME"); n != want {
			t.Errorf("reason %q: %d letters, want %d", reason, n, want)
		}
		if err := broker.outside(t).stream("FACTRO_DEAD_ACME").Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAdvisoriesWithoutRights: the bridge works without them, and says so once.
func TestAdvisoriesWithoutRights(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, withUsers("$JS.API.*.*.FACTRO_ADVISORIES_ACME", "$JS.API.*.*.*.FACTRO_ADVISORIES_ACME.>"))
	log, book := newLog()
	b := run(t, broker.connect(t, log, func(c *Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:x@", 1) }))
	advise(t, b)
	eventually(t, "it is told", func() bool { return book.count("advisories cannot be read") == 1 })
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "1"), "1"); err != nil {
		t.Error(err)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if n := book.count("Permissions Violation"); n != book.count("NATS refuses a permission for advisories") {
		t.Errorf("the refusals are told %d times:\n%s", n, book)
	}
}

// withUsers lets the user bridge do everything but publish to some subjects.
func withUsers(denied ...string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "bridge", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: denied}}},
		}
	}
}

// TestUnclaimed: commands of a cloud that was taken out of the configuration are told of once, and counted.
func TestUnclaimed(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	run(t, broker.connect(t, quiet(), clouds("akme")))
	log, book := newLog()
	b := run(t, broker.connect(t, log))
	out := broker.outside(t)
	got, commands := collector()
	consume(t, b, got)
	out.command("1")
	receive(t, commands)
	for range 2 {
		out.publish(&nats.Msg{Subject: "factro.command.akme.task.deleteTask", Data: []byte(`{}`)})
	}
	start(t, b.Unclaimed)
	eventually(t, "it is told", func() bool { return book.count("nobody reads") == 1 })
	if !strings.Contains(book.String(), `"cloud":"akme","commands":2`) || strings.Contains(book.String(), `"cloud":"acme","commands"`) {
		t.Errorf("the log is\n%s", book)
	}
	eventually(t, "the gauge says 2", func() bool { return gauge(t, "factro.bridge.commands.unclaimed", 2) })

	again := run(t, broker.connect(t, quiet(), clouds("akme")))
	stalled := make(chan struct{})
	start(t, func(ctx context.Context) error {
		return again.Consume(ctx, "akme", worker{handle: func(context.Context, context.Context, events.Command, error) error {
			<-stalled
			return nil
		}})
	})
	t.Cleanup(func() { close(stalled) })
	eventually(t, "the gauge says 0", func() bool { return gauge(t, "factro.bridge.commands.unclaimed", 0) })
	if n := book.count("nobody reads"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

// gauge says whether some instrument of that name has the value: the tests run at once, and the reader is theirs together.
func gauge(t testing.TB, name string, want int64) bool {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			if g, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == name {
				for _, p := range g.DataPoints {
					if p.Value == want {
						return true
					}
				}
			}
		}
	}
	return false
}
