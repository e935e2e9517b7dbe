package deadletter

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// metrics count what could not be stored as it should be.
type metrics struct{ lost metric.Int64Counter }

// Outcomes of messages that the broker refused.
const (
	parked       = "parked"
	requeued     = "requeued"
	originalLost = "original_lost"
)

func newMetrics(ctx context.Context) (m metrics, err error) {
	b := instrument.New(measure.Scope)
	m.lost = b.Counter("factro.bridge.refused", "{message}",
		"Messages that the broker refused for good or again and again, by outcome: parked to be published later, "+
			"requeued as commands, or lost, which is the part of an original that its dead letter does not hold.")
	if err := b.Err(); err != nil {
		return m, err
	}
	// The growth of a series that begins with its first case does not count that case.
	for _, outcome := range []string{parked, requeued, originalLost} {
		m.lost.Add(ctx, 0, outcomeOption(outcome))
	}
	return m, nil
}

func (m metrics) refused(ctx context.Context, outcome string) {
	m.lost.Add(ctx, 1, outcomeOption(outcome))
}

func outcomeOption(outcome string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("outcome", outcome))
}

// CountRequeued counts a command that was put at the end of its queue, because neither its stream nor the object store takes
// what is to be published about it.
func (s *Store) CountRequeued(ctx context.Context) { s.metrics.refused(ctx, requeued) }

// needPeople are the dead letters that are not plain mistakes of a sender.
var needPeople = []struct{ kind, code string }{
	{Command, events.CodeAmbiguous},
	{Command, events.CodeExhausted},
	{Command, events.CodeUndeliverable},
	{Command, CodeTerminated},
	{Webhook, "unusable"},
	{Webhook, codeTooLarge},
}
