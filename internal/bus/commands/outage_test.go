package commands

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestStopFinishes: the command in flight is finished, and settled, before Consume returns.
func TestStopFinishes(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
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
	out := bustest.Connected(t, server)
	out.Command("c-1")
	natstest.Receive(t, entered)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
		t.Error("Consume returned while a command was in flight")
	case finish <- struct{}{}:
	}
	natstest.Receive(t, stopped)
	if n := out.Count("FACTRO_COMMANDS_ACME"); n != 0 {
		t.Errorf("%d commands are not settled", n)
	}
}

// TestStopGrace: a command that does not end is given up after the grace, and its verdict still reaches the broker.
func TestStopGrace(t *testing.T) {
	t.Parallel()
	for name, verdict := range map[string]error{"comes back": errors.New("interrupted"), "done at the last moment": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet(), func(c *bus.Config) { c.DrainTimeout = 50 * time.Millisecond }))
			entered := make(chan struct{})
			stop := consume(t, b, worker{handle: func(ctx, _ context.Context, _ events.Command, _ error) error {
				close(entered)
				<-ctx.Done()
				return verdict
			}})
			out := bustest.Connected(t, server)
			out.Command("c-1")
			natstest.Receive(t, entered)
			stop()
			if verdict == nil {
				if n := out.Count("FACTRO_COMMANDS_ACME"); n != 0 {
					t.Error("it was done, and its acknowledgement was not sent")
				}
				return
			}
			w, got := collector()
			consume(t, b, w)
			natstest.Receive(t, got)
		})
	}
}

// TestStopRace: a command that arrives while we stop is handled or comes again soon, whenever the stop is.
func TestStopRace(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
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
			natstest.Eventually(t, "it asks", func() bool {
				c, err := out.JS.Consumer(t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme")
				return err == nil && c.CachedInfo().NumWaiting > 0
			})
		}
		go stop()
		out.Command(strconv.Itoa(i))
		stop()
		again := consume(t, b, w)
		if id := natstest.Receive(t, handled); id != strconv.Itoa(i) {
			t.Errorf("%s came, want %d", id, i)
		}
		again()
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %s, so it waited for AckWait", d)
		}
	}
	if n := out.Count("FACTRO_COMMANDS_ACME"); n != 0 {
		t.Errorf("%d commands are left", n)
	}
}

// TestStopWhileAway: without a server there is nothing to wait for.
func TestStopWhileAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	entered := make(chan struct{}, 10)
	stop := consume(t, b, worker{ready: func(context.Context) error { entered <- struct{}{}; return nil }})
	natstest.Receive(t, entered)
	server.Stop()
	natstest.Eventually(t, "the outage is known", func() bool { return b.Health().Ready() != nil })
	began := time.Now()
	stop()
	b.Close()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %s to stop", d)
	}
}

func TestServerRestart(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	// What the server sent as it went down comes again after AckWait.
	b := bustest.Run(t, bustest.ConnectWith(t, server, bustest.Quiet(), bus.Timing{AckWait: time.Second}))
	w, got := collector()
	consume(t, b, w)
	out := bustest.Connected(t, server)
	for i := range 6 {
		if i == 3 {
			server.Stop()
			natstest.Eventually(t, "readiness knows", func() bool { return errors.Is(b.Health().Ready(), bus.ErrNotConnected) })
			server.Start()
		}
		out.Command(strconv.Itoa(i))
	}
	handled := map[string]bool{}
	for len(handled) < 6 {
		handled[natstest.Receive(t, got).Event.ID()] = true
	}
	bustest.Ready(t, b)
	natstest.Eventually(t, "all are settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
}

// TestRestartInFlight: the server restarts while a command is worked on; the acknowledgement waits for it.
func TestRestartInFlight(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	got, finish := make(chan string, 10), make(chan struct{})
	consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Event.ID()
		<-finish
		return nil
	}})
	bustest.Connected(t, server).Command("c-1")
	natstest.Receive(t, got)
	server.Stop()
	natstest.Eventually(t, "the outage is known", func() bool { return b.Health().Ready() != nil })
	close(finish)
	server.Start()
	out := bustest.Connected(t, server)
	natstest.Eventually(t, "it is settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
	if len(got) != 0 {
		t.Errorf("%s was handled again", <-got)
	}
}

func TestConsumerDeleted(t *testing.T) {
	t.Parallel()
	for _, asking := range []bool{true, false} {
		t.Run(strconv.FormatBool(asking), func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
			got, proceed := make(chan string, 10), make(chan struct{})
			consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
				got <- cmd.Event.ID()
				<-proceed
				return nil
			}})
			out := bustest.Connected(t, server)
			out.Command("a")
			natstest.Receive(t, got)
			if asking {
				close(proceed)
				natstest.Eventually(t, "it asks", func() bool { return out.Commands().NumWaiting > 0 })
			}
			if err := out.JS.DeleteConsumer(t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme"); err != nil {
				t.Fatal(err)
			}
			if !asking { // nobody tells us; that the broker does not answer must do
				close(proceed)
			}
			out.Command("b")
			id := natstest.Receive(t, got)
			for id != "b" { // "a" may come again: its acknowledgement had nobody to hear it
				id = natstest.Receive(t, got)
			}
		})
	}
}

// TestStreamRemade: the stream of the commands is deleted while they are consumed. Readiness says so, and then the bridge
// makes it and goes on.
func TestStreamRemade(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	log, book := bustest.NewLog()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(book.String())
		}
	})
	b := bustest.Run(t, bustest.Connect(t, server, log))
	w, got := collector()
	consumeWith(t, b, log, w)
	out := bustest.Connected(t, server)
	out.Command("a")
	natstest.Receive(t, got)
	if err := out.JS.DeleteStream(t.Context(), "FACTRO_COMMANDS_ACME"); err != nil {
		t.Fatal(err)
	}
	out.Command("b")
	if id := natstest.Receive(t, got).Event.ID(); id != "b" {
		t.Errorf("%s came", id)
	}
	bustest.Ready(t, b)
}
