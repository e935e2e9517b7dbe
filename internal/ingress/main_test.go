package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// inventedHost is a Host that strangers send, with a port that no client has. They must not become labels.
const (
	inventedHost = "invented.example"
	inventedPort = "31337"
)

// reader reads the metrics of all tests.
var reader = sdkmetric.NewManualReader()

// TestMain runs the tests with all signals recorded, and then checks them: no span and no label may contain a secret, a
// body, or anything that a stranger invented.
func TestMain(m *testing.M) {
	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	code := m.Run()
	if err := inspect(spans, reader); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func inspect(spans *tracetest.SpanRecorder, reader *sdkmetric.ManualReader) error {
	var seen strings.Builder
	for _, s := range spans.Ended() {
		fmt.Fprintln(&seen, s.Name(), s.Attributes(), s.Events(), s.Status())
	}
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &metrics); err != nil {
		return fmt.Errorf("collect metrics: %w", err)
	}
	fmt.Fprintf(&seen, "%+v", metrics.ScopeMetrics)
	text := seen.String()
	for _, hidden := range []string{confidential, marker, inventedHost, inventedPort} {
		if at := strings.Index(text, hidden); at >= 0 {
			return fmt.Errorf("telemetry shows %q: …%s…", hidden, text[max(0, at-300):min(len(text), at+100)])
		}
	}
	// If nothing was recorded, the check proves nothing.
	if len(spans.Ended()) > 0 && (!strings.Contains(text, "POST /webhooks/{cloud}") || !strings.Contains(text, "factro.bridge.webhooks")) {
		return errors.New("telemetry does not mention the webhooks")
	}
	return nil
}
