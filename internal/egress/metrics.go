package egress

import (
	"context"
	"strconv"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/egress"

// seconds are bucket bounds for what takes between milliseconds and minutes.
var seconds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

type metrics struct {
	cloud    attribute.KeyValue
	commands metric.Int64Counter
	duration metric.Float64Histogram
	calls    metric.Int64Counter
}

func newMetrics(w *Worker) (*metrics, error) {
	meter := otel.Meter(scope)
	m := &metrics{cloud: attribute.String("factro.cloud", w.cfg.Cloud)}
	var err error
	if m.commands, err = meter.Int64Counter("factro.bridge.commands", metric.WithUnit("{result}"),
		metric.WithDescription("Results of commands, by operation, outcome and error code.")); err != nil {
		return nil, err
	}
	if m.duration, err = meter.Float64Histogram("factro.bridge.command.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("From pulling a command to its stored final result.")); err != nil {
		return nil, err
	}
	if m.calls, err = meter.Int64Counter("factro.bridge.api.calls", metric.WithUnit("{call}"),
		metric.WithDescription("Calls to the Core API, by operation and status; status 0 is no answer.")); err != nil {
		return nil, err
	}
	state, err := meter.Int64ObservableGauge("factro.bridge.breaker.state",
		metric.WithDescription("The circuit breaker of a cloud: 0 closed, 1 half-open, 2 open."))
	if err != nil {
		return nil, err
	}
	paused, err := meter.Int64ObservableGauge("factro.bridge.cloud.paused",
		metric.WithDescription("1 while factro refuses the API key of a cloud and its commands wait, else 0."))
	if err != nil {
		return nil, err
	}
	attrs := metric.WithAttributes(m.cloud)
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(state, map[gobreaker.State]int64{
			gobreaker.StateClosed: 0, gobreaker.StateHalfOpen: 1, gobreaker.StateOpen: 2,
		}[w.gate.breaker.State()], attrs)
		bad := int64(0)
		if w.gate.paused() {
			bad = 1
		}
		o.ObserveInt64(paused, bad, attrs)
		return nil
	}, state, paused)
	return m, err
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

func (m *metrics) called(ctx context.Context, op factro.Operation, a answer) {
	m.calls.Add(ctx, 1, metric.WithAttributes(m.cloud, attribute.String("factro.operation", op.Name),
		attribute.String("status", strconv.Itoa(a.status))))
}
