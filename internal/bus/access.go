package bus

import (
	"context"
	"io"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
)

// Config says which NATS server to use and how its streams are made.
type Config = dial.Config

// AttemptTimeout is how long an attempt waits for an answer.
const AttemptTimeout = dial.AttemptTimeout

// TLS are the files for a connection by TLS.
type TLS = dial.TLS

// JetStream gives access to streams and buckets. Calls fail while the connection is down; see AwaitUp.
func (b *Conn) JetStream() jetstream.JetStream { return b.js }

// NATS returns the underlying connection.
func (b *Conn) NATS() *nats.Conn { return b.nc }

// Settings returns the configuration of the connection.
func (b *Conn) Settings() Config { return b.cfg }

// Health is what went wrong on the connection and has not worked since.
func (b *Conn) Health() *health.Health { return b.health }

// JetStream gives access to streams and buckets.
func (c *Client) JetStream() jetstream.JetStream { return c.js }

// NATS returns the underlying connection.
func (c *Client) NATS() *nats.Conn { return c.nc }

// StoredMsg reads the message of a stream that has this sequence; with a subject, the first one of that subject from there.
func (c *Client) StoredMsg(ctx context.Context, stream string, sequence uint64, subject string) (*jetstream.RawStreamMsg, error) {
	return stored.Get(ctx, c.cfg, c.js, stream, sequence, subject)
}

// PutObject stores an object in messages of at most so many bytes. The end of ctx ends it through the content.
func PutObject(ctx context.Context, store jetstream.ObjectStore, bucket, name string, content io.Reader, payload int64) error {
	_, err := put(ctx, store, bucket, name, content, payload)
	return err
}

// ObjectError distinguishes what is not there, which is ErrNoFile, from what cannot be asked.
func ObjectError(bucket string, err error) error { return fileError(bucket, err) }

// Settings returns the configuration of the connection.
func (c *Client) Settings() Config { return c.cfg }
