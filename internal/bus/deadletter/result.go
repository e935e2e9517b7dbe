package deadletter

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// NextResult returns the sequence that the next result of a cloud will have, as the start for Redrive.Result.
func NextResult(ctx context.Context, c Client, p events.Prefix, cloud string) (uint64, error) {
	stream, err := c.JetStream().Stream(ctx, p.ResultStream(cloud))
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", p.ResultStream(cloud), err)
	}
	return stream.CachedInfo().State.LastSeq + 1, nil
}

// Result waits for the final result of the command among those from a sequence on.
func (r Redrive) Result(ctx context.Context, c Client, p events.Prefix, from uint64) (events.Result, error) {
	consumer, err := c.JetStream().OrderedConsumer(ctx, p.ResultStream(r.Cloud), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{p.ResultFilter(r.Cloud, r.Resource, r.Operation, events.Any)},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return events.Result{}, fmt.Errorf("read stream %s: %w", p.ResultStream(r.Cloud), err)
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(batch))
	if err != nil {
		return events.Result{}, fmt.Errorf("read stream %s: %w", p.ResultStream(r.Cloud), err)
	}
	defer it.Stop()
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return events.Result{}, ctx.Err()
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue
		case err != nil:
			return events.Result{}, fmt.Errorf("read stream %s: %w", p.ResultStream(r.Cloud), err)
		}
		e, err := events.FromMsg(msg.Headers(), msg.Data())
		if err != nil || !attr.Caused(e.Extensions(), r.Source, r.ID) {
			continue
		}
		if result, err := events.ResultOf(e); err == nil && result.Outcome.Final() {
			return result, nil
		}
	}
}
