package events_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
)

// broker is a NATS server with the contract's streams that can go away and come back with its port and its store. It
// knows no testing.TB, since the examples have none.
type broker struct {
	opts server.Options
	s    *server.Server
	nc   *nats.Conn
	js   jetstream.JetStream
}

func newBroker(dir string) (*broker, error) {
	port, err := freeport.New()
	if err != nil {
		return nil, err
	}
	b := &broker{opts: server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true}}
	if err := b.start(); err != nil {
		return nil, err
	}
	if b.nc, b.js, err = b.connect(); err != nil {
		return nil, err
	}
	for name, kind := range map[string]string{
		prefix.EventStream("acme"): "event", prefix.CommandStream("acme"): "command", prefix.ResultStream("acme"): "result", prefix.DeadStream("acme"): "dead",
	} {
		cfg := jetstream.StreamConfig{Name: name, Subjects: []string{string(prefix) + "." + kind + ".acme.>"}, Duplicates: 10 * time.Minute, AllowDirect: true}
		switch kind {
		case "dead":
			cfg.Subjects = []string{string(prefix) + ".dead.command.acme.>", string(prefix) + ".dead.webhook.acme"}
		case "command":
			cfg.Retention = jetstream.WorkQueuePolicy
		}
		if _, err := b.js.CreateStream(context.Background(), cfg); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *broker) start() error {
	s, err := server.NewServer(b.opts.Clone())
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return fmt.Errorf("the NATS server is not ready")
	}
	b.s = s
	return nil
}

func (b *broker) stop() {
	if b.s != nil {
		b.s.Shutdown()
		b.s.WaitForShutdown()
		b.s = nil
	}
}

// connect returns a connection of its own. Without a buffer, what is sent during an outage fails at once.
func (b *broker) connect() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", b.opts.Port),
		nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	return nc, js, err
}

func (b *broker) close() {
	b.nc.Close()
	b.stop()
}

func startBroker(t testing.TB) *broker {
	t.Helper()
	b, err := newBroker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

// restart has the broker go away, and come back when the test says so.
func (b *broker) restart(t testing.TB, meanwhile func()) {
	t.Helper()
	b.stop()
	meanwhile()
	if err := b.start(); err != nil {
		t.Fatal(err)
	}
}

// publish stores an event out of factro.
func (b *broker) publish(t testing.TB, subject, id string) {
	t.Helper()
	e := taskEvent()
	e.SetID(id)
	msg, err := events.ToMsg(subject, e)
	if err != nil {
		t.Fatal(err)
	}
	b.store(t, msg)
}

// store publishes a message, and again while the broker is away or begins.
func (b *broker) store(t testing.TB, msg *nats.Msg) {
	t.Helper()
	for {
		once, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := b.js.PublishMsg(once, msg)
		cancel()
		if err == nil {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

// storeFolder is one for an example, which has no test to ask.
func storeFolder() (string, func()) {
	dir, err := os.MkdirTemp("", "events-example-")
	if err != nil {
		panic(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
