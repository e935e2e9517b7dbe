package ensure

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// missing is the size of all that is missing.
func (e *Ensurer) missing(ctx context.Context, states map[string]cloudState) (bytes int64) {
	for _, l := range states {
		for _, s := range l.missing {
			bytes += s.Kind.Size(e.cfg.MaxBytes)
		}
		for _, s := range l.rest {
			bytes += s.Size(e.cfg.MaxBytes)
		}
	}
	if bytes > 0 && e.isMissing(ctx, "KV_"+topology.ReconcileBucket(e.cfg.Prefix)) {
		bytes += topology.Reconcile.Size(e.cfg.MaxBytes)
	}
	if bytes > 0 && e.isMissing(ctx, topology.ControlStream(e.cfg.Prefix)) {
		bytes += topology.Control.Size(e.cfg.MaxBytes)
	}
	return bytes
}

// missingRest are the sizes of what a cloud lacks beside its streams.
func (e *Ensurer) missingRest(ctx context.Context, cloud string) (rest []topology.Kind) {
	for _, bucket := range e.cfg.Plan().Exchange(cloud) {
		if e.isMissing(ctx, "OBJ_"+bucket.Bucket) {
			rest = append(rest, bucket.Kind)
		}
	}
	if e.isMissing(ctx, "OBJ_"+e.cfg.Prefix.OriginalBucket(cloud)) {
		rest = append(rest, topology.Originals)
	}
	if e.isMissing(ctx, e.cfg.Plan().Keys(cloud).Name) {
		rest = append(rest, topology.Keys)
	}
	if e.isMissing(ctx, e.cfg.Prefix.BridgeStream(cloud)) {
		rest = append(rest, topology.Bridge)
	}
	for _, s := range e.mirror(cloud) {
		if e.isMissing(ctx, s.Name) {
			rest = append(rest, s.Kind)
		}
	}
	return rest
}

func (e *Ensurer) isMissing(ctx context.Context, stream string) bool {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	_, err := e.conn.JetStream().Stream(ctx, stream)
	return errors.Is(err, jetstream.ErrStreamNotFound)
}
