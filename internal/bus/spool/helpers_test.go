package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// spans are what all tests record: the provider is global, and is set before anything asks for it.
var spans = tracetest.NewInMemoryExporter()

// atOnce is how many tests run at the same time, unless somebody says otherwise: nearly all of them wait for the broker, and
// not for a processor.
const atOnce = 8

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	flag.Parse()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	os.Exit(m.Run())
}

const (
	prefix   events.Prefix = "factro"
	patience               = natstest.Patience

	headerDeadCode, headerDeadSubject, headerDeadCut = "Factro-Dead-Code", "Factro-Dead-Subject", "Factro-Dead-Cut"
)

// broker is a NATS server that can go away and come back.
type broker struct{ *natstest.Server }

func startBroker(t testing.TB, change ...func(*server.Options)) broker {
	t.Helper()
	return broker{natstest.Start(t, change...)}
}

func (b broker) config() bus.Config {
	return bus.Config{URL: b.URL(), Name: "test", Prefix: prefix, Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: 5 * time.Second}
}

// connect returns a connection that does not run yet.
func (b broker) connect(t testing.TB, log *slog.Logger, change ...func(*bus.Config)) *bus.Conn {
	t.Helper()
	cfg := b.config()
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if cfg.Files, err = lastgood.NewFiles(log); err != nil {
		t.Fatal(err)
	}
	conn, err := bus.Connect(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// dial connects a client that reads dead letters.
func (b broker) dial(t testing.TB) *bus.Client {
	t.Helper()
	c, err := bus.Dial(b.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// away returns a broker that is not started yet, and a connection to it.
func away(t testing.TB, change ...func(*server.Options)) (broker, *bus.Conn) {
	t.Helper()
	b := broker{natstest.New(t, change...)}
	conn := b.connect(t, quiet())
	start(t, conn.Run)
	return b, conn
}

// run runs a connection until the test ends and waits until it is ready.
func run(t testing.TB, conn *bus.Conn) *bus.Conn {
	t.Helper()
	start(t, conn.Run)
	ready(t, conn)
	return conn
}

func ready(t testing.TB, conn *bus.Conn) {
	t.Helper()
	eventually(t, "the streams are ready", func() bool { return conn.Ready() == nil })
}

// start runs something in the background. The returned function stops it and waits for its end; so does the test's.
func start(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // t.Context ends before the cleanups, which want an order
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	natstest.Eventually(t, what, ok)
}

func config(dir string) Config {
	return Config{Prefix: prefix, Dir: dir, MaxBytes: 64 << 20, DrainPerSecond: 100_000}
}

// plenty is a file system that never fills.
func plenty(string) (int64, error) { return 1 << 40, nil }

// newSpool opens a spool that nobody drains yet.
func newSpool(t testing.TB, conn *bus.Conn, cfg Config) *Spool {
	t.Helper()
	return newLoggedSpool(t, conn, cfg, quiet())
}

func newLoggedSpool(t testing.TB, conn *bus.Conn, cfg Config, log *slog.Logger) *Spool {
	t.Helper()
	s, err := open(t.Context(), cfg, conn, letters(t, conn), log, plenty)
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
	eventually(t, "the spool is empty", func() bool { return s.waiting() == 0 })
	there, miss, ok := s.balance(t.Context())
	if !ok || miss != 0 || len(there.Messages) != 0 {
		t.Errorf("%d messages are not accounted for, %v are on the disk, %v", miss, there.Messages, ok)
	}
}

// outside is a connection of somebody else's, to see what the spool does.
type outside struct {
	t  testing.TB
	js jetstream.JetStream
}

func (b broker) outside(t testing.TB) outside {
	t.Helper()
	_, js := b.Connect(t)
	return outside{t, js}
}

func (o outside) stream(name string) jetstream.Stream {
	o.t.Helper()
	s, err := o.js.Stream(o.t.Context(), name)
	if err != nil {
		o.t.Fatalf("stream %s: %v", name, err)
	}
	return s
}

func (o outside) count(name string) uint64 {
	o.t.Helper()
	return o.stream(name).CachedInfo().State.Msgs
}

// last returns the last message of a stream.
func (o outside) last(name string) *jetstream.RawStreamMsg {
	o.t.Helper()
	s := o.stream(name)
	m, err := s.GetMsg(o.t.Context(), s.CachedInfo().State.LastSeq)
	if err != nil {
		o.t.Fatal(err)
	}
	return m
}

// events are the messages of the stream of events, in order, and eventIDs the ids of these events.
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

func (o outside) eventIDs() []string {
	o.t.Helper()
	var out []string
	for _, m := range o.events() {
		out = append(out, m.Header.Get("ce-id"))
	}
	return out
}

func (o outside) wantBodies(want map[string]string) {
	o.t.Helper()
	got := map[string]string{}
	all := o.events()
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
	cfg := o.stream(stream).CachedInfo().Config
	cfg.MaxMsgSize = most
	if _, err := o.js.UpdateStream(o.t.Context(), cfg); err != nil {
		o.t.Fatal(err)
	}
}

// logbook keeps what was logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func newLog() (*slog.Logger, *logbook) {
	l := &logbook{}
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), l
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logbook) count(text string) int { return strings.Count(l.String(), text) }

// letters keeps the dead letters of a connection.
func letters(t testing.TB, conn *bus.Conn) *deadletter.Store {
	t.Helper()
	store, err := deadletter.New(conn, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return store
}
