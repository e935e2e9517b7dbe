package transport

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestObserved: a call has a span and two metrics with the names and attributes of the semantic conventions, as otelhttp has them.
func TestObserved(t *testing.T) { //nolint:paralleltest // the providers are global
	op, _ := factro.Lookup("createTask")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/503" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/gone" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	const port = "server.port=PORT"
	for path, test := range map[string]struct{ status, outcome, span, metric string }{ //nolint:paralleltest // the providers are global
		"/200":  {"Unset", "http.response.status_code=200", "", ""},
		"/503":  {"Error", "http.response.status_code=503", "error.type=503", ""},
		"/gone": {"Error", "", "error.type=*errors.errorString", "error.type=errors.errorString"},
	} {
		for kind, body := range map[string]io.Reader{"in memory": strings.NewReader("hello"), "upload": io.MultiReader(strings.NewReader("hello"))} {
			t.Run(path[1:]+", "+kind, func(t *testing.T) {
				reader, spans := sdkmetric.NewManualReader(), tracetest.NewSpanRecorder()
				meters, tracers := otel.GetMeterProvider(), otel.GetTracerProvider()
				otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
				otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
				t.Cleanup(func() {
					otel.SetMeterProvider(meters)
					otel.SetTracerProvider(tracers)
				})
				ctx := With(t.Context(), &Call{Op: op, Number: 2, Breaker: "closed"})
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+path, body)
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := NewClient(nil, nil).Do(r); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				hide := strings.NewReplacer(server.URL, "URL", "server.port="+server.URL[strings.LastIndexByte(server.URL, ':')+1:], port)
				common := []string{"http.request.method=POST", "network.protocol.version=1.1", "server.address=127.0.0.1", port}

				if len(spans.Ended()) != 1 {
					t.Fatalf("%d spans have ended", len(spans.Ended()))
				}
				span := spans.Ended()[0]
				want := sorted(append(common, test.outcome, test.span, "url.full=URL"+path, "url.template=/tasks", "factro.operation=createTask",
					"http.request.resend_count=1", "factro.breaker.state=closed"))
				if got := texts(span.Attributes(), hide); span.Name() != "POST /tasks" || span.Status().Code.String() != test.status || !slices.Equal(got, want) {
					t.Errorf("span %s, %s:\n%s\nwant\n%s", span.Name(), span.Status().Code, got, want)
				}

				var all metricdata.ResourceMetrics
				if err := reader.Collect(t.Context(), &all); err != nil {
					t.Fatal(err)
				}
				want = sorted(append(common, test.outcome, test.metric, "network.protocol.name=http", "url.scheme=http"))
				seen := ""
				for _, m := range all.ScopeMetrics[0].Metrics {
					var labels attribute.Set
					switch data := m.Data.(type) {
					case metricdata.Histogram[float64]:
						labels, seen = data.DataPoints[0].Attributes, seen+fmt.Sprintln(m.Name, m.Unit, data.DataPoints[0].Count)
					case metricdata.Histogram[int64]:
						labels, seen = data.DataPoints[0].Attributes, seen+fmt.Sprintln(m.Name, m.Unit, data.DataPoints[0].Sum)
					}
					if got := texts(labels.ToSlice(), hide); !slices.Equal(got, want) {
						t.Errorf("%s:\n%s\nwant\n%s", m.Name, got, want)
					}
				}
				if seen != "http.client.request.duration s 1\nhttp.client.request.body.size By 5\n" {
					t.Errorf("metrics:\n%s", seen)
				}
			})
		}
	}
}

// TestSpanOfTrace: below a span of ours that is not sampled there is none.
func TestSpanOfTrace(t *testing.T) {
	t.Parallel()
	for sampled, want := range map[bool]int{true: 1, false: 0} {
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.NeverSample()))
		if sampled {
			provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		}
		ctx, parent := provider.Tracer("test").Start(t.Context(), "command")
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://factro.test/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if span := start(r); span != nil {
			span.End()
		}
		if got := len(spans.Ended()); got != want {
			t.Errorf("sampled %t: %d spans", sampled, got)
		}
		parent.End()
	}
}

func texts(attrs []attribute.KeyValue, hide *strings.Replacer) (out []string) {
	for _, a := range attrs {
		out = append(out, hide.Replace(fmt.Sprintf("%s=%v", a.Key, a.Value.AsInterface())))
	}
	return sorted(out)
}

// sorted sorts texts, without empty ones.
func sorted(all []string) []string {
	all = slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "" })
	slices.Sort(all)
	return all
}
