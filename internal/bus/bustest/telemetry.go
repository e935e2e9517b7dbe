package bustest

import (
	"flag"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// What a test program records. The providers are global, and Main sets them before anything asks for them.
var (
	Spans   = tracetest.NewInMemoryExporter()
	Metrics = sdkmetric.NewManualReader()
)

// atOnce is how many tests run at the same time: nearly all of them wait for a broker, and not for a processor.
const atOnce = 8

// Main runs the tests of a package that records spans and metrics.
func Main(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	flag.Parse()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(Spans)))
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(Metrics)))
	m.Run()
}
