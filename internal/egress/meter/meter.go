// Package meter has the metrics of commands.
//
// In: results, and what the broker refuses of them. Out: metrics. It decides about no command.
package meter

import (
	"cmp"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Metrics has the instruments for the commands of a cloud.
type Metrics struct {
	cloud    attribute.KeyValue
	commands metric.Int64Counter
	refused  metric.Int64Counter
	zeroed   sync.Once
	duration metric.Float64Histogram
	labels   sync.Map // [3]string of an operation, an outcome and a code -> labels
}

// labels are those of one kind of result. They are made once: making them costs more than counting.
type labels struct{ result, outcome metric.MeasurementOption }

// StartAtZero starts the counters of refused results at 0. Without that, a series starts with its first case, and the increase
// over time does not include that case.
func (m *Metrics) StartAtZero(ctx context.Context) {
	m.zeroed.Do(func() {
		for _, store := range []string{"results", "ledger"} {
			m.refused.Add(ctx, 0, metric.WithAttributes(m.cloud, attribute.String("store", store)))
		}
	})
}

// ResultRefused counts a result that was not published.
func (m *Metrics) ResultRefused(ctx context.Context) { m.countRefused(ctx, "results") }

// RecordRefused counts a result that is not in the ledger.
func (m *Metrics) RecordRefused(ctx context.Context) { m.countRefused(ctx, "ledger") }

func (m *Metrics) countRefused(ctx context.Context, store string) {
	m.refused.Add(ctx, 1, metric.WithAttributes(m.cloud, attribute.String("store", store)))
}

// New returns the metrics of a cloud.
func New(cloud string) (*Metrics, error) {
	b := instrument.New(coreapi.Scope)
	m := &Metrics{
		cloud:    attribute.String("factro.cloud", cloud),
		commands: b.Counter("factro.bridge.commands", "{result}", "Results of commands, by operation, outcome and error code."),
		refused: b.Counter("factro.bridge.results.refused", "{result}",
			"Final results that the broker refused, by store. The stream of results or the ledger does not have them."),
		duration: b.Seconds("factro.bridge.command.duration", "Time from pulling a command to storing its final result.", coreapi.Seconds),
	}
	return m, b.Err()
}

// Count counts a result of an operation, and since when its command was handled. The label for the operation is "unknown" unless the operation exists, so that senders cannot create
// labels.
func (m *Metrics) Count(ctx context.Context, op factro.Operation, since time.Time, r events.Result) {
	operation, code := cmp.Or(op.Name, "unknown"), ""
	if r.Error != nil {
		code = r.Error.Code
	}
	l := m.labelsOf(operation, string(r.Outcome), code)
	m.commands.Add(ctx, 1, l.result)
	if r.Outcome != events.Deferred {
		m.duration.Record(ctx, time.Since(since).Seconds(), l.outcome)
	}
}

func (m *Metrics) labelsOf(operation, outcome, code string) labels {
	key := [3]string{operation, outcome, code}
	if l, ok := m.labels.Load(key); ok {
		return l.(labels) //nolint:errcheck // nothing else is in the map
	}
	l := labels{
		result: metric.WithAttributeSet(attribute.NewSet(m.cloud, attribute.String("factro.operation", operation),
			attribute.String("outcome", outcome), attribute.String("code", code))),
		outcome: metric.WithAttributeSet(attribute.NewSet(m.cloud, attribute.String("outcome", outcome))),
	}
	m.labels.Store(key, l)
	return l
}
