package bridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/unclaimed"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/systemd"
)

// Bridge is everything that runs in one process.
type Bridge struct {
	cfg     config.Config
	version string
	log     *slog.Logger
	metrics http.Handler
	// hopeless is how long the embedded server may store nothing before /livez fails, 0 for its default.
	hopeless time.Duration
	// refused, if set, is called for each webhook that is refused.
	refused func(ingress.Refusal)
}

// New builds a bridge. metrics answers /metrics.
func New(cfg config.Config, version string, metrics http.Handler, log *slog.Logger) (*Bridge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Bridge{cfg: cfg, version: version, log: log, metrics: metrics}, nil
}

// OnRefused sets a function that is called for each refused webhook, in place of samples in the log. It must not block. Call
// OnRefused before Run.
func (b *Bridge) OnRefused(f func(ingress.Refusal)) { b.refused = f }

// Listeners are the listeners of a bridge. HTTP is nil without the role ingress.
type Listeners struct{ HTTP, Admin net.Listener }

// Listen opens the configured addresses.
func (b *Bridge) Listen() (Listeners, error) {
	var l Listeners
	var err error
	if l.Admin, err = net.Listen("tcp", b.cfg.Admin.Listen); err != nil {
		return Listeners{}, fmt.Errorf("admin.listen: %w", err)
	}
	if b.cfg.Has(config.RoleIngress) {
		if l.HTTP, err = net.Listen("tcp", b.cfg.HTTP.Listen); err != nil {
			return Listeners{}, errors.Join(fmt.Errorf("http.listen: %w", err), l.Admin.Close())
		}
	}
	return l, nil
}

// Run runs the bridge until ctx ends, then closes the listeners first: it accepts and pulls no more, finishes what is in
// flight, lets go of NATS and returns. It closes the listeners.
func (b *Bridge) Run(ctx context.Context, l Listeners) (err error) {
	replaced, err := lastgood.NewFiles(b.log) //nolint:contextcheck // metrics live as long as the process
	if err != nil {
		return err
	}
	mem := knowMemory("/proc", "/sys/fs/cgroup")
	collectLess()
	files := openFiles()
	conns, warning := divide(b.cfg, files)
	b.warn(ctx, mem, warning)
	var server *embedded.Server
	alive := func() error { return nil } // another process that stores nothing is not this one's concern
	if dir := b.cfg.NATS.Embedded.DataDir; dir != "" {
		server, err = embedded.Start(embedded.Config{
			DataDir: dir, Listen: b.cfg.NATS.Embedded.Listen, SyncAlways: true, MaxConnections: conns.nats, Hopeless: b.hopeless,
		})
		if err != nil {
			return err
		}
		defer server.Close()
		alive = server.Alive
	}
	busConfig := b.cfg.BusConfig(server)
	busConfig.Files = replaced
	broker, streams, err := ensure.Connect(busConfig, b.log)
	if err != nil {
		return err
	}
	defer broker.Close()
	serverTLS, err := b.cfg.HTTP.TLS.Config(replaced)
	if err != nil {
		return err
	}
	intake, err := b.ingressConfig()
	if err != nil {
		return err
	}
	intake.Files = replaced
	intake.MaxMemory = b.cfg.WebhookMemory(mem.limit)
	intake.MaxConnections, intake.MaxConnectionsPerAddress = conns.webhooks, conns.perAddress
	publisher, err := publish.New(ctx, broker, b.log)
	if err != nil {
		return err
	}
	letters, err := deadletter.New(ctx, broker, publisher, objects.NewOriginals(broker, streams, b.log), b.log)
	if err != nil {
		return err
	}
	fleet, err := b.newFleet(broker, streams)
	if err != nil {
		return err
	}
	defer fleet.Close()
	queue, err := commands.New(broker, publisher, letters, leases(fleet), b.log)
	if err != nil {
		return err
	}
	defer queue.Close()
	steer := newSteering(b.cfg, broker, b.log)
	fleet.OnTakeover(steer.tookOver)
	spoolConfig := b.cfg.SpoolConfig()
	spoolConfig.Pauses = webhooks{steer.board}
	store, err := spool.Open(ctx, spoolConfig, broker, publisher, letters, b.log)
	if err != nil {
		return err
	}
	defer store.Close() //nolint:contextcheck // it has a time of its own
	intake.Kept = store.Kept
	units, err := b.units(shared{broker, streams, publisher, letters, queue, delayed.New(broker, streams, publisher, b.log), store, replaced, fleet, budget.NewPool(), steer}) //nolint:contextcheck // metrics live as long as the process
	if err != nil {
		return err
	}
	intake.OnLost, intake.OnRefused = lostAt(units), b.refused
	receiver, err := ingress.New(intake, store, b.log)
	if err != nil {
		return err
	}

	ready := func() readiness { return b.ready(ctx, broker.Health(), store, receiver, steer, units) }
	stopObserving, err := b.observe(ready)
	if err != nil {
		return err
	}
	defer stopObserving()
	stopPaused, err := steer.observe()
	if err != nil {
		return err
	}
	defer stopPaused()
	stopWaiting, err := observeWaiting(units)
	if err != nil {
		return err
	}
	defer stopWaiting()

	// What the work needs goes on until the work is done.
	needed, stopNeeded := context.WithCancel(context.WithoutCancel(ctx))
	background, needed := errgroup.WithContext(needed)
	background.Go(func() error { return broker.Run(needed) })
	background.Go(func() error { return store.Run(needed) })
	background.Go(func() error { return steer.follower.Run(needed) })
	background.Go(func() error { return steer.sender.Run(needed) })
	background.Go(func() error { return replaced.Run(needed) })
	background.Go(func() error {
		if err := systemd.Watchdog(needed, alive); err != nil {
			b.log.WarnContext(needed, "the watchdog of the service manager does not hear the bridge", "error", err)
		}
		return nil
	})
	background.Go(func() error {
		return b.serveAdmin(needed, connlimit.New(connlimit.Config{Max: conns.admin}), l.Admin, alive, ready)
	})

	work, working := errgroup.WithContext(ctx)
	work.Go(func() error { // a dead admin server ends the work too
		select {
		case <-needed.Done():
			return context.Cause(needed)
		case <-working.Done():
			return nil
		}
	})
	if l.HTTP != nil {
		work.Go(func() error { return b.serveWebhooks(working, l.HTTP, serverTLS, receiver) })
	}
	for _, u := range units {
		work.Go(func() error { return u.run(working) })
	}
	if b.cfg.Has(config.RoleEgress) || b.cfg.Has(config.RoleReconcile) || b.cfg.Has(config.RoleMirror) { // not with what the work needs: the others take over at once
		work.Go(func() error { return fleet.Run(working) })
	}
	if b.cfg.Has(config.RoleEgress) {
		work.Go(func() error { return unclaimed.Watch(working, broker, b.log) })
		work.Go(func() error { return letters.Recover(working, slices.Sorted(maps.Keys(units))) })
	}
	b.log.InfoContext(ctx, "bridge started", "version", b.version, "roles", b.cfg.Roles, "clouds", len(b.cfg.Clouds),
		"http", address(l.HTTP), "admin", address(l.Admin),
		"memory_limit", mem.limit, "memory_limit_from", mem.source, "open_files", files, "max_connections", conns.webhooks)
	// From here on webhooks are taken, with or without NATS, so the service has started. /readyz reports what does not work yet.
	b.notify(ctx, systemd.Ready)
	work.Go(func() error {
		<-working.Done()
		b.notify(ctx, systemd.Stopping)
		return nil
	})

	err = work.Wait()
	b.log.InfoContext(ctx, "bridge stopped its work")
	stopNeeded()
	return errors.Join(err, background.Wait())
}

