// Package bustest connects tests of the bus wing, and of what stands on it, to real servers.
//
// In: a server of natstest. Out: a connection of the bridge with short times, which ends with the test.
//
// It never replaces anything by a fake. No program imports it.
package bustest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// Config is a configuration for the cloud acme that may manage.
func Config(url string) bus.Config {
	return bus.Config{URL: url, Name: "test", Prefix: "factro", Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: 5 * time.Second}
}

// Clouds has a connection work for these.
func Clouds(names ...string) func(*bus.Config) { return func(c *bus.Config) { c.Clouds = names } }

// Connect returns a connection with short times, which does not run yet.
func Connect(t testing.TB, s *natstest.Server, log *slog.Logger, change ...func(*bus.Config)) *bus.Conn {
	t.Helper()
	cfg := Config(s.URL())
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if cfg.Files, err = lastgood.NewFiles(log); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(cfg, log, bus.WithLooks(50*time.Millisecond, 2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Running returns a connection for the clouds that is ready.
func Running(t testing.TB, s *natstest.Server, change ...func(*bus.Config)) *bus.Conn {
	t.Helper()
	return Run(t, Connect(t, s, Quiet(), change...))
}

// Run runs a connection until the test ends, and waits until it is ready.
func Run(t testing.TB, b *bus.Conn) *bus.Conn {
	t.Helper()
	Start(t, b.Run)
	Ready(t, b)
	return b
}

// Ready waits until a connection is ready.
func Ready(t testing.TB, b *bus.Conn) {
	t.Helper()
	if !natstest.Within(func() bool { return b.Ready() == nil }) {
		t.Fatalf("waiting for NATS: %v", b.Ready())
	}
}

// Start runs something in the background. The returned function stops it and waits for its end, and so does the end of the test.
func Start(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // that of the test ends before its cleanups, which have an order
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

// Quiet logs nothing.
func Quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Log keeps what was logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// NewLog returns a logger, and what it has logged.
func NewLog() (*slog.Logger, *Log) {
	l := &Log{}
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), l
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Count says how often a text was logged.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

// EventSubject is where TaskEvent belongs.
const EventSubject = "factro.event.acme.task.1.TaskStateChanged"

// TaskEvent is an event as the ingress makes it.
func TaskEvent(t testing.TB, id string) event.Event {
	t.Helper()
	e := event.Event{Context: &event.EventContextV1{ID: id}} // the setter trims
	e.SetSource("urn:factro:cloud:acme")
	e.SetType("com.factro.TaskStateChanged")
	if err := e.SetData("application/json", json.RawMessage(`{"action":"TaskStateChanged","context":{"entityId":"1"}}`)); err != nil {
		t.Fatal(fmt.Errorf("event %s: %w", id, err))
	}
	return e
}
