package ensure

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// ensureMirror makes what the role mirror needs, in a process that has it: nobody else's NATS is to reserve room for it. What cannot be
// made is reported and no more than that: all other work does without.
func (e *Ensurer) ensureMirror(ctx context.Context) {
	if !e.cfg.Manage {
		return
	}
	for _, cloud := range e.cfg.Clouds {
		for _, want := range e.mirror(cloud) {
			why := e.ensureOptional(ctx, want.Name, func(have jetstream.StreamConfig) string { return topology.Drift(want.StreamConfig, have) },
				func() error { return e.CreateStream(ctx, want) })
			if ctx.Err() == nil && e.conn.News(want.Name, why) {
				e.log.WarnContext(ctx, "stream of the mirror is not as it should be; factro's objects may not be mirrored", "stream", want.Name, "error", why)
			}
		}
	}
}

// mirror are the streams that the role mirror needs of a cloud; none in a process without that role.
func (e *Ensurer) mirror(cloud string) []topology.Stream {
	if !e.cfg.Mirrors {
		return nil
	}
	return e.cfg.Plan().Mirror(cloud)
}
