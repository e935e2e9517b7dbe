package spool

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestMain(m *testing.M) { bustest.Main(m) }

const (
	prefix   events.Prefix = "factro"
	patience               = natstest.Patience

	headerDeadCode, headerDeadSubject, headerDeadCut = "Factro-Dead-Code", "Factro-Dead-Subject", "Factro-Dead-Cut"
)

// dial connects a client that reads dead letters.
func dial(t testing.TB, s *natstest.Server) *client.Client {
	t.Helper()
	c, err := client.Dial(bustest.Config(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// away returns a server that is not started yet, and a connection to it.
func away(t testing.TB, change ...func(*server.Options)) (*natstest.Server, *bus.Conn) {
	t.Helper()
	s := natstest.New(t, change...)
	conn := bustest.Connect(t, s, bustest.Quiet())
	bustest.Start(t, conn.Run)
	return s, conn
}

func config(dir string) Config {
	return Config{Prefix: prefix, Dir: dir, MaxBytes: 64 << 20, DrainPerSecond: 100_000}
}

// plenty is a file system that never fills.
func plenty(string) (int64, error) { return 1 << 40, nil }

// newSpool opens a spool that nobody drains yet.
func newSpool(t testing.TB, conn *bus.Conn, cfg Config) *Spool {
	t.Helper()
	return newLoggedSpool(t, conn, cfg, bustest.Quiet())
}

func newLoggedSpool(t testing.TB, conn *bus.Conn, cfg Config, log *slog.Logger) *Spool {
	t.Helper()
	s, err := open(t.Context(), cfg, conn, bustest.Publisher(t, conn), letters(t, conn), log, plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.attempt, s.patience = patience, patience // a busy machine is no slow broker
	return s
}

// task is the destination of the events of one task, and subjectOf their subject.
func task(n int) events.EventAddress {
	return events.EventAddress{Cloud: "acme", Resource: "task", ID: fmt.Sprint(n), Action: "TaskStateChanged"}
}

func subjectOf(n int) string { return fmt.Sprintf("factro.event.acme.task.%d.TaskStateChanged", n) }

// taskEvent is an event as the ingress makes it.
func taskEvent(t testing.TB, id string) event.Event {
	t.Helper()
	e := event.Event{Context: &event.EventContextV1{ID: id}} // the setter trims
	e.SetSource("urn:factro:cloud:acme")
	e.SetType("com.factro.TaskStateChanged")
	if err := e.SetData("application/json", json.RawMessage(`{"action":"TaskStateChanged","context":{"entityId":"1"}}`)); err != nil {
		t.Fatal(err)
	}
	return e
}

// bodyEvent is an event with the id w-1 and a body.
func bodyEvent(t testing.TB, body string) event.Event {
	t.Helper()
	e := taskEvent(t, "w-1")
	e.DataEncoded = []byte(body)
	return e
}

// store publishes an event and wants it to be spooled or not.
func store(t testing.TB, s *Spool, to events.EventAddress, id string, wantSpooled bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, spooled, err := s.Publish(ctx, to, taskEvent(t, id), "acme."+id)
	if err != nil || spooled != wantSpooled {
		t.Fatalf("%s: spooled %v, %v; want %v", id, spooled, err, wantSpooled)
	}
}

// wantBalance waits until all is handed over, and wants nothing to be missing.
func wantBalance(t testing.TB, s *Spool) {
	t.Helper()
	natstest.Eventually(t, "the spool is empty", func() bool { return s.queues.waiting() == 0 })
	there, miss, ok := s.balance(t.Context())
	if !ok || miss != 0 || len(there.Messages) != 0 {
		t.Errorf("%d messages are not accounted for, %v are on the disk, %v", miss, there.Messages, ok)
	}
}

// outside is a connection of somebody else's, to see what the spool does.
type outside struct {
	t testing.TB
	bustest.Outside
}

func connected(t testing.TB, s *natstest.Server) outside {
	t.Helper()
	return outside{t, bustest.Connected(t, s)}
}

// eventIDs are the ids of the events in the stream of events, in order.
func (o outside) eventIDs() []string {
	o.t.Helper()
	var out []string
	for _, m := range o.Events() {
		out = append(out, m.Header.Get("ce-id"))
	}
	return out
}

func (o outside) wantBodies(want map[string]string) {
	o.t.Helper()
	got := map[string]string{}
	all := o.Events()
	for _, m := range all {
		got[m.Header.Get("ce-id")] = string(m.Data)
	}
	if len(all) != len(want) {
		o.t.Fatalf("the stream has %d events, %v; want %v", len(all), got, want)
	}
	for id, body := range want {
		if got[id] != body {
			o.t.Errorf("%s has the body %q, want %q", id, got[id], body)
		}
	}
}

// limit changes the largest message of a stream.
func (o outside) limit(stream string, most int32) {
	o.t.Helper()
	cfg := o.Stream(stream).CachedInfo().Config
	cfg.MaxMsgSize = most
	if _, err := o.JS.UpdateStream(o.t.Context(), cfg); err != nil {
		o.t.Fatal(err)
	}
}

// letters keeps the dead letters of a connection.
func letters(t testing.TB, conn *bus.Conn) *deadletter.Store {
	t.Helper()
	store, err := deadletter.New(t.Context(), conn, bustest.Publisher(t, conn), objects.NewOriginals(conn, bustest.Ensurer(conn), bustest.Quiet()), bustest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	return store
}
