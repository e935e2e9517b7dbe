package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/control/store"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
)

// ReconcileNow makes one reconciliation of a cloud now, beside the bridges that may be running. It waits until none of them
// reconciles this cloud. It connects to NATS as nats says, and has a request budget of its own, and uses one or two requests of it.
func ReconcileNow(ctx context.Context, cfg config.Config, nats bus.Config, cloud string, q reconcile.Request, version string, log *slog.Logger) (reconcile.Report, error) {
	i := slices.IndexFunc(cfg.Clouds, func(c config.Cloud) bool { return c.Name == cloud })
	if i < 0 {
		return reconcile.Report{}, fmt.Errorf("clouds: there is no %q in the configuration", cloud)
	}
	files, err := lastgood.NewFiles(log) //nolint:contextcheck // metrics live as long as the process
	if err != nil {
		return reconcile.Report{}, err
	}
	apiConfig := cfg.APIConfig(cfg.Clouds[i], version)
	apiConfig.Files, nats.Files = files, files
	api, err := coreapi.New(apiConfig, nil, log) //nolint:contextcheck // metrics live as long as the process
	if err != nil {
		return reconcile.Report{}, err
	}
	broker, streams, err := ensure.Connect(nats, log)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer broker.Close()
	q.Progress.Begin("connect to NATS", "", 0)
	if err := broker.Connected(ctx); err != nil {
		return reconcile.Report{}, err
	}
	if pauses, err := store.Of(broker, log).Read(ctx); err == nil {
		if p, paused := pauses[control.Place{Cloud: cloud, Direction: control.WebhooksOut}]; paused {
			return reconcile.Report{}, fmt.Errorf("the webhooks of %s are %s, so bridges hold events back that are not missing; resume them first", cloud, p)
		}
	}
	publisher, err := publish.New(ctx, broker, log)
	if err != nil {
		return reconcile.Report{}, err
	}
	letters, err := deadletter.New(ctx, broker, publisher, objects.NewOriginals(broker, streams, log), log)
	if err != nil {
		return reconcile.Report{}, err
	}
	r, err := reconcile.New(cfg.ReconcileConfig(cfg.Clouds[i]), api, stream{broker, publisher, journal.Of(broker), letters, cloud, nil}, lease.New(broker, streams, log), nil, log)
	if err != nil {
		return reconcile.Report{}, err
	}
	return r.Once(ctx, q)
}

// stream is the stream of events, to read and to write, and the dead letters for what cannot become an event.
type stream struct {
	*bus.Conn
	*publish.Publisher
	*journal.Journal
	letters *deadletter.Store
	cloud   string
	steer   *steering // nil if nobody follows the pauses
}

// Outage tells when the events of the cloud were held back last.
func (s stream) Outage() (lost, back time.Time) {
	lost, back = s.Conn.Outage()
	if s.steer == nil {
		return lost, back
	}
	return s.steer.outage(s.cloud, lost, back)
}

func (s stream) Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte, request http.Header) error {
	return s.letters.Quarantine(ctx, subject, id, code, reason, data, request)
}
