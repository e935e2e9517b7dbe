package bus

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// TestStreamRemade: the stream of the commands is deleted while they are consumed. Readiness says so, and then the bridge
// makes it and goes on.
func TestStreamRemade(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	w, got := collector()
	consume(t, b, w)
	out := server.outside(t)
	out.command("a")
	receive(t, got)
	if err := out.js.DeleteStream(t.Context(), "FACTRO_COMMANDS_ACME"); err != nil {
		t.Fatal(err)
	}
	out.command("b")
	if id := receive(t, got).Event.ID(); id != "b" {
		t.Errorf("%s came", id)
	}
	ready(t, b)
}

// TestConnectionClosed: what ends the connection for good ends Run with an error, so that the process ends and is started
// again; and nothing waits for a connection that never comes.
func TestConnectionClosed(t *testing.T) {
	t.Parallel()
	b := startBroker(t).connect(t, quiet())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(t.Context()) }()
	ready(t, b)
	// Longer than a line of the protocol: the server says so, and the client does not know this error.
	if err := b.nc.Publish(strings.Repeat("x", 5000), nil); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, ended); !errors.Is(err, ErrClosed) || !strings.Contains(strings.ToLower(err.Error()), "maximum control line") {
		t.Errorf("run ended with %v", err)
	}
	if err := publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, "1"), "1"); !errors.Is(err, ErrClosed) {
		t.Errorf("published: %v", err)
	}
	if err := b.Health().Ready(); err == nil {
		t.Error("it is ready")
	}
}

// TestClosedOnPurpose: Close is an ordinary end.
func TestClosedOnPurpose(t *testing.T) {
	t.Parallel()
	b := startBroker(t).connect(t, quiet())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(t.Context()) }()
	ready(t, b)
	b.Close()
	if err := receive(t, ended); err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestStartWithoutServer(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	b := server.connect(t, quiet())
	start(t, b.Run)
	w, got := collector()
	consume(t, b, w)
	if err := b.Health().Ready(); !errors.Is(err, ErrNotConnected) {
		t.Errorf("readiness is %v", err)
	}
	server.start()
	ready(t, b)
	server.outside(t).command("a")
	receive(t, got)
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures := range 70 {
		if d := delivery.Backoff(failures); d < 125*time.Millisecond || d > 30*time.Second {
			t.Errorf("after %d failures: %s", failures, d)
		}
	}
}

// TestCloseLeaksNothing cannot be parallel: it counts the goroutines of the process.
func TestCloseLeaksNothing(t *testing.T) { //nolint:paralleltest // see above
	server := newBroker(t)
	before := runtime.NumGoroutine()
	server.start()
	b := server.connect(t, quiet())
	stopRun := start(t, b.Run)
	ready(t, b)
	w, got := collector()
	stop := consume(t, b, w)
	func() {
		nc, err := nats.Connect(server.url())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		outside{t, nc, js}.command("a")
	}()
	receive(t, got)
	stop()
	stopRun()
	b.Close()
	server.stop() // with the goroutines that it has for our connections
	if !within(func() bool { return runtime.NumGoroutine() <= before }) {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines more than before:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)])
	}
}
