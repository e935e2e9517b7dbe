package instrument_test

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// TestBuilder: instruments are exported with name, unit and description, each callback observes its own, and the errors of all
// bad ones are in one.
func TestBuilder(t *testing.T) { //nolint:paralleltest // the meter provider is global
	reader := sdk.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
	t.Cleanup(func() { otel.SetMeterProvider(before) })

	b := instrument.New("test")
	b.Counter("counter", "{thing}", "Things.").Add(t.Context(), 1)
	b.UpDownCounter("updown", "", "More or less.").Add(t.Context(), -1)
	b.Seconds("took", "How long.", []float64{1, 2}).Record(t.Context(), 1.5)
	gauge, float := b.Gauge("gauge", "By", "Bytes."), b.FloatGauge("float", "s", "Age.")
	b.Observe(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(gauge, 1)
		o.ObserveFloat64(float, 0.5)
		return nil
	})
	count := b.ObservableCounter("observed", "{thing}", "Counted elsewhere.")
	b.Observe(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(count, 7)
		return nil
	})
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, m := range got.ScopeMetrics[0].Metrics {
		lines = append(lines, strings.Join([]string{m.Name, m.Unit, m.Description}, "|"))
	}
	want := "counter|{thing}|Things.\nupdown||More or less.\ntook|s|How long.\ngauge|By|Bytes.\nfloat|s|Age.\nobserved|{thing}|Counted elsewhere."
	if text := strings.Join(lines, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}

	bad := instrument.New("test")
	bad.Counter("one name", "", "")
	bad.Gauge("another name", "", "")
	if r := bad.Observe(func(context.Context, metric.Observer) error { return nil }); r != nil {
		t.Error("a callback is registered for an instrument that cannot be built")
	}
	if err := bad.Err(); err == nil || !strings.HasPrefix(err.Error(), "metrics: ") ||
		!strings.Contains(err.Error(), "one name") || !strings.Contains(err.Error(), "another name") {
		t.Errorf("got %v", err)
	}
}
