package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// defaultTTL is how long a lease holds without being renewed. It is renewed three times as often; a crash is noticed after
// as long.
const defaultTTL = 30 * time.Second

// Conn is what leases need of the connection to NATS.
type Conn interface {
	bucket.Conn
	AwaitUp(ctx context.Context) error
}

// Room makes buckets with what room there is.
type Room interface {
	WithRoom(ctx context.Context, what string, kind topology.Kind, create func(context.Context, int64) error) (made bool, _ error)
}

// Leases are the leases of one bridge.
type Leases struct {
	conn Conn
	room Room
	log  *slog.Logger
	ttl  time.Duration
	// bridge is who the holder says it is.
	bridge string
}

// New returns the leases that the bucket of the configured prefix holds. It asks nobody.
func New(conn Conn, room Room, log *slog.Logger, options ...Option) *Leases {
	ls := &Leases{conn: conn, room: room, log: log, ttl: defaultTTL}
	for _, o := range options {
		o(ls)
	}
	return ls
}

// Option changes how leases are kept.
type Option func(*Leases)

// WithTTL has a lease hold for so long without being renewed. All processes that want a key must name the same time for it: a dead
// holder is noticed after as long.
func WithTTL(ttl time.Duration) Option { return func(ls *Leases) { ls.ttl = ttl } }

// Acquire takes the lease of a key, as soon as nobody else has it, and renews it until Release. It waits as long as ctx
// allows, also for the connection. The bucket is made if it is missing and the bridge may.
func (ls *Leases) Acquire(ctx context.Context, key string) (*Lease, error) {
	kv, err := ls.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	l := ls.lease(kv, key)
	if err := l.take(ctx); err != nil {
		return nil, fmt.Errorf("lease of %s: %w", key, err)
	}
	l.start(ctx)
	return l, nil
}

// lease is that of a key, which nobody has taken yet.
func (ls *Leases) lease(kv *bucket.Bucket, key string) *Lease {
	return &Lease{
		kv: kv, key: key, name: rand.Text(), bridge: ls.bridge, ttl: ls.ttl,
		lost: make(chan struct{}), stopped: make(chan struct{}), yield: make(chan struct{}),
	}
}

// start begins to renew a lease that was taken.
func (l *Lease) start(ctx context.Context) {
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.renew(keep)
}

// open returns the bucket once the connection is up.
func (ls *Leases) open(ctx context.Context) (*bucket.Bucket, error) {
	if err := ls.conn.AwaitUp(ctx); err != nil {
		return nil, err
	}
	cfg, js := ls.conn.Settings(), ls.conn.JetStream()
	name := topology.ReconcileBucket(cfg.Prefix)
	attempt, cancel := context.WithTimeout(ctx, 5*bus.AttemptTimeout)
	defer cancel()
	_, err := js.KeyValue(attempt, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) && cfg.Manage {
		_, err = ls.room.WithRoom(ctx, "bucket "+name, topology.Reconcile, func(ctx context.Context, bytes int64) error {
			want := cfg.Plan().Reconcile()
			want.MaxBytes = bytes
			_, err := js.CreateOrUpdateKeyValue(ctx, want)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return bucket.Of(ls.conn, name, ls.log), nil
}
