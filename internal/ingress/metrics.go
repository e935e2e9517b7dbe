package ingress

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
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
	b := instrument.New(scope)
	m := &metrics{
		received: b.Counter("factro.bridge.webhooks", "{request}", "Requests at the webhook endpoint, by cloud, outcome and status."),
		duration: b.Seconds("http.server.request.duration", "Duration of HTTP server requests.", seconds),
		dropped: b.Counter("factro.bridge.connections.dropped", "{connection}",
			"Connections of the webhook port that a limit closed or refused, or that sent no request, by reason."),
		refusals: b.Counter("factro.bridge.webhooks.refused", "{request}",
			"Requests to the webhook port that were answered with 4xx or 5xx, by cloud and reason, including unknown paths and headers that are too large."),
	}
	busy := b.Gauge("factro.bridge.webhooks.in_flight", "{request}", "Webhooks being stored now.")
	memory := b.Gauge("factro.bridge.webhooks.memory", "By", "Memory of the webhooks being read or stored now.")
	open := b.Gauge("factro.bridge.connections", "{connection}",
		"Open connections of the webhook port, by whether they have shown a correct secret and are kept.")
	b.Observe(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(busy, s.slots.inUse())
		o.ObserveInt64(memory, s.memory.inUse())
		all, kept := s.conns.Open()
		o.ObserveInt64(open, int64(kept), keptOption)
		o.ObserveInt64(open, int64(all-kept), strangerOption)
		return nil
	})
	s.account.observe(b, s.cfg.Kept)
	return m, b.Err()
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
