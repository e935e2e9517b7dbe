package events_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// broker is a NATS server with the contract's streams, and a connection to it.
type broker struct {
	*natstest.Server

	nc *nats.Conn
	js jetstream.JetStream
}

func startBroker(t testing.TB) *broker {
	t.Helper()
	b := &broker{Server: natstest.Start(t)}
	b.nc, b.js = b.connect(t)
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
		if _, err := b.js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// connect returns a connection of its own. Without a buffer, what is sent during an outage fails at once.
func (b *broker) connect(t testing.TB) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return b.Connect(t, nats.ReconnectBufSize(-1))
}

// restart has the broker go away, and come back when the test says so.
func (b *broker) restart(t testing.TB, meanwhile func()) {
	t.Helper()
	b.Stop()
	meanwhile()
	b.Start()
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

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
