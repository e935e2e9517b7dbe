package commands

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestMain(m *testing.M) { bustest.Main(m) }

// consumer returns a consumer that keeps dead letters as a bridge does, and what keeps them.
func consumer(t testing.TB, b *bus.Conn, log *slog.Logger) (*Consumer, *deadletter.Store) {
	t.Helper()
	letters, err := deadletter.New(t.Context(), b, bustest.Publisher(t, b), objects.NewOriginals(b, bustest.Ensurer(b), log), log, deadletter.WithRecovery(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	leases := lease.New(b, bustest.Ensurer(b), log, lease.WithTTL(LeaseTTL))
	acquire := func(ctx context.Context, key string) (Lease, error) {
		l, err := leases.Acquire(ctx, key)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	c, err := New(b, bustest.Publisher(t, b), letters, acquire, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, letters
}

// makeLeases has the owner make the bucket of leases.
func makeLeases(t testing.TB, owner *bus.Conn) {
	t.Helper()
	l, err := lease.New(owner, bustest.Ensurer(owner), bustest.Quiet()).Acquire(t.Context(), "any")
	if err != nil {
		t.Fatal(err)
	}
	l.Release(t.Context())
}

// consume starts to consume the commands of the cloud acme.
func consume(t testing.TB, b *bus.Conn, w Worker) (stop func()) {
	t.Helper()
	return consumeWith(t, b, bustest.Quiet(), w)
}

func consumeWith(t testing.TB, b *bus.Conn, log *slog.Logger, w Worker) (stop func()) {
	t.Helper()
	c, _ := consumer(t, b, log)
	return bustest.Start(t, func(ctx context.Context) error { return c.Run(ctx, "acme", Options{}, w) })
}

// worker is a Worker made of functions; without them it is ready and settles.
type worker struct {
	ready  func(context.Context) error
	handle func(ctx, stopping context.Context, cmd events.Command, mistake error) error
}

func (w worker) Ready(ctx context.Context) error {
	if w.ready == nil {
		return ctx.Err()
	}
	return w.ready(ctx)
}

func (w worker) Handle(ctx, stopping context.Context, cmd events.Command, mistake error) error {
	if w.handle == nil {
		return nil
	}
	return w.handle(ctx, stopping, cmd, mistake)
}

// collector is a worker that passes on what it gets.
func collector() (worker, <-chan events.Command) {
	got := make(chan events.Command, 100)
	return worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd
		return nil
	}}, got
}
