package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// begin starts telemetry with nothing but these variables in the environment, and stops it with the test. Tests of it
// cannot be parallel: the environment and the providers are those of the process.
func begin(t *testing.T, env map[string]string) *Telemetry {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	tel, err := Start(t.Context(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Stop(context.Background()) }) //nolint:usetesting // its context is over by then // a test may have stopped it already
	return tel
}

// TestNothingConfigured: nothing is exported or recorded, and traces are passed on all the same.
func TestNothingConfigured(t *testing.T) { //nolint:paralleltest // see begin
	begin(t, nil)
	ctx, span := otel.Tracer("test").Start(t.Context(), "work")
	defer span.End()
	if !span.SpanContext().IsValid() || span.IsRecording() {
		t.Errorf("span context %v, recording %v", span.SpanContext(), span.IsRecording())
	}
	header := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, header)
	if !strings.Contains(header["traceparent"], span.SpanContext().TraceID().String()) {
		t.Errorf("passed on is %v", header)
	}
	_, child := otel.Tracer("test").Start(ctx, "more work")
	defer child.End()
	if child.SpanContext().TraceID() != span.SpanContext().TraceID() {
		t.Error("a child has a trace of its own")
	}
	remote := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
	_, kept := otel.Tracer("test").Start(remote, "work")
	defer kept.End()
	if !kept.SpanContext().IsSampled() || kept.SpanContext().TraceID() != (trace.TraceID{1}) {
		t.Errorf("a sender's sampled trace became %v", kept.SpanContext())
	}
}

// TestExport: with an endpoint spans go there, under the configured name, and are flushed by Stop.
func TestExport(t *testing.T) { //nolint:paralleltest // see begin
	for name, test := range map[string]struct{ env, want string }{"configured": {"my-bridge", "my-bridge"}, "default": {"", "factro-bridge"}} { //nolint:paralleltest // see begin
		t.Run(name, func(t *testing.T) {
			got := make(chan *collector.ExportTraceServiceRequest, 10)
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/traces" {
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				var req collector.ExportTraceServiceRequest
				if err := proto.Unmarshal(body, &req); err != nil {
					t.Error(err)
				}
				got <- &req
				w.WriteHeader(http.StatusOK)
			}))
			t.Cleanup(receiver.Close)
			tel := begin(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_SERVICE_NAME": test.env, "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
			})
			_, span := otel.Tracer("test").Start(t.Context(), "work")
			span.End()
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := tel.Stop(ended); err != nil { // the end of the process is no reason to lose what it did last
				t.Fatal(err)
			}
			req := <-got
			attrs := map[string]string{}
			for _, a := range req.GetResourceSpans()[0].GetResource().GetAttributes() {
				attrs[a.GetKey()] = a.GetValue().GetStringValue()
			}
			if attrs["service.name"] != test.want || attrs["service.version"] != "1.2.3" || attrs["service.instance.id"] == "" {
				t.Errorf("the resource is %v", attrs)
			}
			if s := req.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]; s.GetName() != "work" {
				t.Errorf("the span is %s", s.GetName())
			}
		})
	}
}

func TestWanted(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing":        {nil, false},
		"endpoint":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, true},
		"own endpoint":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, true},
		"other endpoint": {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"}, false},
		"none":           {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false},
		"console":        {map[string]string{"OTEL_TRACES_EXPORTER": "console"}, true},
		"disabled":       {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			if got := wanted("TRACES"); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestUnknownExporter(t *testing.T) {
	for _, name := range []string{"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "carrier-pigeon")
			if _, err := Start(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "carrier-pigeon") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMetrics(t *testing.T) { //nolint:paralleltest // see begin
	tel := begin(t, nil)
	counter, err := otel.Meter("test").Int64Counter("factro.bridge.tests")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	answer := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{"factro_bridge_tests_total 3\n", `service_name="factro-bridge"`, "go_goroutines ", "process_start_time_seconds "} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("/metrics has no %q:\n%s", want, answer.Body)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	var out bytes.Buffer
	log := NewLogger(&out, slog.LevelInfo).With("a", 1)
	log.InfoContext(ctx, "with")
	log.InfoContext(t.Context(), "without")
	log.DebugContext(ctx, "too quiet")
	log.WithGroup("g").InfoContext(ctx, "grouped", "b", 2)
	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), &out)
	}
	if l := lines[0]; l["trace_id"] != "01000000000000000000000000000000" || l["span_id"] != "0200000000000000" || l["a"] != 1.0 {
		t.Errorf("with a trace: %v", l)
	}
	if _, has := lines[1]["trace_id"]; has {
		t.Errorf("without a trace: %v", lines[1])
	}
	if !strings.Contains(out.String(), `"g":{"b":2,"trace_id"`) {
		t.Errorf("grouped: %v", lines[2])
	}
}

// TestUnsolicited: what a server sends without being asked is not in the log, though the standard library quotes it there.
func TestUnsolicited(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	std := slog.NewLogLogger(NewLogger(&out, slog.LevelInfo).Handler(), slog.LevelInfo)
	std.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", "the-api-key", nil)
	if text := out.String(); strings.Contains(text, "the-api-key") || !strings.Contains(text, "Unsolicited response") {
		t.Errorf("the log has %s", text)
	}
}
