package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
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

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Telemetry is what was started.
type Telemetry struct {
	// Metrics serves the metrics in the form of Prometheus.
	Metrics http.Handler

	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
}

// Start sets the global providers by the environment: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_EXPORTER_OTLP_…, OTEL_TRACES_SAMPLER and the rest of the standard.
func Start(ctx context.Context, version string) (*Telemetry, error) {
	// What the library has to say may quote the address of a collector, with a password in it.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		//nolint:sloglint // the library gives neither a context nor a logger
		slog.Warn("telemetry reports an error", "error", secret.Scrub(err.Error()))
	}))
	if err := checkEndpoints(); err != nil {
		return nil, err
	}
	res, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithService(),
		resource.WithAttributes(semconv.ServiceName("factro-bridge"), semconv.ServiceVersion(version)),
		resource.WithFromEnv()) // last, so that the environment wins
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	t := &Telemetry{}
	if err := t.startTraces(ctx, res); err != nil {
		return nil, fmt.Errorf("telemetry: traces: %w", err)
	}
	if err := t.startMetrics(ctx, res); err != nil {
		return nil, errors.Join(fmt.Errorf("telemetry: metrics: %w", err), t.Stop(ctx))
	}
	otel.SetTracerProvider(t.traces)
	otel.SetMeterProvider(t.metrics)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	return t, nil
}

// checkEndpoints says which address of a collector is none, without quoting it; the library would.
func checkEndpoints() error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"} {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err == nil {
			err = secret.CheckPort(u.Host)
		}
		if err != nil {
			return fmt.Errorf("telemetry: %s: %s is not an address such as http://collector:4318", name, secret.Address(value))
		}
	}
	return nil
}

func (t *Telemetry) startTraces(ctx context.Context, res *resource.Resource) error {
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	if wanted("TRACES") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return fmt.Errorf("OTEL_TRACES_EXPORTER=%s: %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
		}
		opts = append(opts, sdktrace.WithBatcher(exporter))
	} else {
		// Nobody takes spans, so none is recorded; a sampled trace of a sender stays sampled on its way through.
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	}
	t.traces = sdktrace.NewTracerProvider(opts...)
	return nil
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
		// Series are bounded by what is configured; this is the backstop should one not be.
		sdkmetric.WithCardinalityLimit(2000),
	}
	if wanted("METRICS") {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return fmt.Errorf("OTEL_METRICS_EXPORTER=%s: %w", os.Getenv("OTEL_METRICS_EXPORTER"), err)
		}
		opts = append(opts, sdkmetric.WithReader(reader))
	}
	t.metrics = sdkmetric.NewMeterProvider(opts...)
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return nil
}

// wanted says whether the environment asks for an exporter of a signal. The standard's default is OTLP to localhost,
// which for most who just start the bridge would be a complaint every few seconds.
func wanted(signal string) bool {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return false
	}
	if exporter := os.Getenv("OTEL_" + signal + "_EXPORTER"); exporter != "" {
		return exporter != "none"
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}

// stopTimeout bounds how long the last spans and metrics may take on their way out.
const stopTimeout = 5 * time.Second

// Stop sends what is left and ends the exporters. It works on an ended ctx too.
func (t *Telemetry) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var errs []error
	if t.traces != nil {
		errs = append(errs, t.traces.Shutdown(ctx))
	}
	if t.metrics != nil {
		errs = append(errs, t.metrics.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop telemetry: %w", err)
	}
	return nil
}
