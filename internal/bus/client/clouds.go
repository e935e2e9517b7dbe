package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Clouds returns the names of the clouds that have streams, sorted. It needs the right to list all streams.
func (c *Client) Clouds(ctx context.Context, p events.Prefix) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // a request that is refused is never answered
	defer cancel()
	var clouds []string
	names := c.js.StreamNames(ctx)
	for name := range names.Name() {
		if cloud, ok := strings.CutPrefix(name, p.DeadStream("")); ok {
			clouds = append(clouds, strings.ToLower(cloud))
		}
	}
	if err := names.Err(); err != nil {
		if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return nil, fmt.Errorf("there is no JetStream at %s for this account; is it the right server, account, --js-domain and --js-api-prefix? %w",
				secret.Address(c.nc.ConnectedUrl()), err)
		}
		return nil, fmt.Errorf("find the clouds by their streams, which needs the right to list them (else name one with --cloud): %w", err)
	}
	if len(clouds) == 0 {
		return nil, fmt.Errorf("no bridge has made streams at %s with the prefix %s (there is no stream %s…); is it the right server, account and prefix?",
			secret.Address(c.nc.ConnectedUrl()), p, p.DeadStream(""))
	}
	slices.Sort(clouds)
	return clouds, nil
}

// servedTimeout bounds the question whether a cloud is served: one that may not be asked is never answered.
const servedTimeout = 2 * time.Second

// Served reports whether a bridge takes the commands of a cloud at this moment, or carries one out. It needs the right to look at
// the consumer of commands.
func (c *Client) Served(ctx context.Context, p events.Prefix, cloud string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, servedTimeout)
	defer cancel()
	consumer, err := c.js.Consumer(ctx, p.CommandStream(cloud), topology.EgressConsumer(cloud))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the consumer of the commands of %s: %w", cloud, err)
	}
	info := consumer.CachedInfo()
	for again := 0; ; again++ {
		if info.NumWaiting > 0 || info.NumAckPending > 0 {
			return true, nil
		}
		if again == 2 {
			return false, nil
		}
		select { // it may be between two pulls
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if info, err = consumer.Info(ctx); err != nil {
			return false, fmt.Errorf("look at the consumer of the commands of %s: %w", cloud, err)
		}
	}
}

// WaitStreams waits until a bridge has made the streams of a cloud.
func (c *Client) WaitStreams(ctx context.Context, p events.Prefix, cloud string) error {
	for {
		_, err := c.js.Stream(ctx, p.EventStream(cloud)) // the last one to be made
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the streams: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
