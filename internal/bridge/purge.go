package bridge

import (
	"context"
	"log/slog"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/waiting"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/purge"
)

// PurgeNow takes commands out of the queue of a cloud, beside the bridges that may be running. nats says how to connect, and has the
// prefix.
func PurgeNow(ctx context.Context, nats bus.Config, r purge.Request, log *slog.Logger) (purge.Report, error) {
	files, err := lastgood.NewFiles(log) //nolint:contextcheck // metrics live as long as the process
	if err != nil {
		return purge.Report{}, err
	}
	nats.Files, nats.Clouds, nats.Manage = files, []string{r.Cloud}, false
	nats.Replicas, nats.DrainTimeout = max(nats.Replicas, 1), max(nats.DrainTimeout, time.Second)
	broker, streams, err := ensure.Connect(nats, log)
	if err != nil {
		return purge.Report{}, err
	}
	defer broker.Close()
	r.Progress.Begin("connect to NATS", "", 0)
	if err := broker.Connected(ctx); err != nil {
		return purge.Report{}, err
	}
	publisher, err := publish.New(ctx, broker, log)
	if err != nil {
		return purge.Report{}, err
	}
	letters, err := deadletter.New(ctx, broker, publisher, objects.NewOriginals(broker, streams, log), log)
	if err != nil {
		return purge.Report{}, err
	}
	p := &purge.Purge{
		Prefix: broker.Settings().Prefix, Queue: waiting.Of(broker, r.Cloud), Ledger: ledger.New(broker, log), Letters: letters, Results: publisher,
	}
	return p.Run(ctx, r)
}
