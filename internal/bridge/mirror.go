package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/mirror"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// newMirror builds the mirror of a cloud.
func newMirror(cfg config.Config, cloud config.Cloud, api *coreapi.API, with shared, log *slog.Logger) (*mirror.Mirror, error) {
	c := cfg.MirrorConfig(cloud)
	prefix := events.Prefix(cfg.NATS.Prefix)
	return mirror.New(mirror.Config{
		Cloud: cloud.Name, Source: cloud.Source, Prefix: prefix, Resources: c.Resources, Drop: c.DropFields,
		Settle: c.Settle, Recheck: c.Recheck, Verify: c.Verify, Share: c.Share, Whole: c.Whole,
	}, mirror.Parts{
		API: api, Store: state.New(with.broker, with.publisher, cloud.Name), Events: eventStream{with.broker, prefix, cloud.Name},
		Results: resultStream{with.broker, prefix, cloud.Name}, Pauses: with.steer.board,
		Acquire: func(ctx context.Context) (mirror.Lease, error) {
			l, err := with.fleet.Acquire(ctx, lease.Key(lease.Mirror, cloud.Name))
			if err != nil {
				return nil, err // not a nil lease in an interface
			}
			return l, nil
		},
		Serve: func(ctx context.Context, answer func([]byte) queries.Answer) error {
			return queries.ServeMirror(ctx, with.broker, cloud.Name, answer, log)
		},
	}, log)
}

// eventStream is the stream of a cloud's events, as the mirror reads it.
type eventStream struct {
	broker *bus.Conn
	prefix events.Prefix
	cloud  string
}

func (e eventStream) End(ctx context.Context) (last uint64, created time.Time, err error) {
	if err := e.broker.AwaitUp(ctx); err != nil {
		return 0, created, err
	}
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	s, err := e.broker.JetStream().Stream(attempt, e.prefix.EventStream(e.cloud))
	if err != nil {
		return 0, created, fmt.Errorf("the stream of events: %w", err)
	}
	return s.CachedInfo().State.LastSeq, s.CachedInfo().Created, nil
}

func (e eventStream) Read(ctx context.Context, from uint64, each func(mirror.Event) error) error {
	if err := e.broker.AwaitUp(ctx); err != nil {
		return err
	}
	all := journal.New(e.broker.JetStream()).Read(ctx, e.prefix.EventStream(e.cloud), journal.At(from), journal.Endless(), string(e.prefix)+".event."+e.cloud+".>")
	for m, err := range all {
		if err != nil {
			return err
		}
		err := each(mirror.Event{
			Sequence: m.Sequence, Subject: m.Subject, ID: m.Event.ID(), Stored: m.Time,
			Trace: trace.SpanContextFromContext(delivery.Extract(ctx, measure.Propagator, m.Header)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// resultStream is the stream of the results of a cloud's commands, as the mirror reads it.
type resultStream eventStream

func (r resultStream) Read(ctx context.Context, since time.Time, each func(event.Event)) error {
	if err := r.broker.AwaitUp(ctx); err != nil {
		return err
	}
	all := journal.New(r.broker.JetStream()).Read(ctx, r.prefix.ResultStream(r.cloud), journal.Since(since), journal.Endless(), string(r.prefix)+".result."+r.cloud+".>")
	for m, err := range all {
		if err != nil {
			return err
		}
		if m.Broken == nil {
			each(m.Event)
		}
	}
	return nil
}
