package bus

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
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/tests/process"
)

// What the bus records, for all tests: the providers are global, and are set before anything asks for them.
var (
	spans  = tracetest.NewInMemoryExporter()
	reader = sdkmetric.NewManualReader()
)

// atOnce is how many tests run at the same time, unless somebody says otherwise: nearly all of them wait for the broker, or
// for an election, and not for a processor.
const atOnce = 8

func TestMain(m *testing.M) {
	if process.ServedNATS() {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	flag.Parse()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	os.Exit(m.Run())
}

// broker is a NATS server that can go away and come back with its port and its store.
type broker struct{ *natstest.Server }

func startBroker(t testing.TB, change ...func(*server.Options)) *broker {
	t.Helper()
	return &broker{natstest.Start(t, change...)}
}

// newBroker returns a server that is away.
func newBroker(t testing.TB) *broker {
	t.Helper()
	return &broker{natstest.New(t)}
}

func (b *broker) start() { b.Start() }

func (b *broker) stop() { b.Stop() }

func (b *broker) url() string { return b.URL() }

// outside is a connection of somebody else's, to look at what the bus does and to send commands.
type outside struct {
	t  testing.TB
	nc *nats.Conn
	js jetstream.JetStream
}

func (b *broker) outside(t testing.TB) outside {
	t.Helper()
	nc, js := b.Connect(t)
	return outside{t, nc, js}
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

func (o outside) consumer() *jetstream.ConsumerInfo {
	o.t.Helper()
	c, err := o.js.Consumer(o.t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme")
	if err != nil {
		o.t.Fatal(err)
	}
	return c.CachedInfo()
}

// command publishes a plain command with an id.
func (o outside) command(id string) {
	o.t.Helper()
	m := nats.NewMsg("factro.command.acme.task.deleteTask")
	m.Header.Set("Nats-Msg-Id", id)
	m.Data = []byte(`{"taskId":"` + id + `"}`)
	o.publish(m)
}

func (o outside) publish(m *nats.Msg) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 20*time.Second)
	defer cancel()
	for {
		attempt, stop := context.WithTimeout(ctx, AttemptTimeout) // during a change of leader one is never answered
		_, err := o.js.PublishMsg(attempt, m)
		stop()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			o.t.Fatalf("publish to %s: %v", m.Subject, err)
		}
	}
}

func (b *broker) config() Config {
	return Config{URL: b.url(), Name: "test", Prefix: "factro", Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: 5 * time.Second}
}

// clouds has the bus work for these.
func clouds(names ...string) func(*Config) { return func(c *Config) { c.Clouds = names } }

// connect returns a bus with short times, which does not run yet.
func (b *broker) connect(t testing.TB, log *slog.Logger, change ...any) *Conn {
	t.Helper()
	cfg := b.config()
	options := []Option{WithTiming(Timing{Heartbeat: 500 * time.Millisecond, CheckEvery: 50 * time.Millisecond, CheckTimeout: 2 * time.Second})}
	for _, c := range change {
		switch c := c.(type) {
		case func(*Config):
			c(&cfg)
		case Option:
			options = append(options, c)
		default:
			t.Fatalf("%T changes nothing", c)
		}
	}
	var err error
	if cfg.Files, err = lastgood.NewFiles(log); err != nil {
		t.Fatal(err)
	}
	bus, err := Connect(cfg, log, append(options, withStreams(log))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return bus
}

// run runs the bus until the test ends and waits until it is ready.
func run(t testing.TB, b *Conn) *Conn {
	t.Helper()
	start(t, b.Run)
	ready(t, b)
	return b
}

func ready(t testing.TB, b *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*natstest.Patience)
	defer cancel()
	if err := waitReady(ctx, b); err != nil {
		t.Fatal(err)
	}
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

// consume has the commands of the cloud acme handled one by one, in the plainest way; bus/commands has the real one.
func consume(t testing.TB, b *Conn, w worker) (stop func()) {
	t.Helper()
	return start(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			better := b.Recovered()
			pullAll(ctx, b, w)
			b.Recheck()
			select {
			case <-ctx.Done():
			case <-better:
			case <-time.After(100 * time.Millisecond):
			}
		}
		return nil
	})
}

