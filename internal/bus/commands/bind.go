package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// Binder is what the consumer of commands needs of the connection to be found or made.
type Binder interface {
	JetStream() jetstream.JetStream
	Settings() bus.Config
	expectations
}

type expectations interface {
	// Timing says how long the broker waits for the verdict on a command, and how often it confirms a request to pull.
	Timing() bus.Timing
	// News reports whether a text about something is new, so that it is logged once.
	News(name, text string) bool
}

// Bind binds the durable consumer of a cloud's commands, and creates it if it is missing and the bridge may.
func Bind(ctx context.Context, conn Binder, cloud string, log *slog.Logger) (jetstream.Consumer, error) {
	cfg, js := conn.Settings(), conn.JetStream()
	want := cfg.Plan().Consumer(cloud, conn.Timing().AckWait)
	c, err := js.Consumer(ctx, cfg.Prefix.CommandStream(cloud), want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && cfg.Manage:
		if c, err = js.CreateConsumer(ctx, cfg.Prefix.CommandStream(cloud), want); err != nil {
			return nil, fmt.Errorf("create consumer %s: %w", want.Durable, err)
		}
	case err != nil:
		return nil, fmt.Errorf("bind consumer %s: %w", want.Durable, err)
	default:
		if d := topology.ConsumerDrift(want, c.CachedInfo().Config); conn.News(want.Durable, d) {
			log.WarnContext(ctx, "consumer differs from the contract; it is left as it is", "consumer", want.Durable, "drift", d)
		}
	}
	return c, nil
}

// pullFrom pulls from a consumer one message at a time.
func (q *cloudQueue) pullFrom(c jetstream.Consumer) delivery.Puller {
	info := c.CachedInfo()
	return delivery.Puller{
		Conn: q.conn.NATS(), Line: q.conn, API: q.conn.Settings().APIRoot(), Stream: info.Stream, Consumer: info.Name, Heartbeat: q.conn.Timing().Heartbeat,
	}
}
