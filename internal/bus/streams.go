package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Streams makes and checks the streams and buckets. It stands on the connection, which therefore is given it.
type Streams interface {
	// Check checks the streams once, and says whether all is well.
	Check(ctx context.Context) (well bool)
	// CreateStream creates a stream with its size, or its share of the room that there is.
	CreateStream(ctx context.Context, want topology.Stream) error
	// WithRoom has a stream or bucket made with the size that it should have, or with its share of the room that there is. made
	// says whether this call made it.
	WithRoom(ctx context.Context, what string, kind topology.Kind, create func(context.Context, int64) error) (made bool, _ error)
}

// WithStreams has a connection check its streams.
func WithStreams(on func(*Conn) Streams) Option {
	return func(b *Conn) { b.newStreams = on }
}

var errNoStreams = errors.New("this connection makes no streams")

// CreateStream creates a stream with its size, or its share of the room that there is.
func (b *Conn) CreateStream(ctx context.Context, want topology.Stream) error {
	if b.streams == nil {
		return errNoStreams
	}
	return b.streams.CreateStream(ctx, want)
}

// WithRoom has a stream or bucket made with the size that it should have, or with its share of the room that there is. made says
// whether this call made it, and not somebody else.
func (b *Conn) WithRoom(ctx context.Context, what string, kind topology.Kind, create func(context.Context, int64) error) (made bool, _ error) {
	if b.streams == nil {
		return false, errNoStreams
	}
	return b.streams.WithRoom(ctx, what, kind, create)
}

// CheckEvery is how often the streams are checked while all is well.
func (b *Conn) CheckEvery() time.Duration { return b.checkEvery }

// AckWait is how long the broker waits for the verdict on a command before it delivers the command again.
func (b *Conn) AckWait() time.Duration { return b.ackWait }

// CheckTimeout bounds one check of a cloud.
func (b *Conn) CheckTimeout() time.Duration { return b.checkTimeout }

// ackWait is how long the broker waits for word of a command before it delivers it to somebody else.
const ackWait = 10 * time.Second

// CommandConsumer binds the durable consumer of a cloud's commands, and creates it if it is missing and the bridge may.
func (b *Conn) CommandConsumer(ctx context.Context, cloud string) (jetstream.Consumer, error) {
	want := b.cfg.Plan().Consumer(cloud, b.ackWait)
	c, err := b.js.Consumer(ctx, b.cfg.Prefix.CommandStream(cloud), want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && b.cfg.Manage:
		if c, err = b.js.CreateConsumer(ctx, b.cfg.Prefix.CommandStream(cloud), want); err != nil {
			return nil, fmt.Errorf("create consumer %s: %w", want.Durable, err)
		}
	case err != nil:
		return nil, fmt.Errorf("bind consumer %s: %w", want.Durable, err)
	default:
		if d := topology.ConsumerDrift(want, c.CachedInfo().Config); b.News(want.Durable, d) {
			b.log.WarnContext(ctx, "consumer differs from the contract; it is left as it is", "consumer", want.Durable, "drift", d)
		}
	}
	return c, nil
}
