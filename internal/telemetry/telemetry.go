package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Telemetry is the running OpenTelemetry SDK.
type Telemetry struct {
	// Metrics serves the metrics in the format of Prometheus.
	Metrics http.Handler

	log     *slog.Logger
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
}

// Start sets the global providers from the environment: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_EXPORTER,
// OTEL_METRICS_EXPORTER, OTEL_EXPORTER_OTLP_…, OTEL_TRACES_SAMPLER and the rest of the standard. A value that cannot be
// used is a warning in the log: telemetry never keeps the bridge from running. An error means that metrics cannot be
// served.
func Start(ctx context.Context, version string, log *slog.Logger) (*Telemetry, error) {
	t := &Telemetry{log: log}
	logLibrary(log) //nolint:contextcheck // the library has no context
	res, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithService(),
		resource.WithAttributes(semconv.ServiceName("factro-bridge"), semconv.ServiceVersion(version)),
		resource.WithFromEnv()) // last, so that the environment wins
	if err != nil && os.Getenv("OTEL_RESOURCE_ATTRIBUTES") != "" { // the rest of the resource is usable
		t.warn(ctx, "OTEL_RESOURCE_ATTRIBUTES", err)
	}
	t.dropNumbers(ctx)
	t.startTraces(ctx, res)
	if err := t.startMetrics(ctx, res); err != nil {
		t.Stop(ctx)
		return nil, fmt.Errorf("telemetry: metrics: %w", err)
	}
	otel.SetTracerProvider(t.traces)
	otel.SetMeterProvider(t.metrics)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	return t, nil
}

// warn logs that a variable of the environment is ignored. It does not log the value, which may hold a password.
func (t *Telemetry) warn(ctx context.Context, variable string, err error) {
	t.log.WarnContext(ctx, "a variable of the environment cannot be used; telemetry goes on without it", "variable", variable, "error", err)
}

func (t *Telemetry) startTraces(ctx context.Context, res *resource.Resource) {
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	exporting := false
	for _, name := range t.exporters(ctx, "TRACES") {
		err := chosen("OTEL_TRACES_EXPORTER", name, func() error {
			exporter, err := autoexport.NewSpanExporter(ctx)
			if err == nil {
				opts, exporting = append(opts, sdktrace.WithBatcher(exporter)), true
			}
			return err
		})
		if err != nil {
			t.warn(ctx, "OTEL_TRACES_EXPORTER", err)
		}
	}
	if !exporting {
		// Nothing exports spans, so none is recorded; a sampled trace of a sender stays sampled.
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	}
	t.traces = sdktrace.NewTracerProvider(opts...)
}

func (t *Telemetry) startMetrics(ctx context.Context, res *resource.Resource) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	scraped, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return err
	}
	opts := []sdkmetric.Option{
		sdkmetric.WithResource(res), sdkmetric.WithReader(scraped),
		// The configuration bounds the number of series; this is a safeguard in case it does not.
		sdkmetric.WithCardinalityLimit(2000),
	}
	for _, name := range t.exporters(ctx, "METRICS") {
		err := chosen("OTEL_METRICS_EXPORTER", name, func() error {
			reader, err := autoexport.NewMetricReader(ctx)
			if err == nil {
				opts = append(opts, sdkmetric.WithReader(reader))
			}
			return err
		})
		if err != nil {
			t.warn(ctx, "OTEL_METRICS_EXPORTER", err)
		}
	}
	t.metrics = sdkmetric.NewMeterProvider(opts...)
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return nil
}

// stopTimeout limits how long a process that ends takes to send its last spans and metrics.
const stopTimeout = time.Second

// Stop sends what is left and stops the exporters. It works with an ended ctx too. A collector that refuses or hangs is a
// warning: it does not change the exit code, and delays the end by a second at most.
func (t *Telemetry) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	ends := make(chan error, 2)
	for _, end := range []func(context.Context) error{
		func(ctx context.Context) error { return t.traces.Shutdown(ctx) },
		func(ctx context.Context) error {
			if t.metrics == nil {
				return nil
			}
			return t.metrics.Shutdown(ctx)
		},
	} {
		go func() { ends <- end(ctx) }()
	}
	var errs []error
	for range cap(ends) {
		select {
		case err := <-ends:
			errs = append(errs, err)
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.log.WarnContext(ctx, "the last spans and metrics could not be sent", "error", hidden(err))
	}
}
