package bus

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestStopFinishes: the command in hand is finished, and settled, before Consume returns.
func TestStopFinishes(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	entered, finish := make(chan struct{}), make(chan struct{})
	stop := consume(t, b, worker{handle: func(ctx, stopping context.Context, _ events.Command, _ error) error {
		close(entered)
		<-stopping.Done()
		if ctx.Err() != nil {
			t.Error("there is no grace")
		}
		<-finish
		return nil
	}})
	out := server.outside(t)
	out.command("c-1")
	receive(t, entered)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
		t.Error("Consume returned with a command in hand")
	case finish <- struct{}{}:
	}
	receive(t, stopped)
	if n := out.count("FACTRO_COMMANDS_ACME"); n != 0 {
		t.Errorf("%d commands are not settled", n)
	}
}

// TestStopGrace: a command that does not end is given up after the grace, and its verdict still reaches the broker.
func TestStopGrace(t *testing.T) {
	t.Parallel()
	for name, verdict := range map[string]error{"comes back": errors.New("interrupted"), "done at the last moment": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startBroker(t)
			b := run(t, server.connect(t, quiet(), func(c *Config) { c.DrainTimeout = 50 * time.Millisecond }))
			entered := make(chan struct{})
			stop := consume(t, b, worker{handle: func(ctx, _ context.Context, _ events.Command, _ error) error {
				close(entered)
				<-ctx.Done()
				return verdict
			}})
			out := server.outside(t)
			out.command("c-1")
			receive(t, entered)
			stop()
			if verdict == nil {
				if n := out.count("FACTRO_COMMANDS_ACME"); n != 0 {
					t.Error("it was done, and its acknowledgement was not sent")
				}
				return
			}
			w, got := collector()
			consume(t, b, w)
			receive(t, got)
		})
	}
}

// TestStopRace: a command that arrives while we stop is handled or comes again soon, whenever the stop is.
func TestStopRace(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	out := server.outside(t)
	for i := range 12 {
		handled := make(chan string, 10)
		w := worker{handle: func(_, stopping context.Context, cmd events.Command, _ error) error {
			if stopping.Err() != nil {
				return RetryAfter(errors.New("stopping"), 0)
			}
			handled <- cmd.Event.ID()
			return nil
		}}
		stop := consume(t, b, w)
		began := time.Now()
		if i%2 == 0 { // sometimes it waits for a message already, sometimes not yet
			eventually(t, "it asks", func() bool {
				c, err := out.js.Consumer(t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme")
				return err == nil && c.CachedInfo().NumWaiting > 0
			})
		}
		go stop()
		out.command(strconv.Itoa(i))
		stop()
		again := consume(t, b, w)
		if id := receive(t, handled); id != strconv.Itoa(i) {
			t.Errorf("%s came, want %d", id, i)
		}
		again()
		if d := time.Since(began); d > ackWait/2 {
			t.Errorf("it took %s, so it waited for AckWait", d)
		}
	}
	if n := out.count("FACTRO_COMMANDS_ACME"); n != 0 {
		t.Errorf("%d commands are left", n)
	}
}

// TestStopWhileAway: without a server there is nothing to wait for.
func TestStopWhileAway(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	entered := make(chan struct{}, 10)
	stop := consume(t, b, worker{ready: func(context.Context) error { entered <- struct{}{}; return nil }})
	receive(t, entered)
	server.stop()
	eventually(t, "the outage is known", func() bool { return b.Ready() != nil })
	began := time.Now()
	stop()
	b.Close()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %s to stop", d)
	}
}

func TestServerRestart(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := server.connect(t, quiet())
	b.ackWait = time.Second // what the server sent as it went down comes again after this time
	run(t, b)
	w, got := collector()
	consume(t, b, w)
	out := server.outside(t)
	for i := range 6 {
		if i == 3 {
			server.stop()
			eventually(t, "readiness knows", func() bool { return errors.Is(b.Ready(), ErrNotConnected) })
			server.start()
		}
		out.command(strconv.Itoa(i))
	}
	handled := map[string]bool{}
	for len(handled) < 6 {
		handled[receive(t, got).Event.ID()] = true
	}
	ready(t, b)
	eventually(t, "all are settled", func() bool { return out.count("FACTRO_COMMANDS_ACME") == 0 })
}

// TestRestartInHand: the server restarts while a command is worked on; the acknowledgement waits for it.
func TestRestartInHand(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	got, finish := make(chan string, 10), make(chan struct{})
	consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Event.ID()
		<-finish
		return nil
	}})
	server.outside(t).command("c-1")
	receive(t, got)
	server.stop()
	eventually(t, "the outage is known", func() bool { return b.Ready() != nil })
	close(finish)
	server.start()
	out := server.outside(t)
	eventually(t, "it is settled", func() bool { return out.count("FACTRO_COMMANDS_ACME") == 0 })
	if len(got) != 0 {
		t.Errorf("%s was handled again", <-got)
	}
}

func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	for _, asking := range []bool{true, false} {
		t.Run(strconv.FormatBool(asking), func(t *testing.T) {
			t.Parallel()
			server := startBroker(t)
			b := run(t, server.connect(t, quiet()))
			got, proceed := make(chan string, 10), make(chan struct{})
			consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
				got <- cmd.Event.ID()
				<-proceed
				return nil
			}})
			out := server.outside(t)
			out.command("a")
			receive(t, got)
			if asking {
				close(proceed)
				eventually(t, "it asks", func() bool { return out.consumer().NumWaiting > 0 })
			}
			if err := out.js.DeleteConsumer(t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme"); err != nil {
				t.Fatal(err)
			}
			if !asking { // nobody tells us; that the broker does not answer must do
				close(proceed)
			}
			out.command("b")
			id := receive(t, got)
			for id != "b" { // "a" may come again: its acknowledgement had nobody to hear it
				id = receive(t, got)
			}
		})
	}
}

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
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "1"), "1"); !errors.Is(err, ErrClosed) {
		t.Errorf("published: %v", err)
	}
	if err := b.Ready(); err == nil {
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
	if err := b.Ready(); !errors.Is(err, ErrNotConnected) {
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
	if got := limit("äöü", 3); got != "ä…" {
		t.Errorf("limit cut to %q", got)
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
