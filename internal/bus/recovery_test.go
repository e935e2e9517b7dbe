package bus

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// hasty makes the times of the connection short.
var hasty = WithTiming(Timing{Rhythm: dial.Rhythm{ReconnectWait: time.Millisecond, Jitter: time.Millisecond, PingInterval: 250 * time.Millisecond}}) // a busy machine may answer late

func pings(every time.Duration) Option {
	return WithTiming(Timing{Rhythm: dial.Rhythm{PingInterval: every}})
}

// unready waits until readiness gives a reason that holds the text.
func unready(t testing.TB, b *Conn, text string) {
	t.Helper()
	var last error
	if !within(func() bool {
		last = b.Health().Ready()
		return last != nil && strings.Contains(strings.ToLower(last.Error()), strings.ToLower(text))
	}) {
		t.Fatalf("readiness never tells of %q, but of: %v", text, last)
	}
}

// storeEvent publishes an event and fails the test if that fails.
func storeEvent(t testing.TB, b *Conn, id string) {
	t.Helper()
	if err := publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, id), id); err != nil {
		t.Fatal(err)
	}
}

// TestOutlastsTheClient: the client gives up after 60 attempts unless it is configured otherwise, and after two refusals.
func TestOutlastsTheClient(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet(), hasty))
	broker.stop()
	l, err := net.Listen("tcp", strings.TrimPrefix(broker.url(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2*nats.DefaultMaxReconnect + 1 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if err := b.Health().Ready(); !errors.Is(err, ErrNotConnected) {
		t.Errorf("readiness is %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	broker.start()
	ready(t, b)
	storeEvent(t, b, "e-1")
}

// TestPace holds what the tests make short: the connection is never given up, and a silent server is noticed soon.
func TestPace(t *testing.T) {
	t.Parallel()
	b := startBroker(t).connect(t, quiet())
	o := b.nc.Opts
	if o.MaxReconnect != -1 || !o.IgnoreAuthErrorAbort || !o.RetryOnFailedConnect || o.ReconnectBufSize != -1 ||
		o.ReconnectWait+o.ReconnectJitter > time.Second || time.Duration(o.MaxPingsOut+1)*o.PingInterval > 15*time.Second {
		t.Errorf("the connection has %+v", o)
	}
}

// TestStoreEmptied: the server comes back without anything that it had.
func TestStoreEmptied(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet(), hasty))
	w, got := collector()
	consume(t, b, w)
	broker.outside(t).command("a")
	receive(t, got)
	storeEvent(t, b, "e-1")

	broker.stop()
	unready(t, b, "not connected")
	if err := os.RemoveAll(broker.Options.StoreDir); err != nil {
		t.Fatal(err)
	}
	broker.start()
	ready(t, b)
	out := broker.outside(t)
	storeEvent(t, b, "e-1")
	if n := out.count("FACTRO_EVENTS_ACME"); n != 1 {
		t.Errorf("the stream has %d events", n)
	}
	out.command("b")
	if id := receive(t, got).Event.ID(); id != "b" {
		t.Errorf("%s came", id)
	}
}

// TestAllStreamsDeleted: everything of ours is deleted while the connection stays.
func TestAllStreamsDeleted(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	w, got := collector()
	consume(t, b, w)
	out := broker.outside(t)
	out.command("a")
	receive(t, got)
	if _, err := ledger(b).Begin(t.Context(), "acme", "1"); err != nil {
		t.Fatal(err)
	}
	for name := range out.js.StreamNames(t.Context()).Name() {
		if err := out.js.DeleteStream(t.Context(), name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Fatal(err)
		}
	}
	// It waits for the stream, but not for ever: on a busy machine it has to be published again, as its sender would.
	eventually(t, "the event is stored", func() bool {
		return publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "acme.e-1") == nil
	})
	out.command("b")
	if id := receive(t, got).Event.ID(); id != "b" {
		t.Errorf("%s came", id)
	}
	eventually(t, "the ledger is written again", func() bool {
		known, err := ledger(b).Begin(t.Context(), "acme", "2")
		return err == nil && !known
	})
	for _, bucket := range []string{"FACTRO_FILES_ACME", "FACTRO_ANSWERS_ACME"} {
		eventually(t, bucket+" is back", func() bool { _, err := out.js.ObjectStore(t.Context(), bucket); return err == nil })
	}
	if _, err := objects.New(b).Keep(t.Context(), "acme", "a-1", strings.NewReader("ä")); err != nil {
		t.Error(err)
	}
	ready(t, b)
	if n := b.nc.Stats().Reconnects; n != 0 {
		t.Errorf("%d new connections", n)
	}
}

// TestLedgerFails: a ledger that cannot be written is a reason not to be ready.
func TestLedgerFails(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := broker.connect(t, quiet())
	b.checkEvery = time.Hour // what is known is known from writing
	run(t, b)
	records := ledger(b)
	out := broker.outside(t)
	eventually(t, "the looks are over", func() bool { return len(b.changed) == 0 })
	if _, err := records.Begin(t.Context(), "acme", "1"); err != nil {
		t.Fatal(err)
	}
	if err := out.js.DeleteStream(t.Context(), "KV_FACTRO_LEDGER_ACME"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written again", func() bool {
		_, err := records.Begin(t.Context(), "acme", "2")
		return err == nil
	})
	ready(t, b)
}

