package query

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/lookup"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// metrics are what is counted of a cloud's queries.
type metrics struct {
	cloud    attribute.KeyValue
	count    metric.Int64Counter
	duration metric.Float64Histogram
	mirror   metric.Int64Counter
}

func newMetrics(cloud string) (*metrics, error) {
	b := instrument.New(coreapi.Scope)
	q := &metrics{
		cloud:    attribute.String("factro.cloud", cloud),
		count:    b.Counter("factro.bridge.queries", "{query}", "Answered queries, by operation and class of status."),
		duration: b.Seconds("factro.bridge.query.duration", "From taking a query to its answer, by class of status.", coreapi.Seconds),
		mirror: b.Counter("factro.bridge.queries.mirror", "{query}",
			"Queries that the mirror may answer, by operation and outcome: fresh (it has), and those for which factro was asked: stale, waiting (for an event of the object), absent, failed."),
	}
	return q, b.Err()
}

// looked counts a look into the mirror's copy.
func (q *metrics) looked(ctx context.Context, op factro.Operation, outcome lookup.Outcome) {
	q.mirror.Add(ctx, 1, metric.WithAttributes(q.cloud, attribute.String("factro.operation", op.Name), attribute.String("outcome", string(outcome))))
}

// answered counts an answer. What a requester wrote as the operation is a label only if it is one.
func (q *metrics) answered(ctx context.Context, op factro.Operation, status int, took time.Duration) {
	class := attribute.String("status", strconv.Itoa(status/100)+"xx")
	q.count.Add(ctx, 1, metric.WithAttributes(q.cloud, attribute.String("factro.operation", cmp.Or(op.Name, "unknown")), class))
	// Not by operation: 71 of them with 14 buckets each would be more series than all the rest.
	q.duration.Record(ctx, took.Seconds(), metric.WithAttributes(q.cloud, class))
}
