package bus_test

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
)

// The tests inside of the package cannot import what stands on it.
var _ = func() bool {
	bus.NewLedger = func(b *bus.Conn) bus.RecordKeeper { return records{b, ledger.New(b, slog.New(slog.DiscardHandler))} } //nolint:reassign // it is there for this
	bus.NewStreams = func(b *bus.Conn, nearly uint64, log *slog.Logger) bus.Streams {                                      //nolint:reassign // it is there for this
		if nearly == 0 {
			return ensure.New(b, log)
		}
		return ensure.New(b, log, ensure.WithNearly(nearly))
	}
	bus.Differences = func(ctx context.Context, c bus.Client) (all []bus.Difference, _ error) { //nolint:reassign // it is there for this
		found, err := ensure.Differences(ctx, c.(*client.Client), nil)
		for _, d := range found {
			all = append(all, bus.Difference{Cloud: d.Cloud, Stream: d.Stream, What: d.What})
		}
		return all, err
	}
	bus.DialClient = func(cfg bus.Config) (bus.Client, error) { //nolint:reassign // it is there for this
		c, err := client.Dial(cfg)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	bus.CommandConsumer = func(ctx context.Context, b *bus.Conn, cloud string) (jetstream.Consumer, error) { //nolint:reassign // it is there for this
		return commands.Bind(ctx, b, cloud, b.Logger())
	}
	return true
}()

type records struct {
	b *bus.Conn
	l *ledger.Ledger
}

func (r records) Lease(ctx context.Context, key string) error {
	l, err := lease.New(r.b, ensure.New(r.b, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler)).Acquire(ctx, key)
	if err == nil {
		l.Release(ctx)
	}
	return err
}

func (r records) Begin(ctx context.Context, cloud, id string) (known bool, err error) {
	known, _, err = r.l.Begin(ctx, cloud, id, ledger.Record{Fingerprint: "f"})
	return known, err
}

func (r records) Look(ctx context.Context, cloud, id string) (known bool, err error) {
	known, _, err = r.l.Look(ctx, cloud, id)
	return known, err
}
