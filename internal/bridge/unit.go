package bridge

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/advisory"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/bus/lookup"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/egress"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/mirror"
	"github.com/factro-bridge/factro-bridge/internal/query"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// shared is what the units of a process have in common.
type shared struct {
	broker    *bus.Conn
	streams   *ensure.Ensurer
	publisher *publish.Publisher
	letters   *deadletter.Store
	queue     *commands.Consumer
	delayed   *delayed.Store
	spool     *spool.Spool
	files     *lastgood.Files
	fleet     *lease.Fleet
	budgets   *budget.Pool // of all clouds: those with the same API key share one
	steer     *steering
}

// unit is everything that a process does for one cloud with the Core API: commands, queries and reconciliation. It runs and
// stops alone; what the clouds share (the connection, the spool, the listeners) outlives it.
type unit struct {
	*coreapi.API
	cloud   string
	version string
	log     *slog.Logger
	shared
	options    commands.Options
	worker     *egress.Worker        // nil without the role egress
	reader     *query.Reader         // nil without the role query
	reconciler *reconcile.Reconciler // nil without the role reconcile
	mirror     *mirror.Mirror        // nil without the role mirror
}

// units builds the units of all clouds, by their names; none for a process that does not call the Core API.
func (b *Bridge) units(with shared) (map[string]*unit, error) {
	out := map[string]*unit{}
	if !b.cfg.Calls() {
		return out, nil
	}
	for _, cloud := range b.cfg.Clouds {
		u, err := b.unit(cloud, with)
		if err != nil {
			return nil, err
		}
		out[cloud.Name] = u
	}
	return out, nil
}

