package ensure

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// ensureBuckets creates the object stores and buckets of external keys that are missing. One that cannot be made, for want of room or of rights for
// example, is logged and not more: only large files and large answers need it, and events and commands are not to wait for
// that.
func (e *Ensurer) ensureBuckets(ctx context.Context) {
	if !e.cfg.Manage {
		return
	}
	for _, cloud := range e.cfg.Clouds {
		for _, want := range e.cfg.Plan().Exchange(cloud) {
			err := e.ensureBucket(ctx, want)
			why := ""
			if err != nil {
				why = err.Error()
			}
			if ctx.Err() == nil && e.conn.News(want.Bucket, why) {
				e.log.WarnContext(ctx, "object store is not there; large files or answers will fail", "bucket", want.Bucket, "error", err)
			}
		}
		e.ensureKeys(ctx, e.cfg.Plan().Keys(cloud))
	}
}

// ensureKeys creates the bucket of external keys if it is missing. One that cannot be made is logged and not more: only commands and
// queries with external keys need it.
func (e *Ensurer) ensureKeys(ctx context.Context, want topology.Stream) {
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	have, err := e.conn.JetStream().Stream(attempt, want.Name)
	cancel()
	if err == nil {
		if d := topology.Drift(want.StreamConfig, have.CachedInfo().Config); e.conn.News(want.Name, d) {
			e.log.WarnContext(ctx, "bucket differs from the contract; it is left as it is", "stream", want.Name, "drift", d)
		}
		return
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = e.CreateStream(ctx, want)
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	if ctx.Err() == nil && e.conn.News(want.Name, why) {
		e.log.WarnContext(ctx, "the bucket of external keys is not there; commands and queries with external keys have to wait", "stream", want.Name, "error", err)
	}
}

// ensureBucket creates an object store if it is missing. Each request has a time of its own: one that is refused for want
// of rights is never answered.
func (e *Ensurer) ensureBucket(ctx context.Context, want topology.Bucket) error {
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	have, err := e.conn.JetStream().Stream(attempt, "OBJ_"+want.Bucket)
	cancel()
	if err == nil {
		if d := topology.LimitDrift(have.CachedInfo().Config); e.conn.News("OBJ_"+want.Bucket, d) {
			e.log.WarnContext(ctx, "object store differs from the contract; it is left as it is", "bucket", want.Bucket, "drift", d)
		}
		return nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	made, err := e.WithRoom(ctx, "object store "+want.Bucket, want.Kind, func(ctx context.Context, bytes int64) error {
		want.MaxBytes = bytes
		_, err := e.conn.JetStream().CreateObjectStore(ctx, want.ObjectStoreConfig)
		return err
	})
	if made {
		e.log.InfoContext(ctx, "object store created", "bucket", want.Bucket)
	}
	return err
}
