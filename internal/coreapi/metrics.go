package coreapi

import (
	"context"
	"strconv"
	"sync"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Scope is the instrumentation scope of what is measured of the Core API, of commands and of queries. It has the name of the
// package that measured all three first: whoever filters by it is not to lose them.
const Scope = "github.com/factro-bridge/factro-bridge/internal/egress"

// Seconds are bucket bounds for what takes between milliseconds and minutes.
var Seconds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// calls are what is counted of a cloud's Core API.
type calls struct {
	cloud       attribute.KeyValue
	count       metric.Int64Counter
	disbelieved metric.Int64Counter

	mu   sync.RWMutex
	sets map[callKind][]metric.AddOption
}

// callKind is what calls are counted by.
type callKind struct {
	operation string
	status    int
}

func newCalls(a *API) (*calls, error) {
	b := instrument.New(Scope)
	c := &calls{
		sets:  map[callKind][]metric.AddOption{},
		cloud: attribute.String("factro.cloud", a.cfg.Cloud),
		count: b.Counter("factro.bridge.api.calls", "{call}",
			"Calls to the Core API, by operation and status; status 0 is no answer."),
		disbelieved: b.Counter("factro.bridge.api.clock.disbelieved", "{answer}",
			"Answers of the Core API whose Date is too far from the time of this process to be believed."),
	}
	ahead := b.FloatGauge("factro.bridge.api.clock.ahead", "s",
		"How far factro's clock is ahead of that of this process, as its answers agree.")
	state := b.Gauge("factro.bridge.breaker.state", "",
		"The circuit breaker of a cloud: 0 closed, 1 half-open, 2 open.")
	paused := b.Gauge("factro.bridge.cloud.paused", "",
		"1 while factro refuses the API key of a cloud and its commands wait, else 0.")
	allowed := b.Gauge("factro.bridge.api.budget.allowed", "{request}",
		"Calls a minute that this process allows itself: as configured, but not more than factro's answers say.")
	remaining := b.Gauge("factro.bridge.api.budget.remaining", "{request}",
		"Requests that remain of factro's budget, as its last answer said, until the window of time that it spoke of is over.")
	reset := b.FloatGauge("factro.bridge.api.budget.reset", "s",
		"How long it takes at most until the window of factro's budget is over.")
	waiting := b.Gauge("factro.bridge.api.budget.waiting", "{request}",
		"Calls that wait for a request of the budget, by class: commands, mirror, reconcile, queries.")
	partition := b.Gauge("factro.bridge.api.budget.partition", "",
		"1 for what factro counts requests by, as its answers show: key, address, or unknown; else 0. By address, all clouds of the process share one budget.")
	attrs := metric.WithAttributes(c.cloud)
	b.Observe(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(state, map[gobreaker.State]int64{
			gobreaker.StateClosed: 0, gobreaker.StateHalfOpen: 1, gobreaker.StateOpen: 2,
		}[a.gate.breaker.State()], attrs)
		bad := int64(0)
		if a.gate.refuses(a.Key()) {
			bad = 1
		}
		o.ObserveInt64(paused, bad, attrs)
		of := a.budget.State(a.Key())
		o.ObserveInt64(allowed, int64(of.Allowed), attrs)
		if of.Known {
			o.ObserveInt64(remaining, int64(of.Remaining), attrs)
			o.ObserveFloat64(reset, of.Reset.Seconds(), attrs)
		}
		for class, n := range of.Waiting {
			o.ObserveInt64(waiting, int64(n), metric.WithAttributes(c.cloud, attribute.String("class", budget.Class(class).String())))
		}
		for _, kind := range budget.Kinds {
			is := int64(0)
			if kind == of.Kind {
				is = 1
			}
			o.ObserveInt64(partition, is, metric.WithAttributes(c.cloud, attribute.String("partition", string(kind))))
		}
		if d, known := a.clock.offset(); known {
			o.ObserveFloat64(ahead, d.Seconds(), attrs)
		}
		return nil
	})
	if err := b.Err(); err != nil {
		return nil, err
	}
	c.disbelieved.Add(context.Background(), 0, attrs) // series that are watched start at 0
	return c, nil
}

// refuses says whether factro has refused this key. Of one that was just replaced it is not known, and without commands
// nobody may ask for long.
func (g *gate) refuses(key secret.String) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isBad && g.badKey == key
}

func (c *calls) add(ctx context.Context, op factro.Operation, a Answer) {
	if a.Status > 599 { // is none, and the label's values are to be few
		a.Status = 0
	}
	c.count.Add(ctx, 1, c.set(callKind{op.Name, a.Status})...)
}

// set has the labels of a call, which are made once: their number is bounded by the operations and statuses that there are.
func (c *calls) set(kind callKind) []metric.AddOption {
	c.mu.RLock()
	set := c.sets[kind]
	c.mu.RUnlock()
	if set != nil {
		return set
	}
	set = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(c.cloud, attribute.String("factro.operation", kind.operation),
		attribute.String("status", strconv.Itoa(kind.status))))}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets[kind] = set
	return set
}