// unit builds the unit of one cloud.
func (b *Bridge) unit(cloud config.Cloud, with shared) (*unit, error) {
	cfg := b.cfg.APIConfig(cloud, b.version)
	cfg.Files, cfg.Budgets = with.files, with.budgets
	cfg.Pauses, cfg.Changed = with.steer.board, with.steer.apiChanged(cloud.Name)
	api, err := coreapi.New(cfg, nil, b.log)
	if err != nil {
		return nil, err
	}
	u := &unit{API: api, cloud: cloud.Name, version: b.version, log: b.log, shared: with, options: b.cfg.CommandOptions(cloud)}
	if b.cfg.Has(config.RoleEgress) {
		stores := egress.Stores{
			Results: with.publisher, Ledger: ledger.New(with.broker, b.log), Files: objects.New(with.broker), Keys: keys.New(with.broker, b.log), Delayed: with.delayed, Queue: with.queue,
		}
		if u.worker, err = egress.New(api, b.cfg.EgressConfig(cloud), stores, b.log); err != nil {
			return nil, err
		}
	}
	if b.cfg.Has(config.RoleQuery) {
		if u.reader, err = query.New(api, objects.New(with.broker), keys.New(with.broker, b.log), lookup.New(with.broker, cloud.Name), b.log); err != nil {
			return nil, err
		}
	}
	if b.cfg.Has(config.RoleReconcile) {
		if u.reconciler, err = reconcile.New(b.cfg.ReconcileConfig(cloud), api, stream{with.broker, with.publisher, journal.Of(with.broker), with.letters, cloud.Name, with.steer},
			lease.New(with.broker, with.streams, b.log), resumedSpool{with.spool, webhooks{with.steer.board}}, b.log); err != nil {
			return nil, err
		}
	}
	if b.cfg.Has(config.RoleMirror) {
		if u.mirror, err = newMirror(b.cfg, cloud, api, with, b.log); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// leases takes the leases of commands.
func leases(all reconcile.Leases) commands.Acquire {
	return func(ctx context.Context, key string) (commands.Lease, error) {
		l, err := all.Acquire(ctx, key)
		if err != nil {
			return nil, err // not a nil lease in an interface
		}
		return l, nil
	}
}

// run works until ctx ends, and returns when what was in flight is finished. The first error of a part ends the others. It
// may be called again afterwards.
func (u *unit) run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	if u.worker != nil {
		parts.Go(func() error { return u.queue.Run(ctx, u.cloud, u.options, u.worker) })
		parts.Go(func() error {
			return queries.ServeStatus(ctx, u.broker, u.cloud, placed{u.worker, u.queue, u.delayed, u.cloud}, u.log)
		})
		parts.Go(func() error { return advisory.New(u.broker, u.streams, u.cloud, u.letters, u.gaveUp, u.log).Run(ctx) })
		parts.Go(func() error { return u.delayed.Run(ctx, u.cloud) })
		parts.Go(func() error { return queries.ServeCancel(ctx, u.broker, u.cloud, u.worker, u.log) })
	}
	if u.reader != nil {
		parts.Go(func() error { return queries.Serve(ctx, u.broker, queryService(u.cloud, u.version), u.reader, u.log) })
	}
	if u.reconciler != nil {
		u.reconciler.Follow() // before it can lead
		parts.Go(func() error {
			u.broker.Begun(ctx, u.cloud)
			return u.reconciler.Run(ctx)
		})
		parts.Go(func() error { return u.lead(ctx) })
		parts.Go(func() error { return u.afterOutages(ctx) })
	}
	if u.mirror != nil {
		parts.Go(func() error {
			u.broker.Begun(ctx, u.cloud)
			return u.mirror.Run(ctx)
		})
	}
	return parts.Wait()
}

// placed is a worker that also knows the places of its commands.
type placed struct {
	*egress.Worker
	queue   *commands.Consumer
	delayed *delayed.Store
	cloud   string
}

// Place is the place of a command in the queue.
func (p placed) Place(sequence uint64) (state status.CommandState, before uint64, known, works bool) {
	return p.queue.Place(p.cloud, sequence)
}

// Delayed is until when a command of a sender waits for its notbefore.
func (p placed) Delayed(ctx context.Context, source, id string) (until time.Time, found bool) {
	w, found, err := p.delayed.Find(ctx, p.cloud, identity.Command(source, id))
	return w.Until, found && err == nil // else nothing is known of it, and what is said of its place stands
}

// gaveUp reports to the sender of a command that the broker has given it up. Of a cloud that is not configured here, the dead
// letter is all that is left.
func (u *unit) gaveUp(ctx context.Context, cmd events.Command, mistake, reason error) error {
	if cmd.Cloud != u.cloud {
		return nil
	}
	return u.worker.Undeliverable(ctx, cmd, mistake, reason)
}

// lead has this bridge reconcile by its timer while it has the lease for that. Of several bridges one does. Where no lease can be
// had, the timer counts: reconciling twice is harmless.
func (u *unit) lead(ctx context.Context) error {
	for ctx.Err() == nil {
		held, err := u.fleet.Acquire(ctx, lease.Key(lease.Reconcile, u.cloud))
		u.reconciler.Lead()
		if err != nil {
			if ctx.Err() == nil {
				u.log.WarnContext(ctx, "several bridges may reconcile this cloud, since none has a lease", "cloud", u.cloud, "error", err)
			}
			select {
			case <-time.After(leadAgain):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-held.Lost():
		case <-held.Yield():
		case <-ctx.Done():
		}
		u.reconciler.Follow()
		held.Release(ctx)
	}
	return nil
}

// leadAgain is how long a bridge waits that could not get a lease.
const leadAgain = time.Minute

// newFleet returns this bridge as one of those that share the work on the clouds.
func (b *Bridge) newFleet(broker *bus.Conn, streams *ensure.Ensurer) (*lease.Fleet, error) {
	return lease.NewFleet(broker, streams, lease.Member{Version: b.version, Roles: b.cfg.Roles, Started: time.Now().UTC().Truncate(time.Second)}, b.log)
}

// afterOutages reconciles whenever NATS was away: a webhook may have come meanwhile.
func (u *unit) afterOutages(ctx context.Context) error {
	for u.broker.Returned(ctx) == nil {
		u.reconciler.Trigger()
	}
	return nil
}

// lostAt reconciles a cloud one of whose webhooks could not be kept: factro may have stored it, and may not send it again.
func lostAt(units map[string]*unit) func(cloud string) {
	return func(cloud string) {
		if u := units[cloud]; u != nil && u.reconciler != nil {
			u.reconciler.Trigger()
		}
	}
}

// queryService is what a cloud's queries show of themselves: one endpoint for each operation that reads.
func queryService(cloud, version string) queries.Service {
	s := queries.Service{Cloud: cloud, Version: version}
	for _, op := range factro.Operations() {
		if !op.Writes() {
			s.Endpoints = append(s.Endpoints, queries.Endpoint{Resource: op.Resource, Operation: op.Name, Metadata: map[string]string{
				"method": op.Method, "path": op.Path, "confidence": op.Confidence,
			}})
		}
	}
	return s
}
