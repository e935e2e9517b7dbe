package advisory

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestMain(m *testing.M) { bustest.Main(m) }

const (
	commandStream, deadStream, advisoryStream = "FACTRO_COMMANDS_ACME", "FACTRO_DEAD_ACME", "FACTRO_ADVISORIES_ACME"
	consumer                                  = "egress-acme"
)

// newReader returns a reader of the advisories of acme, which does not wait long.
func newReader(t testing.TB, conn *bus.Conn, gaveUp GaveUp, log *slog.Logger) *Reader {
	t.Helper()
	store, err := deadletter.New(t.Context(), conn, bustest.Publisher(t, conn), objects.NewOriginals(conn, bustest.Ensurer(conn), log), log)
	if err != nil {
		t.Fatal(err)
	}
	r := New(conn, bustest.Ensurer(conn), "acme", store, gaveUp, log)
	r.mostPause = 50 * time.Millisecond
	return r
}

// advise starts to read advisories and returns what is reported to senders.
func advise(t testing.TB, conn *bus.Conn, log *slog.Logger) <-chan events.Command {
	t.Helper()
	reported := make(chan events.Command, 100)
	r := newReader(t, conn, func(_ context.Context, cmd events.Command, mistake, reason error) error {
		if mistake != nil || reason == nil {
			t.Errorf("reported %v with the mistake %v and the reason %v", cmd.Event.ID(), mistake, reason)
		}
		reported <- cmd
		return nil
	}, log)
	bustest.Start(t, r.Run)
	return reported
}

// letters returns the dead letters that are there.
func letters(t testing.TB, out bustest.Outside) (all []*jetstream.RawStreamMsg) {
	t.Helper()
	s := out.Stream(deadStream)
	for seq := s.CachedInfo().State.FirstSeq; seq > 0 && seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func wantHeaders(t testing.TB, m *jetstream.RawStreamMsg, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got, err := events.DecodeHeader(m.Header.Get(name)); err != nil || !strings.Contains(got, text) {
			t.Errorf("%s is %q, want %q: %v", name, got, text, err)
		}
	}
}

