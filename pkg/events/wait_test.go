package events_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// pending begins a command that has to wait, on a connection of its own, and returns when it knows so.
func pending(ctx context.Context, t *testing.T, b *broker, patience time.Duration) <-chan error {
	t.Helper()
	c := events.NewClient(b.js, "acme")
	c.SetPatience(patience)
	done, deferred := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		_, err := c.Do(ctx, setState, events.OnDeferred(func(events.Result) { deferred <- struct{}{} }))
		done <- err
	}()
	<-deferred
	return done
}

// TestReaderHeldUp: the broker does not answer who reads the stream of results. Neither a copy of the result nor the end of
// the context waits for that.
func TestReaderHeldUp(t *testing.T) {
	t.Parallel()
	for name, copied := range map[string]bool{"copy": true, "end": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, f := client(t, always(throttled))
			relayed := f.b.relay(t)
			ctx, cancel := context.WithCancel(t.Context())
			done := pending(ctx, t, relayed.b, time.Millisecond)
			relayed.hold("$JS.API.DIRECT.GET.")
			relayed.until("$JS.API.DIRECT.GET." + prefix.ResultStream("acme"))
			if !copied {
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				return
			}
			cmd := f.commands()[0]
			msg, err := resultMsg(cmd, events.Result{Operation: "setTaskState", Outcome: events.Applied})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.b.nc.PublishMsg(&nats.Msg{Subject: cmd.ReplyTo, Header: msg.Header, Data: msg.Data}); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("got %v", err)
			}
			cancel()
		})
	}
}

// TestConnectionClosed while a command waits, be its result read or not.
func TestConnectionClosed(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"copy": time.Hour, "stream": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, f := client(t, always(throttled))
			relayed := f.b.relay(t)
			done := pending(t.Context(), t, relayed.b, patience)
			if name == "stream" {
				relayed.until("$JS.API.DIRECT.GET." + prefix.ResultStream("acme"))
			}
			relayed.b.nc.Close()
			err := <-done
			if p, ok := errors.AsType[*events.PendingError](err); !ok || p.Unsure || !errors.Is(err, nats.ErrConnectionClosed) {
				t.Errorf("got %v", err)
			}
			_, err = events.NewClient(relayed.b.js, "acme").Do(t.Context(), setState)
			if _, ok := errors.AsType[*events.PendingError](err); ok || !errors.Is(err, nats.ErrConnectionClosed) {
				t.Errorf("afterwards: got %v", err)
			}
		})
	}
}
