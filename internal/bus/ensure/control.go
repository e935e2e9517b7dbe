package ensure

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// ensureControl makes what operators need to steer the bridge and to see its changes: the bucket of pauses, and for each cloud the stream
// of the bridge's own events. What cannot be made is reported and no more than that: events and commands do without.
func (e *Ensurer) ensureControl(ctx context.Context) {
	if !e.cfg.Manage {
		return
	}
	for _, cloud := range e.cfg.Clouds {
		want := e.cfg.Plan().Bridge(cloud)
		why := e.ensureOptional(ctx, want.Name, func(have jetstream.StreamConfig) string { return topology.Drift(want.StreamConfig, have) },
			func() error { return e.CreateStream(ctx, want) })
		if ctx.Err() == nil && e.conn.News(want.Name, why) {
			e.log.WarnContext(ctx, "stream of the bridge's own events is not as it should be; changes of the bridge may go unnoticed", "stream", want.Name, "error", why)
		}
	}
	name := topology.ControlBucket(e.cfg.Prefix)
	why := e.ensureOptional(ctx, topology.ControlStream(e.cfg.Prefix), topology.LimitDrift, func() error {
		_, err := e.WithRoom(ctx, "bucket "+name, topology.Control, func(ctx context.Context, bytes int64) error {
			want := e.cfg.Plan().Control()
			want.MaxBytes = bytes
			_, err := e.conn.JetStream().CreateKeyValue(ctx, want)
			return err
		})
		return err
	})
	if ctx.Err() == nil && e.conn.News(name, why) {
		e.log.WarnContext(ctx, "bucket of what is paused is not as it should be; nothing can be paused without it", "bucket", name, "error", why)
	}
}

// ensureOptional looks a stream up and has it made if it is missing. It returns what is wrong with it, or "".
func (e *Ensurer) ensureOptional(ctx context.Context, stream string, drift func(jetstream.StreamConfig) string, create func() error) string {
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	have, err := e.conn.JetStream().Stream(attempt, stream)
	cancel()
	switch {
	case err == nil:
		return drift(have.CachedInfo().Config)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = create()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
