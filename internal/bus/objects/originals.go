package objects

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// OriginalsConn is what the stores of originals need of the connection to NATS.
type OriginalsConn interface {
	JetStream() jetstream.JetStream
	Settings() dial.Config
	Seen
}

// Seen is what the connection knows of streams.
type Seen interface {
	// Health says whether the server has refused to look a stream up, on this connection.
	Health() *health.Health
	// News reports whether a text about something is new, so that it is logged once.
	News(name, text string) bool
}

// Room makes buckets with what room there is.
type Room interface {
	WithRoom(ctx context.Context, what string, kind topology.Kind, create func(context.Context, int64) error) (made bool, _ error)
}

// Originals are the object stores for the originals of dead letters, one for each cloud.
type Originals struct {
	conn OriginalsConn
	room Room
	log  *slog.Logger
}

// NewOriginals returns the stores on a connection. It asks nobody.
func NewOriginals(conn OriginalsConn, room Room, log *slog.Logger) *Originals {
	return &Originals{conn, room, log}
}

// EnsureAll creates the buckets for originals that are missing. One that cannot be made is reported and no
// more than that: only what no stream takes needs it.
func (o *Originals) EnsureAll(ctx context.Context) {
	cfg := o.conn.Settings()
	if !cfg.Manage {
		return
	}
	for _, cloud := range cfg.Clouds {
		bucket := cfg.Prefix.OriginalBucket(cloud)
		why := ""
		_, err := o.Ensure(ctx, cloud)
		if err != nil {
			why = err.Error()
		}
		if ctx.Err() == nil && o.conn.News(bucket, why) {
			o.log.WarnContext(ctx, "object store is not there; of what no stream takes only a part will be kept", "bucket", bucket, "error", err)
		}
	}
}

// lookTimeout is how long looking one up may take.
const lookTimeout = 2 * time.Second

// Find looks up the object store of a cloud for originals of dead letters. It has a timeout of its own: a request
// without permission is never answered.
func (o *Originals) Find(ctx context.Context, cloud string) (jetstream.ObjectStore, error) {
	bucket := o.conn.Settings().Prefix.OriginalBucket(cloud)
	if o.conn.Health().Hidden("OBJ_" + bucket) {
		return nil, fmt.Errorf("%w: no permission", jetstream.ErrBucketNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return o.conn.JetStream().ObjectStore(ctx, bucket)
}

// Ensure is Find, and creates the object store if it is missing and the bridge may.
func (o *Originals) Ensure(ctx context.Context, cloud string) (jetstream.ObjectStore, error) {
	cfg := o.conn.Settings()
	bucket := cfg.Prefix.OriginalBucket(cloud)
	store, err := o.Find(ctx, cloud)
	if !errors.Is(err, jetstream.ErrBucketNotFound) || o.conn.Health().Hidden("OBJ_"+bucket) || !cfg.Manage || events.Token(cloud) != cloud || cloud == "_" {
		return store, err
	}
	made, err := o.room.WithRoom(ctx, "object store "+bucket, topology.Originals, func(ctx context.Context, bytes int64) error {
		want := cfg.Plan().Originals(cloud).ObjectStoreConfig
		want.MaxBytes = bytes
		store, err = o.conn.JetStream().CreateObjectStore(ctx, want)
		return err
	})
	if made {
		o.log.InfoContext(ctx, "object store created", "bucket", bucket)
	}
	if err == nil && !made { // another bridge was quicker
		return o.Find(ctx, cloud)
	}
	return store, err
}
