package bus

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// advise starts to read advisories and returns what senders are told.
func advise(t testing.TB, b *Conn) <-chan events.Command {
	t.Helper()
	told := make(chan events.Command, 100)
	start(t, func(ctx context.Context) error {
		return b.Advisories(ctx, "acme", plainLetters{b}, func(_ context.Context, cmd events.Command, mistake, reason error) error {
			if mistake != nil || reason == nil {
				t.Errorf("told of %v with the mistake %v and the reason %v", cmd.Event.ID(), mistake, reason)
			}
			told <- cmd
			return nil
		})
	})
	return told
}

// deadLetter is what a test wants to know of a dead letter.
type deadLetter struct {
	Code, Reason, Original, Position, Subject string
	Deliveries                                int
	Header                                    nats.Header
	Data                                      []byte
}

// letters returns the dead letters that are there.
func (o outside) letters() []deadLetter {
	o.t.Helper()
	var all []deadLetter
	s := o.stream("FACTRO_DEAD_ACME")
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(o.t.Context(), seq)
		if err != nil {
			o.t.Fatal(err)
		}
		reason, err := percent.Decode(m.Header.Get(topology.HeaderDeadReason))
		if err != nil {
			o.t.Fatal(err)
		}
		deliveries, _ := strconv.Atoi(m.Header.Get(topology.HeaderDeadAttempts))
		all = append(all, deadLetter{
			m.Header.Get(topology.HeaderDeadCode), reason, m.Header.Get(topology.HeaderDeadSubject), m.Header.Get(topology.HeaderDeadPosition),
			m.Subject, deliveries, m.Header, m.Data,
		})
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
	if l.Code != events.CodeUndeliverable || l.Header.Get(topology.HeaderDeadMessageID) != "größe-1" || l.Original != "factro.command.acme.task.deleteTask" || l.Deliveries != 2 ||
		string(l.Data) != `{"taskId":"größe-1"}` || l.Position != "FACTRO_COMMANDS_ACME:1" || l.Subject != "factro.dead.command.acme.task.deleteTask" || !strings.Contains(l.Reason, "egress-acme") {
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
	if err := b.undeliverable(t.Context(), "acme", a, plainLetters{b}, func(context.Context, events.Command, error, error) error { return crash }); err == nil {
		t.Fatal("a sender that could not be told is not an error")
	}
	if n := out.count("FACTRO_COMMANDS_ACME"); n != 1 {
		t.Fatalf("the command is gone before its sender was told: %d", n)
	}
	for range 2 {
		if err := b.undeliverable(t.Context(), "acme", a, plainLetters{b}, nil); err != nil {
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
	if err := b.undeliverable(t.Context(), "acme", old, plainLetters{b}, nil); err != nil {
		t.Error(err)
	}
	if n, left := out.count("FACTRO_DEAD_ACME"), out.count("FACTRO_COMMANDS_ACME"); n != 0 || left != 1 {
		t.Errorf("%d letters, %d commands; want 0 and 1", n, left)
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
	c, err := b.CommandConsumer(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	next := func() jetstream.Msg {
		t.Helper()
		msg, err := c.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	for i, id := range []string{"1", "2", "3"} { // as bus/commands ends them: first the letter
		out.command(id)
		msg := next()
		dead := letterOf("factro.dead.command.acme.task.deleteTask", msg.Subject(), msg.Headers(), msg.Data())
		setDeadHeaders(dead.Header, "refused", context.Canceled)
		dead.Header[topology.HeaderDeadPosition] = []string{"FACTRO_COMMANDS_ACME:" + strconv.Itoa(i+1)}
		if err := b.Send(t.Context(), dead, "dead-"+id); err != nil {
			t.Fatal(err)
		}
		if err := msg.TermWithReason("refused"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are buried", func() bool { return out.count("FACTRO_DEAD_ACME") == 3 && out.count("FACTRO_COMMANDS_ACME") == 0 })

	out.command("4")
	msg := next()
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
	if l.Code != codeTerminated || !strings.HasPrefix(l.Subject, "factro.dead.command.acme.") || l.Position != "FACTRO_COMMANDS_ACME:4" ||
		!strings.Contains(l.Reason, "keine Lust") || !strings.Contains(string(l.Data), `"stream_seq":4`) {
		t.Errorf("the letter is %+v with %s", l, l.Data)
	}
}

// TestTerminatedAndDropped: the letter about one of our own terminations may be gone before its advisory is read.
func TestTerminatedAndDropped(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	for reason, want := range map[string]uint64{events.CodeRefused: 0, "": 1} {
		a := advisory{Type: terminated, Stream: "FACTRO_COMMANDS_ACME", Consumer: "egress-acme", Sequence: 7, Reason: reason, Time: time.Now()}
		if err := b.terminated(t.Context(), &recentLetters{bus: b, cloud: "acme"}, plainLetters{b}, a, &nats.Msg{}); err != nil {
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