// queue makes the consumer of the commands of acme, as an operator may who limits deliveries; 0 is no limit.
func queue(t testing.TB, out bustest.Outside, maxDeliver int) jetstream.Consumer {
	t.Helper()
	if maxDeliver == 0 {
		maxDeliver = -1
	}
	c, err := out.JS.CreateConsumer(t.Context(), commandStream, jetstream.ConsumerConfig{
		Durable: consumer, FilterSubject: "factro.command.acme.>", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: maxDeliver,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestUndeliverable: what a consumer with a limit of deliveries gives up becomes a dead letter, its sender gets a report, and
// the queue is free of it.
func TestUndeliverable(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	out := bustest.Connected(t, server)
	reported := advise(t, conn, bustest.Quiet())
	natstest.Eventually(t, "the stream of advisories", func() bool {
		_, err := out.JS.Stream(t.Context(), advisoryStream)
		return err == nil
	})
	out.Command("größe-1")
	reading, err := queue(t, out, 2).Consume(func(msg jetstream.Msg) { _ = msg.Nak() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reading.Stop)

	if cmd := natstest.Receive(t, reported); cmd.Event.ID() != "größe-1" || cmd.Cloud != "acme" {
		t.Errorf("reported %+v", cmd)
	}
	natstest.Eventually(t, "the queue is empty", func() bool { return out.Count(commandStream) == 0 })
	natstest.Eventually(t, "the advisory is settled", func() bool { return out.Count(advisoryStream) == 0 })
	all := letters(t, out)
	if len(all) != 1 || string(all[0].Data) != `{"taskId":"größe-1"}` || all[0].Subject != "factro.dead.command.acme.task.deleteTask" {
		t.Fatalf("the dead letters are %+v", all)
	}
	wantHeaders(t, all[0], map[string]string{
		"Factro-Dead-Code": events.CodeUndeliverable, "Factro-Dead-Subject": "factro.command.acme.task.deleteTask", "Factro-Dead-Deliveries": "2",
		"Factro-Dead-Position": commandStream + ":1", "Factro-Dead-Reason": consumer, "Factro-Dead-Message-Id": "größe-1",
	})
}

// TestUndeliverableFalseHeaders: a command whose headers claim to be another one, or none, is given up like any other.
func TestUndeliverableFalseHeaders(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	out := bustest.Connected(t, server)
	reported := advise(t, conn, bustest.Quiet())
	natstest.Eventually(t, "the stream of advisories", func() bool {
		_, err := out.JS.Stream(t.Context(), advisoryStream)
		return err == nil
	})
	const subject = "factro.command.acme.task.createTask"
	out.Publish(&nats.Msg{Subject: subject, Data: []byte("{}"), Header: nats.Header{ // with data, else the test's consumer takes it for the broker's
		"Nats-Sequence": {"1"}, "Nats-Subject": {"factro.command.beta.task.deleteTask"}, "Nats-Time-Stamp": {"2100-01-01T00:00:00Z"},
		"Nats-Stream": {"OTHER"}, "Status": {"404"},
	}})
	reading, err := queue(t, out, 2).Consume(func(msg jetstream.Msg) { _ = msg.Nak() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reading.Stop)
	if cmd := natstest.Receive(t, reported); cmd.Cloud != "acme" || cmd.Operation != "createTask" {
		t.Errorf("reported %+v", cmd)
	}
	natstest.Eventually(t, "the queue is empty", func() bool { return out.Count(commandStream) == 0 })
	all := letters(t, out)
	if len(all) != 1 {
		t.Fatalf("%d dead letters", len(all))
	}
	wantHeaders(t, all[0], map[string]string{"Factro-Dead-Subject": subject, "Factro-Dead-Code": events.CodeUndeliverable})
}

// TestUndeliverableAgain: an advisory that is handled twice makes one dead letter, also after a crash before the message was
// deleted.
func TestUndeliverableAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	out := bustest.Connected(t, server)
	out.Command("a")
	a := advisory{Type: maxDeliver, Stream: commandStream, Consumer: consumer, Sequence: 1, Deliveries: 2, Time: time.Now()}
	crash := newReader(t, conn, func(context.Context, events.Command, error, error) error { return context.Canceled }, bustest.Quiet())
	if err := crash.undeliverable(t.Context(), a); err == nil {
		t.Fatal("a report that could not be sent is not an error")
	}
	if n := out.Count(commandStream); n != 1 {
		t.Fatalf("the command is gone before its sender got a report: %d", n)
	}
	r := newReader(t, conn, nil, bustest.Quiet())
	for range 2 {
		if err := r.undeliverable(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if n, left := out.Count(deadStream), out.Count(commandStream); n != 1 || left != 0 {
		t.Errorf("%d dead letters, %d commands; want 1 and 0", n, left)
	}
}

// TestUndeliverableStale: an advisory about a stream that is gone does not give up the command that has its number by now.
func TestUndeliverableStale(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	out := bustest.Connected(t, server)
	out.Command("a")
	old := advisory{Type: maxDeliver, Stream: commandStream, Consumer: consumer, Sequence: 1, Time: time.Now().Add(-time.Hour)}
	if err := newReader(t, conn, nil, bustest.Quiet()).undeliverable(t.Context(), old); err != nil {
		t.Error(err)
	}
	if n, left := out.Count(deadStream), out.Count(commandStream); n != 0 || left != 1 {
		t.Errorf("%d dead letters, %d commands; want 0 and 1", n, left)
	}
}

// TestTerminated: terminations of the bridge have their dead letters and get no other; of somebody else's the advisory is kept.
func TestTerminated(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	out := bustest.Connected(t, server)
	advise(t, conn, bustest.Quiet())
	natstest.Eventually(t, "the consumer of advisories", func() bool {
		_, err := out.JS.Consumer(t.Context(), advisoryStream, consumerName)
		return err == nil
	})
	c := queue(t, out, 0)
	next := func() jetstream.Msg {
		t.Helper()
		msg, err := c.Next(jetstream.FetchMaxWait(natstest.Patience))
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	for _, id := range []string{"1", "2", "3"} { // as the bridge does: first the dead letter, then the termination
		out.Command(id)
		msg := next()
		dead := nats.NewMsg("factro.dead.command.acme.task.deleteTask")
		dead.Header.Set("Factro-Dead-Position", commandStream+":"+id)
		out.Publish(dead)
		if err := msg.TermWithReason("refused"); err != nil {
			t.Fatal(err)
		}
	}
	out.Command("4")
	if err := next().TermWithReason("keine Lust"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the foreign one has a dead letter", func() bool { return out.Count(deadStream) >= 4 })
	natstest.Eventually(t, "all advisories are settled", func() bool { return out.Count(advisoryStream) == 0 })
	all := letters(t, out)
	if len(all) != 4 || !strings.Contains(string(all[3].Data), `"stream_seq":4`) {
		t.Fatalf("%d dead letters, want 4; the last is %s", len(all), all[len(all)-1].Data)
	}
	wantHeaders(t, all[3], map[string]string{
		"Factro-Dead-Code": deadletter.CodeTerminated, "Factro-Dead-Position": commandStream + ":4", "Factro-Dead-Reason": "keine Lust",
	})
}

// TestManyTerminated: more dead letters at once than a stream may have consumers. Each termination finds its dead letter, and the
// reader makes no consumer for that.
func TestManyTerminated(t *testing.T) {
	t.Parallel()
	const many = 1500
	server := natstest.Start(t, func(o *server.Options) { o.JetStreamLimits.DefaultMaxConsumers = 100 })
	conn := bustest.Running(t, server)
	out := bustest.Connected(t, server)
	consumers := make(chan *nats.Msg, many)
	if _, err := out.NC.ChanSubscribe("$JS.EVENT.ADVISORY.CONSUMER.CREATED."+deadStream+".>", consumers); err != nil {
		t.Fatal(err)
	}
	advise(t, conn, bustest.Quiet())
	natstest.Eventually(t, "the consumer of advisories", func() bool {
		_, err := out.JS.Consumer(t.Context(), advisoryStream, consumerName)
		return err == nil
	})
	c := queue(t, out, 0)
	for i := range many {
		out.Command(strconv.Itoa(i))
	}
	batch, err := c.Fetch(many, jetstream.FetchMaxWait(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for msg := range batch.Messages() {
		n++
		dead := nats.NewMsg("factro.dead.command.acme.task.deleteTask")
		dead.Header.Set("Factro-Dead-Position", commandStream+":"+strconv.Itoa(n))
		out.Publish(dead)
		if err := msg.TermWithReason("refused"); err != nil {
			t.Fatal(err)
		}
	}
	if n != many {
		t.Fatalf("%d commands came: %v", n, batch.Error())
	}
	natstest.Eventually(t, "the queue is empty", func() bool { return out.Count(commandStream) == 0 })
	natstest.Eventually(t, "all advisories are settled", func() bool { return out.Count(advisoryStream) == 0 })
	if got := out.Count(deadStream); got != many {
		t.Errorf("there are %d dead letters, want %d", got, many)
	}
	if len(consumers) > 0 {
		t.Errorf("%d consumers were made, want none", len(consumers))
	}
}

// TestTerminatedAndDropped: the dead letter about a termination of the bridge may be gone before its advisory is read.
func TestTerminatedAndDropped(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server)
	out := bustest.Connected(t, server)
	for reason, want := range map[string]uint64{events.CodeRefused: 0, "": 1} {
		r := newReader(t, conn, nil, bustest.Quiet())
		a := advisory{Type: terminated, Stream: commandStream, Consumer: consumer, Sequence: 7, Reason: reason, Time: time.Now()}
		if done, err := r.terminated(t.Context(), a, true); done || err != nil {
			t.Errorf("reason %q, early: done %v, %v", reason, done, err)
		}
		if done, err := r.terminated(t.Context(), a, false); !done || err != nil {
			t.Errorf("reason %q: done %v, %v", reason, done, err)
		}
		if n := out.Count(deadStream); n != want {
			t.Errorf("reason %q: %d dead letters, want %d", reason, n, want)
		}
		if err := out.Stream(deadStream).Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWithoutRights: the bridge works without them, and says so once.
func TestWithoutRights(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "bridge", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{
			Deny: []string{"$JS.API.*.*." + advisoryStream, "$JS.API.*.*.*." + advisoryStream + ".>"},
		}}}}
	})
	log, book := bustest.NewLog()
	conn := bustest.Run(t, bustest.Connect(t, s, log, func(c *bus.Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:x@", 1) }))
	advise(t, conn, log)
	natstest.Eventually(t, "it is logged", func() bool { return book.Count("advisories cannot be read") == 1 })
	if err := conn.Health().Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if n := book.Count("Permissions Violation"); n != book.Count("NATS refuses a permission for advisories") {
		t.Errorf("the refusals are logged %d times:\n%s", n, book)
	}
}

// TestAdvisoriesEndWithTheConnection: nothing is left to read once it is closed.
func TestAdvisoriesEndWithTheConnection(t *testing.T) {
	t.Parallel()
	conn := bustest.Running(t, natstest.Start(t))
	done := make(chan error, 1)
	go func() { done <- newReader(t, conn, nil, bustest.Quiet()).Run(t.Context()) }()
	conn.Close()
	if err := natstest.Receive(t, done); err != nil {
		t.Error(err)
	}
}