// notify reports the bridge's state to the service manager. One that does not listen is no reason to end.
func (b *Bridge) notify(ctx context.Context, state string) {
	if err := systemd.Notify(state); err != nil {
		b.log.WarnContext(ctx, "the service manager does not hear the bridge", "state", state, "error", err)
	}
}

// warn logs what an operator should change, although the bridge runs.
func (b *Bridge) warn(ctx context.Context, mem memory, connections string) {
	for _, text := range b.cfg.Warnings() {
		b.log.WarnContext(ctx, "the configuration should be changed", "why", text)
	}
	if connections != "" {
		b.log.WarnContext(ctx, "there are fewer connections than configured", "why", connections)
	}
	if need := 2 * b.cfg.WebhookMemory(mem.limit); b.cfg.Has(config.RoleIngress) && mem.limit > 0 && need > mem.limit {
		b.log.WarnContext(ctx, "webhooks may take more than half of the memory of the process; lower http.max_memory or http.max_body, or raise the limit",
			"webhooks", need/2, "limit", mem.limit)
	}
}

// address is where a listener really listens, also if the configuration left the port to the system.
func address(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

func (b *Bridge) ingressConfig() (ingress.Config, error) {
	c := b.cfg.IngressConfig()
	if !b.cfg.Has(config.RoleIngress) {
		c.Clouds = nil
	}
	var err error
	c.KnownActions, err = b.cfg.KnownActions()
	return c, err
}

func (b *Bridge) serveWebhooks(ctx context.Context, l net.Listener, c *tls.Config, s *ingress.Server) error {
	return s.Run(ctx, l, c, b.cfg.ShutdownTimeout)
}
