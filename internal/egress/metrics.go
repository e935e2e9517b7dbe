package egress

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/telemetry/instrument"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// metrics are what is counted of a cloud's commands.
type metrics struct {
	cloud    attribute.KeyValue
	commands metric.Int64Counter
	refused  metric.Int64Counter
	expected sync.Once
	duration metric.Float64Histogram
}

// expect begins the counts that somebody watches at 0: the growth of a series that begins with its first case does not
// count that case.
func (m *metrics) expect(ctx context.Context) {
	m.expected.Do(func() {
		for _, store := range []string{"results", "ledger"} {
			m.refused.Add(ctx, 0, metric.WithAttributes(m.cloud, attribute.String("store", store)))
		}
	})
}

// lost counts a result that was not published, and unwritten one that is not in the ledger.
func (m *metrics) lost(ctx context.Context) { m.isRefused(ctx, "results") }

func (m *metrics) unwritten(ctx context.Context) { m.isRefused(ctx, "ledger") }

func (m *metrics) isRefused(ctx context.Context, store string) {
	m.refused.Add(ctx, 1, metric.WithAttributes(m.cloud, attribute.String("store", store)))
}

func newMetrics(cloud string) (*metrics, error) {
	b := instrument.New(coreapi.Scope)
	m := &metrics{
		cloud:    attribute.String("factro.cloud", cloud),
		commands: b.Counter("factro.bridge.commands", "{result}", "Results of commands, by operation, outcome and error code."),
		refused: b.Counter("factro.bridge.results.refused", "{result}",
			"Final results that the broker refused, so that the stream of results or the ledger does not have them, by store."),
		duration: b.Seconds("factro.bridge.command.duration", "From pulling a command to its stored final result.", coreapi.Seconds),
	}
	return m, b.Err()
}

// finished counts a result. What a sender wrote as the operation is a label only if it is one.
func (m *metrics) finished(ctx context.Context, j *job, r events.Result) {
	operation, code := "unknown", ""
	if j.op.Name != "" {
		operation = j.op.Name
	}
	if r.Error != nil {
		code = r.Error.Code
	}
	m.commands.Add(ctx, 1, metric.WithAttributes(m.cloud, attribute.String("factro.operation", operation),
		attribute.String("outcome", string(r.Outcome)), attribute.String("code", code)))
	if r.Outcome != events.Deferred {
		m.duration.Record(ctx, time.Since(j.startedAt).Seconds(), metric.WithAttributes(m.cloud, attribute.String("outcome", string(r.Outcome))))
	}
}