// pullAll pulls until ctx ends or the consumer is lost.
func pullAll(ctx context.Context, b *Conn, w worker) {
	if b.AwaitUp(ctx) != nil {
		return
	}
	binding, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := CommandConsumer(binding, b, "acme")
	b.Health().Pulls("acme", err)
	if err != nil {
		return
	}
	info := c.CachedInfo()
	puller := delivery.Puller{Conn: b.nc, Line: b, API: b.cfg.APIRoot(), Stream: info.Stream, Consumer: info.Name, Heartbeat: b.heartbeat}
	for ctx.Err() == nil {
		msg, err := puller.Next(ctx)
		if err != nil {
			return
		}
		if msg == nil {
			continue
		}
		cmd, mistake := b.cfg.Prefix.DecodeCommand(msg.Subject, msg.Header, msg.Data, msg.Subject)
		verdict := delivery.Ack
		if w.handle(ctx, ctx, cmd, mistake) != nil {
			verdict = delivery.Nak(0)
		}
		_ = delivery.Confirm(ctx, b, b.nc, msg.Reply, verdict) // else it comes again
	}
}

// worker handles commands.
type worker struct {
	handle func(ctx, stopping context.Context, cmd events.Command, mistake error) error
}

// collector is a worker that hands over what it gets.
func collector() (worker, <-chan events.Command) {
	got := make(chan events.Command, 100)
	return worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd
		return nil
	}}, got
}

const patience = natstest.Patience

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	return natstest.Receive(t, c)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	natstest.Eventually(t, what, ok)
}

func within(ok func() bool) bool { return natstest.Within(ok) }

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

const eventSubject = "factro.event.acme.task.1.TaskStateChanged"

// waitReady waits until Ready is nil.
func waitReady(ctx context.Context, b *Conn) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.Health().Ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for NATS: %w", err)
		case <-tick.C:
		}
	}
}

// Logger is where a connection logs, for what is built on it outside.
func (b *Conn) Logger() *slog.Logger { return b.log }

// RecordKeeper is the ledger, which stands on this package, and a lease.
type RecordKeeper interface {
	Lease(ctx context.Context, key string) error
	Begin(ctx context.Context, cloud, id string) (known bool, err error)
	Look(ctx context.Context, cloud, id string) (known bool, err error)
}

// NewLedger is set by the tests that see this package from outside.
var NewLedger func(*Conn) RecordKeeper

func ledger(b *Conn) RecordKeeper { return NewLedger(b) }

// NewStreams is set by the tests that see this package from outside. nearly is 0 for the default.
var NewStreams func(b *Conn, nearly uint64, log *slog.Logger) Streams

// withStreams has a connection make and check its streams, unless another option did so.
func withStreams(log *slog.Logger) Option {
	return func(b *Conn) {
		if b.newStreams == nil {
			b.newStreams = func(b *Conn) Streams { return NewStreams(b, 0, log) }
		}
	}
}

// nearly has the streams of an older version give up their subjects when so much is left to copy.
func nearly(messages uint64) Option {
	return WithStreams(func(b *Conn) Streams { return NewStreams(b, messages, b.log) })
}

// Client is a connection of the command line, which stands on this package.
type Client interface {
	Close()
	PublishEvent(ctx context.Context, p events.Prefix, subject string, e event.Event, id string) error
	PublishAcked(ctx context.Context, p events.Prefix, msg *nats.Msg) (*jetstream.PubAck, error)
}

// DialClient is set as NewStreams is.
var DialClient func(Config) (Client, error)

// CommandConsumer is set as NewStreams is.
var CommandConsumer func(ctx context.Context, b *Conn, cloud string) (jetstream.Consumer, error)

// Difference is one that the command line lists.
type Difference struct{ Cloud, Stream, What string }

// Differences is set as NewStreams is.
var Differences func(ctx context.Context, c Client) ([]Difference, error)

func (o outside) noProbe() {
	o.t.Helper()
	eventually(o.t, "no probe is left", func() bool { _, err := o.js.Stream(o.t.Context(), "FACTRO_ROOM"); return err != nil })
}

// publisher publishes on a connection.
func publisher(t testing.TB, b *Conn) *publish.Publisher {
	t.Helper()
	p, err := publish.New(t.Context(), b, b.log)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
