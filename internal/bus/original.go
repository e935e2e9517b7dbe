package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// EnsureAllOriginals creates the buckets for originals that are missing. One that cannot be made is told and not more: only
// what no stream takes needs it.
func (b *Conn) EnsureAllOriginals(ctx context.Context) {
	if !b.cfg.Manage {
		return
	}
	for _, cloud := range b.cfg.Clouds {
		bucket := b.cfg.Prefix.OriginalBucket(cloud)
		why := ""
		_, err := b.EnsureOriginals(ctx, cloud)
		if err != nil {
			why = err.Error()
		}
		if ctx.Err() == nil && b.News(bucket, why) {
			b.log.WarnContext(ctx, "object store is not there; of what no stream takes only a part will be kept", "bucket", bucket, "error", err)
		}
	}
}

// FindOriginals looks up the object store of a cloud for originals of dead letters. It has a timeout of its own: a request
// without permission is never answered.
func (b *Conn) FindOriginals(ctx context.Context, cloud string) (jetstream.ObjectStore, error) {
	bucket := b.cfg.Prefix.OriginalBucket(cloud)
	if b.health.Hidden("OBJ_" + bucket) {
		return nil, fmt.Errorf("%w: no permission", jetstream.ErrBucketNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	return b.js.ObjectStore(ctx, bucket)
}

// EnsureOriginals is FindOriginals, and creates the object store if it is missing and the bridge may.
func (b *Conn) EnsureOriginals(ctx context.Context, cloud string) (jetstream.ObjectStore, error) {
	bucket := b.cfg.Prefix.OriginalBucket(cloud)
	store, err := b.FindOriginals(ctx, cloud)
	if !errors.Is(err, jetstream.ErrBucketNotFound) || b.health.Hidden("OBJ_"+bucket) || !b.cfg.Manage || events.Token(cloud) != cloud || cloud == "_" {
		return store, err
	}
	made, err := b.WithRoom(ctx, "object store "+bucket, topology.Originals, func(ctx context.Context, bytes int64) error {
		want := b.cfg.Plan().Originals(cloud).ObjectStoreConfig
		want.MaxBytes = bytes
		store, err = b.js.CreateObjectStore(ctx, want)
		return err
	})
	if made {
		b.log.InfoContext(ctx, "object store created", "bucket", bucket)
	}
	if err == nil && !made { // another bridge was quicker
		return b.FindOriginals(ctx, cloud)
	}
	return store, err
}