// TestStreamRefuses: an operator has sealed the stream, or filled it.
func TestStreamRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		repair func(testing.TB, outside)
	}{
		"sealed": {
			func(c *jetstream.StreamConfig) { c.Sealed = true },
			func(t testing.TB, out outside) { // there is no way to unseal one
				t.Helper()
				if err := out.js.DeleteStream(t.Context(), "FACTRO_EVENTS_ACME"); err != nil {
					t.Fatal(err)
				}
			},
		},
		"full": {
			func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardNew, 1 },
			func(t testing.TB, out outside) {
				t.Helper()
				if err := out.stream("FACTRO_EVENTS_ACME").Purge(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := startBroker(t)
			b := run(t, broker.connect(t, quiet()))
			out := broker.outside(t)
			storeEvent(t, b, "e-1")
			cfg := out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config
			test.change(&cfg)
			if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if err := publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, "e-2"), "e-2"); err == nil {
				t.Error("it was stored")
			}
			unready(t, b, "FACTRO_EVENTS_ACME cannot be used: it is "+name)
			test.repair(t, out)
			ready(t, b)
			publishUntilStored(t, b, "e-2")
		})
	}
}

// wire is between the bus and the server and can swallow what goes through it.
type wire struct {
	net.Listener
	to string

	mu     sync.Mutex
	frozen chan struct{} // closed when what is connected by now is to hear nothing any more
}

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to, frozen: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			frozen := w.frozen
			w.mu.Unlock()
			s, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			go pass(c, s, frozen)
			go pass(s, c, frozen)
		}
	}()
	return w
}

// pass hands over what comes, or, once it is frozen, swallows it.
func pass(to, from net.Conn, frozen <-chan struct{}) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-frozen:
			continue
		default:
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// freeze makes the connections that there are half-open; new ones are well.
func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.frozen)
	w.frozen = make(chan struct{})
}

// TestHalfOpen: the server falls silent, and nobody closes the connection.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	wire := newWire(t, strings.TrimPrefix(broker.url(), "nats://"))
	b := broker.connect(t, quiet(), hasty, func(c *Config) { c.URL = "nats://" + wire.Addr().String() })
	b.ackWait = time.Second // the server goes on to send into the connection that it believes to be there
	run(t, b)
	w, got := collector()
	consume(t, b, w)
	storeEvent(t, b, "e-1")
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	wire.freeze()
	receive(t, down) // the pings have noticed
	ready(t, b)
	storeEvent(t, b, "e-2")
	out := broker.outside(t)
	out.command("a")
	receive(t, got)
	if n := out.count("FACTRO_EVENTS_ACME"); n != 2 {
		t.Errorf("the stream has %d events", n)
	}
}

// TestSilence: the pings notice late, but the publishes fail before, and that is a reason not to be ready.
func TestSilence(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	wire := newWire(t, strings.TrimPrefix(broker.url(), "nats://"))
	b := broker.connect(t, quiet(), hasty, pings(time.Hour), func(c *Config) { c.URL = "nats://" + wire.Addr().String() })
	b.checkEvery = time.Hour
	run(t, b)
	eventually(t, "the looks are over", func() bool { return len(b.changed) == 0 })
	wire.freeze()
	ctx, cancel := context.WithTimeout(t.Context(), AttemptTimeout)
	defer cancel()
	if err := publisher(t, b).Publish(ctx, eventSubject, taskEvent(t, "e-1"), "e-1"); err == nil {
		t.Fatal("it was stored")
	}
	if err := b.Health().OfCloud("acme").Webhooks; err == nil || !strings.Contains(err.Error(), "the last publish to factro.event.acme failed") {
		t.Errorf("it remembers %v", err)
	}
	if b.Health().Ready() == nil {
		t.Error("it is ready")
	}
	if err := b.nc.ForceReconnect(); err != nil { // what the pings do
		t.Fatal(err)
	}
	ready(t, b)
}

// TestOwnMistakes: what is wrong with one message, or with who sent it, is no reason for another not to be taken.
func TestOwnMistakes(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := publisher(t, b).Publish(gone, eventSubject, taskEvent(t, "e-1"), "e-1"); err == nil {
		t.Error("its sender has gone, and it was stored")
	}
	e := taskEvent(t, "e-2")
	e.DataEncoded = []byte(`"` + strings.Repeat("ä", 1<<20) + `"`)
	if err := publisher(t, b).Publish(t.Context(), eventSubject, e, "e-2"); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if _, err := objects.New(b).Keep(t.Context(), "acme", "a", io.LimitReader(broken{}, 10)); err == nil {
		t.Error("a broken answer was stored")
	}
	if err := b.Health().Ready(); err != nil {
		t.Errorf("readiness is %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

// TestPublishDisconnects: what fails since the client has lost its connection, and has not told us yet, is no attempt.
func TestPublishDisconnects(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	server.stop()
	eventually(t, "the outage is known", func() bool { return b.Health().Ready() != nil })
	b.mu.Lock() // as if the news had not come yet
	b.isUp, b.up, b.down = true, make(chan struct{}), make(chan struct{})
	close(b.up)
	b.mu.Unlock()

	done := make(chan error, 1)
	go func() { done <- publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "e-1") }()
	select {
	case err := <-done:
		t.Fatalf("gave up: %v", err)
	case <-time.After(time.Second): // far more than three attempts take
	}
	server.start()
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
}

// TestPublishNoStream: without a stream the error comes, and the look for the streams is made at once.
func TestPublishNoStream(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := server.connect(t, quiet())
	b.checkEvery = time.Hour
	run(t, b)
	out := server.outside(t)
	eventually(t, "the second look, which the connection asked for, is over", func() bool { return len(b.changed) == 0 })
	if err := out.js.DeleteStream(t.Context(), "FACTRO_EVENTS_ACME"); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, b)
	eventually(t, "it is stored", func() bool { // a slow machine needs longer for the streams than one call waits
		return p.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "e-1") == nil
	})
	if n := out.count("FACTRO_EVENTS_ACME"); n != 1 {
		t.Errorf("the new stream has %d messages", n)
	}
}
