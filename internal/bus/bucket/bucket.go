package bucket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Conn is what a bucket needs of the connection to NATS.
type Conn interface {
	JetStream() jetstream.JetStream
	Settings() dial.Config
	// Health says whether the leader of a stream may not be asked, on this connection.
	Health() *health.Health
}

// Bucket is a key-value bucket.
type Bucket struct {
	Name string

	conn    Conn
	log     *slog.Logger
	samples *logsample.Sampler
}

// Entry is what a bucket has under a key.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
}

// Of returns the bucket of a name. It does not ask whether there is one.
func Of(conn Conn, name string, log *slog.Logger) *Bucket {
	return &Bucket{Name: name, conn: conn, log: log, samples: logsample.New(time.Minute)}
}

const (
	// readTimeout is how long a server may take to answer a read. A leader that does not answer is being replaced.
	readTimeout  = time.Second
	readAttempts = 3
)

// Headers of entries, as the client library writes them.
const (
	kvOperation = "KV-Operation"
	kvPurge     = "PURGE"
)

func (b *Bucket) stream() string { return "KV_" + b.Name }

func (b *Bucket) subject(key string) string { return "$KV." + b.Name + "." + key }

// Get returns the entry of a key, or jetstream.ErrKeyNotFound.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	for n := 1; ; n++ {
		e, deleted, err := b.last(ctx, key)
		switch {
		case err == nil && deleted:
			return Entry{}, jetstream.ErrKeyNotFound
		case err == nil, errors.Is(err, jetstream.ErrKeyNotFound), ctx.Err() != nil:
			return e, err
		case n == readAttempts || natserr.Disconnected(err) || natserr.Of(err) == natserr.Permanent:
			if skipped, due := b.samples.Due("read", time.Now()); due {
				b.log.WarnContext(ctx, "a bucket cannot be read from its leader", "bucket", b.Name, "error", err, "not_logged", skipped)
			}
			return e, fmt.Errorf("bucket %s: %w", b.Name, err)
		}
	}
}

// last asks once for the last message of a key, and says whether that is a deletion.
func (b *Bucket) last(ctx context.Context, key string) (e Entry, deleted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := stored.On(b.conn).Last(ctx, b.stream(), b.subject(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return e, false, jetstream.ErrKeyNotFound
	}
	if err != nil {
		return e, false, err
	}
	return Entry{key, m.Data, m.Sequence}, delivery.Header(m.Header).Get(kvOperation) != "", nil
}

// Create writes an entry that is not there, else the error is jetstream.ErrKeyExists.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.write(ctx, key, value, 0, nil)
	if !natserr.Conflict(err) {
		return revision, err
	}
	if e, deleted, lookErr := b.last(ctx, key); lookErr == nil && deleted {
		if revision, err = b.write(ctx, key, value, e.Revision, nil); !natserr.Conflict(err) {
			return revision, err
		}
	}
	return 0, fmt.Errorf("%w: %w", jetstream.ErrKeyExists, err)
}

// Update replaces a revision, else the error is jetstream.ErrKeyRevisionMismatch.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	now, err := b.write(ctx, key, value, revision, nil)
	return now, Mismatch(err)
}

// Purge removes an entry of that revision.
func (b *Bucket) Purge(ctx context.Context, key string, revision uint64) error {
	_, err := b.write(ctx, key, nil, revision, nats.Header{kvOperation: {kvPurge}, jetstream.MsgRollup: {jetstream.MsgRollupSubject}})
	return Mismatch(err)
}

// PurgeFor is Purge, and leaves a marker that goes by itself after a while. The bucket has to allow it.
func (b *Bucket) PurgeFor(ctx context.Context, key string, revision uint64, marker time.Duration) error {
	_, err := b.write(ctx, key, nil, revision, nats.Header{
		kvOperation: {kvPurge}, jetstream.MsgRollup: {jetstream.MsgRollupSubject}, jetstream.MsgTTLHeader: {marker.String()},
	})
	return Mismatch(err)
}

// Mismatch makes a refused revision jetstream.ErrKeyRevisionMismatch.
func Mismatch(err error) error {
	if natserr.Conflict(err) {
		return fmt.Errorf("%w: %w", jetstream.ErrKeyRevisionMismatch, err)
	}
	return err
}

func (b *Bucket) write(ctx context.Context, key string, value []byte, revision uint64, header nats.Header) (uint64, error) {
	if header == nil {
		header = nats.Header{}
	}
	header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(revision, 10)}
	subject := b.subject(key)
	if root := b.conn.Settings().APIRoot(); root != dial.DefaultAPI { // where the server, or an import, takes it to the bucket
		subject = root + "." + subject
	}
	ack, err := natserr.Publish(ctx, b.conn.JetStream(), &nats.Msg{Subject: subject, Header: header, Data: value}, b.stream())
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
