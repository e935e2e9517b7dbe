package coreapi

import (
	"os"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// reader reads what the package measures, for all tests. The provider is global, and is set before anything uses it.
var reader = sdkmetric.NewManualReader()

func TestMain(m *testing.M) {
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	os.Exit(m.Run())
}

// gauge is the value of a gauge of a cloud, and whether there is one. label, if set, is another label with its value.
func gauge(t *testing.T, name, cloud string, label ...string) (float64, bool) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	is := func(set attribute.Set) bool {
		of, _ := set.Value("factro.cloud")
		if len(label) == 2 {
			if v, _ := set.Value(attribute.Key(label[0])); v.AsString() != label[1] {
				return false
			}
		}
		return of.AsString() == cloud
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					if is(p.Attributes) {
						return float64(p.Value), true
					}
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					if is(p.Attributes) {
						return p.Value, true
					}
				}
			}
		}
	}
	return 0, false
}
