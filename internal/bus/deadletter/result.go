package deadletter

import (
	"context"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
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
	stream, filter := p.ResultStream(r.Cloud), p.ResultFilter(r.Cloud, r.Resource, r.Operation, events.Any)
	for m, err := range journal.New(c.JetStream()).InBatches(batch).Read(ctx, stream, journal.At(from), journal.Endless(), filter) {
		if err != nil {
			return events.Result{}, err
		}
		if m.Broken != nil || !attr.Caused(m.Event.Extensions(), r.Source, r.ID) {
			continue
		}
		if result, err := events.ResultOf(m.Event); err == nil && result.Outcome.Final() {
			return result, nil
		}
	}
	return events.Result{}, ctx.Err() // a reading without an end ends with an error
}
