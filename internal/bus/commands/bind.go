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

// Bind binds the durable consumer of a cloud's commands as it is, and creates it if it is missing and the bridge may.
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

// binder creates the consumer of a cloud's commands again.
type binder struct{ *cloudQueue }

// rebind creates the consumer again, so that it delivers all commands again in the order of the stream, also those that a bridge before
// this one has not settled. Without the right to that it binds the one that is there, and kept says so.
//
// It changes the consumer before it deletes it: that needs the same right as to create it, which is not to be missed only when the
// consumer is gone.
func (q binder) rebind(ctx context.Context) (c jetstream.Consumer, kept bool, err error) {
	cfg, js := q.conn.Settings(), q.conn.JetStream()
	stream := cfg.Prefix.CommandStream(q.cloud)
	want := cfg.Plan().Consumer(q.cloud, q.conn.Timing().AckWait)
	if q.mayNot == "" {
		right, err := q.remake(ctx, js, stream, want, &c)
		if err == nil {
			return c, false, nil
		}
		if right == "" || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) { // a request that is refused is never answered
			return nil, false, err
		}
		q.mayNot = cfg.API(right)
	}
	if c, err = Bind(ctx, q.conn, q.cloud, q.log); err != nil {
		return nil, false, err
	}
	if q.conn.News("rebind "+want.Durable, q.mayNot) {
		q.log.WarnContext(ctx, "the consumer of commands cannot be created again; after another bridge has died, its commands come late. Allow this bridge to publish on the subject",
			"consumer", want.Durable, "subject", q.mayNot)
	}
	if have := c.CachedInfo().Config; have.MaxAckPending > 0 && q.conn.News("pending "+want.Durable, fmt.Sprint(have.MaxAckPending)) {
		q.log.WarnContext(ctx, "the consumer of commands is that of an older version: commands are carried out with less side by side. Delete it, or let a bridge with nats.manage: true create it again",
			"consumer", want.Durable, "max_ack_pending", have.MaxAckPending, "want", want.MaxAckPending)
	}
	return c, true, nil
}

// remake updates, deletes and creates the consumer. right is what of the API of JetStream the failed step needs.
func (q binder) remake(ctx context.Context, js jetstream.JetStream, stream string, want jetstream.ConsumerConfig, made *jetstream.Consumer) (right string, err error) {
	step := func(right string, do func(context.Context) error) error {
		attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
		defer cancel()
		if err := do(attempt); err != nil {
			return fmt.Errorf("%s: %w", right, err)
		}
		return nil
	}
	right = "CONSUMER.CREATE." + stream + "." + want.Durable
	create := func(ctx context.Context) (err error) {
		*made, err = js.CreateOrUpdateConsumer(ctx, stream, want)
		return err
	}
	if err := step(right, create); err != nil {
		return right, err
	}
	if info := (*made).CachedInfo(); info.Delivered.Consumer == 0 {
		return "", nil // it is new
	}
	remove := "CONSUMER.DELETE." + stream + "." + want.Durable
	if err := step(remove, func(ctx context.Context) error { return js.DeleteConsumer(ctx, stream, want.Durable) }); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return remove, err
	}
	return right, step(right, create)
}

// pullFrom pulls from a consumer.
func (q *cloudQueue) pullFrom(c jetstream.Consumer) delivery.Puller {
	info := c.CachedInfo()
	return delivery.Puller{
		Conn: q.conn.NATS(), Line: q.conn, API: q.conn.Settings().APIRoot(), Stream: info.Stream, Consumer: info.Name, Heartbeat: q.conn.Timing().Heartbeat,
	}
}
