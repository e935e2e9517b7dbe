package ingress

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/factro-bridge/factro-bridge/internal/ingress"

type metrics struct {
	received metric.Int64Counter
	attrs    sync.Map // answerKey -> metric.MeasurementOption; there are few, and making one costs more than counting
}

type answerKey struct {
	cloud, code string
	status      int
}

func newMetrics(s *Server) (*metrics, error) {
	meter := otel.Meter(scope)
	m := &metrics{}
	var err error
	if m.received, err = meter.Int64Counter("factro.bridge.webhooks", metric.WithUnit("{request}"),
		metric.WithDescription("Requests at the webhook endpoint, by cloud, by what became of them and by status.")); err != nil {
		return nil, err
	}
	busy, err := meter.Int64ObservableGauge("factro.bridge.webhooks.in_flight", metric.WithUnit("{request}"),
		metric.WithDescription("Webhooks that are being stored now."))
	if err != nil {
		return nil, err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(busy, int64(len(s.slots)))
		return nil
	}, busy)
	return m, err
}

func (m *metrics) answered(ctx context.Context, cloud, code string, status int) {
	key := answerKey{cloud, code, status}
	attrs, ok := m.attrs.Load(key)
	if !ok {
		attrs, _ = m.attrs.LoadOrStore(key, metric.WithAttributeSet(attribute.NewSet(
			attribute.String("factro.cloud", cloud), attribute.String("outcome", code), attribute.Int(statusCode, status))))
	}
	m.received.Add(ctx, 1, attrs.(metric.MeasurementOption)) //nolint:errcheck // nothing else is in the map
}

// statusCode is the label of the answer's status.
const statusCode = "http.response.status_code"
