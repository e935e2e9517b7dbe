package egress

import (
	"cmp"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/egress"

// seconds are bucket bounds for what takes between milliseconds and minutes.
var seconds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// calls are what is counted of a cloud's Core API.
type calls struct {
	cloud       attribute.KeyValue
	count       metric.Int64Counter
	disbelieved metric.Int64Counter
}

func newCalls(a *API) (*calls, error) {
	meter := otel.Meter(scope)
	c := &calls{cloud: attribute.String("factro.cloud", a.cfg.Cloud)}
	var err error
	if c.count, err = meter.Int64Counter("factro.bridge.api.calls", metric.WithUnit("{call}"),
		metric.WithDescription("Calls to the Core API, by operation and status; status 0 is no answer.")); err != nil {
		return nil, err
	}
	if c.disbelieved, err = meter.Int64Counter("factro.bridge.api.clock.disbelieved", metric.WithUnit("{answer}"),
		metric.WithDescription("Answers of the Core API whose Date is too far from the time of this process to be believed.")); err != nil {
		return nil, err
	}
	c.disbelieved.Add(context.Background(), 0, metric.WithAttributes(c.cloud))
	ahead, err := meter.Float64ObservableGauge("factro.bridge.api.clock.ahead", metric.WithUnit("s"),
		metric.WithDescription("How far factro's clock is ahead of that of this process, as its answers agree."))
	if err != nil {
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
	allowed, err := meter.Int64ObservableGauge("factro.bridge.api.budget.allowed", metric.WithUnit("{request}"),
		metric.WithDescription("Calls a minute that this process allows itself, as configured."))
	if err != nil {
		return nil, err
	}
	remaining, err := meter.Int64ObservableGauge("factro.bridge.api.budget.remaining", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that remain of factro's budget, as its last answer said, until the window of time that it spoke of is over."))
	if err != nil {
		return nil, err
	}
	attrs := metric.WithAttributes(c.cloud)
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(state, map[gobreaker.State]int64{
			gobreaker.StateClosed: 0, gobreaker.StateHalfOpen: 1, gobreaker.StateOpen: 2,
		}[a.gate.breaker.State()], attrs)
		bad := int64(0)
		if a.gate.refuses(a.key()) {
			bad = 1
		}
		o.ObserveInt64(paused, bad, attrs)
		o.ObserveInt64(allowed, int64(a.cfg.RequestsPerMinute), attrs)
		if n, known := a.gate.remaining(time.Now()); known {
			o.ObserveInt64(remaining, int64(n), attrs)
		}
		if d, known := a.clock.offset(); known {
			o.ObserveFloat64(ahead, d.Seconds(), attrs)
		}
		return nil
	}, state, paused, allowed, remaining, ahead)
	return c, err
}

// refuses says whether factro has refused this key. Of one that was just replaced it is not known, and without commands
// nobody may ask for long.
func (g *gate) refuses(key secret.String) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isBad && g.badKey == key
}

func (c *calls) add(ctx context.Context, op factro.Operation, a answer) {
	if a.status > 599 { // is none, and the label's values are to be few
		a.status = 0
	}
	c.count.Add(ctx, 1, metric.WithAttributes(c.cloud, attribute.String("factro.operation", op.Name),
		attribute.String("status", strconv.Itoa(a.status))))
}

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
func (m *metrics) lost(ctx context.Context)      { m.isRefused(ctx, "results") }
func (m *metrics) unwritten(ctx context.Context) { m.isRefused(ctx, "ledger") }

func (m *metrics) isRefused(ctx context.Context, store string) {
	m.refused.Add(ctx, 1, metric.WithAttributes(m.cloud, attribute.String("store", store)))
}

func newMetrics(cloud string) (*metrics, error) {
	meter := otel.Meter(scope)
	m := &metrics{cloud: attribute.String("factro.cloud", cloud)}
	var err error
	if m.commands, err = meter.Int64Counter("factro.bridge.commands", metric.WithUnit("{result}"),
		metric.WithDescription("Results of commands, by operation, outcome and error code.")); err != nil {
		return nil, err
	}
	if m.refused, err = meter.Int64Counter("factro.bridge.results.refused", metric.WithUnit("{result}"),
		metric.WithDescription("Final results that the broker refused, so that the stream of results or the ledger does not have them, by store.")); err != nil {
		return nil, err
	}
	m.duration, err = meter.Float64Histogram("factro.bridge.command.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("From pulling a command to its stored final result."))
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

// queryMetrics are what is counted of a cloud's queries.
type queryMetrics struct {
	cloud    attribute.KeyValue
	count    metric.Int64Counter
	duration metric.Float64Histogram
}

func newQueryMetrics(cloud string) (*queryMetrics, error) {
	meter := otel.Meter(scope)
	q := &queryMetrics{cloud: attribute.String("factro.cloud", cloud)}
	var err error
	if q.count, err = meter.Int64Counter("factro.bridge.queries", metric.WithUnit("{query}"),
		metric.WithDescription("Answered queries, by operation and class of status.")); err != nil {
		return nil, err
	}
	q.duration, err = meter.Float64Histogram("factro.bridge.query.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("From taking a query to its answer, by class of status."))
	return q, err
}

// answered counts an answer. What a requester wrote as the operation is a label only if it is one.
func (q *queryMetrics) answered(ctx context.Context, op factro.Operation, status int, took time.Duration) {
	class := attribute.String("status", strconv.Itoa(status/100)+"xx")
	q.count.Add(ctx, 1, metric.WithAttributes(q.cloud, attribute.String("factro.operation", cmp.Or(op.Name, "unknown")), class))
	// Not by operation: 71 of them with 14 buckets each would be more series than all the rest.
	q.duration.Record(ctx, took.Seconds(), metric.WithAttributes(q.cloud, class))
}
