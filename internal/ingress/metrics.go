package ingress

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/ingress"

type metrics struct {
	received metric.Int64Counter
	duration metric.Float64Histogram
	dropped  metric.Int64Counter
	refusals metric.Int64Counter
	attrs    sync.Map // answerKey -> labels; there are few, and building them costs more than counting
}

type answerKey struct {
	cloud, code, method string
	status              int
	tls                 bool
}

// labels are the labels of our own counter and those of the standard's histogram.
type labels struct{ received, duration metric.MeasurementOption }

// seconds are the bucket bounds that the semantic conventions recommend.
var seconds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

func newMetrics(s *Server) (*metrics, error) {
	meter := otel.Meter(scope)
	m := &metrics{}
	var err error
	if m.received, err = meter.Int64Counter("factro.bridge.webhooks", metric.WithUnit("{request}"),
		metric.WithDescription("Requests at the webhook endpoint, by cloud, outcome and status.")); err != nil {
		return nil, err
	}
	if m.duration, err = meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("Duration of HTTP server requests.")); err != nil {
		return nil, err
	}
	busy, err := meter.Int64ObservableGauge("factro.bridge.webhooks.in_flight", metric.WithUnit("{request}"),
		metric.WithDescription("Webhooks being stored now."))
	if err != nil {
		return nil, err
	}
	memory, err := meter.Int64ObservableGauge("factro.bridge.webhooks.memory", metric.WithUnit("By"),
		metric.WithDescription("Memory of the webhooks being read or stored now."))
	if err != nil {
		return nil, err
	}
	open, err := meter.Int64ObservableGauge("factro.bridge.connections", metric.WithUnit("{connection}"),
		metric.WithDescription("Open connections of the webhook port, by whether they have shown a correct secret and are kept."))
	if err != nil {
		return nil, err
	}
	if m.dropped, err = meter.Int64Counter("factro.bridge.connections.dropped", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections of the webhook port that a limit closed or refused, or that sent no request, by reason.")); err != nil {
		return nil, err
	}
	if m.refusals, err = meter.Int64Counter("factro.bridge.webhooks.refused", metric.WithUnit("{request}"),
		metric.WithDescription("Requests to the webhook port that were answered with 4xx or 5xx, by cloud and reason, including unknown paths and headers that are too large.")); err != nil {
		return nil, err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(busy, s.slots.inUse())
		o.ObserveInt64(memory, s.memory.inUse())
		all, kept := s.conns.Open()
		o.ObserveInt64(open, int64(kept), keptOption)
		o.ObserveInt64(open, int64(all-kept), strangerOption)
		return nil
	}, busy, memory, open)
	if err != nil {
		return nil, err
	}
	return m, s.account.observe(meter, s.cfg.Kept)
}

var (
	keptOption     = metric.WithAttributes(attribute.String("state", "kept"))
	strangerOption = metric.WithAttributes(attribute.String("state", "stranger"))
)

// expect starts the counts of answers that are watched at 0. If a series began with its first case, its growth would not
// include that case.
func (m *metrics) expect(ctx context.Context, cloud string) {
	for _, a := range []answer{wrongSecret, noSecret, tooManyWrong, tooLarge, unsupported, unusable, ourMistake, overloaded, notStored, redirected, empty} {
		key := answerKey{cloud: cloud, code: a.outcome, method: http.MethodPost, status: a.status}
		m.received.Add(ctx, 0, m.labels(key).received)
	}
	for _, reason := range secretReasons {
		m.refusals.Add(ctx, 0, refusedOption(cloud, reason))
	}
	for _, a := range []answer{nothingHere, unknownCloud, largeHeader} {
		m.refusals.Add(ctx, 0, refusedOption("unknown", a.outcome))
	}
	for _, why := range connlimit.Reasons {
		m.dropped.Add(ctx, 0, metric.WithAttributes(attribute.String("reason", string(why))))
	}
}

// refused counts an answer to a request that is not a webhook.
func (m *metrics) refused(ctx context.Context, key answerKey) {
	m.received.Add(ctx, 1, m.labels(key).received)
}

func (m *metrics) answered(ctx context.Context, key answerKey, took time.Duration) {
	l := m.labels(key)
	m.received.Add(ctx, 1, l.received)
	m.duration.Record(ctx, took.Seconds(), l.duration)
}

func (m *metrics) labels(key answerKey) labels {
	found, ok := m.attrs.Load(key)
	if !ok {
		status, scheme := semconv.HTTPResponseStatusCode(key.status), semconv.URLScheme("http")
		if key.tls {
			scheme = semconv.URLScheme("https")
		}
		found, _ = m.attrs.LoadOrStore(key, labels{
			metric.WithAttributeSet(attribute.NewSet(attribute.String("factro.cloud", key.cloud), attribute.String("outcome", key.code), status)),
			metric.WithAttributeSet(attribute.NewSet(semconv.HTTPRequestMethodKey.String(key.method), semconv.HTTPRoute(route), scheme, status)),
		})
	}
	return found.(labels) //nolint:errcheck // nothing else is in the map
}
