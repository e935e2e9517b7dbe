package telemetry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// begin starts telemetry with nothing but these variables in the environment, and stops it with the test. Tests of it
// cannot be parallel: the environment and the providers are those of the process.
func begin(t *testing.T, env map[string]string) *started {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	s := &started{}
	var err error
	if s.Telemetry, err = Start(t.Context(), "1.2.3", NewLogger(&s.logged, JSON, slog.LevelInfo)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(context.Background()) }) //nolint:usetesting // its context is over by then; a test may have stopped it already
	return s
}

// started is telemetry with what it has logged.
type started struct {
	*Telemetry

	logged logBuffer
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
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
			tel.Stop(ended) // the end of the process is no reason to lose what it did last
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

// TestExporters: which exporters are made, whatever stands in the environment, and what is warned of. Nothing of it ends the
// process, and no password is shown.
func TestExporters(t *testing.T) { //nolint:paralleltest // see begin
	const endpoint, good = "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"
	for name, test := range map[string]struct { //nolint:paralleltest // see begin
		env  map[string]string
		want string
		warn string
	}{
		"nothing":          {nil, "", ""},
		"endpoint":         {map[string]string{endpoint: good}, "otlp", ""},
		"own endpoint":     {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": good}, "otlp", ""},
		"other endpoint":   {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": good}, "", ""},
		"none":             {map[string]string{"OTEL_TRACES_EXPORTER": "none", endpoint: good}, "", ""},
		"console":          {map[string]string{"OTEL_TRACES_EXPORTER": "console"}, "console", ""},
		"a list":           {map[string]string{"OTEL_TRACES_EXPORTER": "otlp, Console,otlp,"}, "otlp console", ""},
		"a list with none": {map[string]string{"OTEL_TRACES_EXPORTER": "none,otlp"}, "otlp", ""},
		"disabled":         {map[string]string{"OTEL_SDK_DISABLED": "true", endpoint: good}, "", ""},
		"Disabled":         {map[string]string{"OTEL_SDK_DISABLED": "True", endpoint: good}, "", ""},
		"DISABLED":         {map[string]string{"OTEL_SDK_DISABLED": " TRUE ", endpoint: good}, "", ""},
		"not disabled":     {map[string]string{"OTEL_SDK_DISABLED": "yes", endpoint: good}, "otlp", ""},

		"unknown exporter":  {map[string]string{"OTEL_TRACES_EXPORTER": "carrier-pigeon"}, "carrier-pigeon", "OTEL_TRACES_EXPORTER"},
		"unknown of two":    {map[string]string{"OTEL_TRACES_EXPORTER": "carrier-pigeon,otlp"}, "carrier-pigeon otlp", "carrier-pigeon"},
		"unknown metrics":   {map[string]string{"OTEL_METRICS_EXPORTER": "carrier-pigeon"}, "", "OTEL_METRICS_EXPORTER"},
		"unknown producer":  {map[string]string{"OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRICS_PRODUCERS": "x"}, "", "OTEL_METRICS_EXPORTER"},
		"protocol":          {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "otlp", "invalid OTLP protocol"},
		"no address":        {map[string]string{endpoint: "http://m:geheim@collector:port"}, "", endpoint},
		"address of a user": {map[string]string{endpoint: "http://m:ge%heim@collector"}, "", endpoint},
		"address alone":     {map[string]string{endpoint: "collector:4317"}, "", endpoint},
		"port":              {map[string]string{endpoint: "http://collector:99999"}, "", endpoint},
		"headers":           {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_HEADERS": "geheim"}, "otlp", "parse headers"},
		"header value":      {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_HEADERS": "key=geheim%zz"}, "otlp", "escape header value"},
		"timeout":           {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT"},
		"certificate":       {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"}, "otlp", "nowhere"},
		"attributes":        {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "a,b=%zz"}, "", "OTEL_RESOURCE_ATTRIBUTES"},
		"sampler":           {map[string]string{endpoint: good, "OTEL_TRACES_SAMPLER": "sometimes"}, "otlp", "sampler"},
		"sampler's part":    {map[string]string{endpoint: good, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, "otlp", "telemetry"},
		"header with a :":   {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_HEADERS": "Authorization: Bearer geheim=="}, "otlp", "invalid header key"},
		"no queue":          {map[string]string{endpoint: good, "OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "otlp", "OTEL_BSP_MAX_QUEUE_SIZE"},
		"endless queue":     {map[string]string{endpoint: good, "OTEL_BSP_MAX_QUEUE_SIZE": "9223372036854775807"}, "otlp", "OTEL_BSP_MAX_QUEUE_SIZE"},
		"no batch":          {map[string]string{endpoint: good, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "-5"}, "otlp", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"},
		"no delay":          {map[string]string{endpoint: good, "OTEL_BSP_SCHEDULE_DELAY": "0"}, "otlp", "OTEL_BSP_SCHEDULE_DELAY"},
		"a delay in words":  {map[string]string{endpoint: good, "OTEL_BSP_SCHEDULE_DELAY": "5s"}, "otlp", "OTEL_BSP_SCHEDULE_DELAY"},
		"endless delay":     {map[string]string{endpoint: good, "OTEL_BSP_SCHEDULE_DELAY": "99999999999999999"}, "otlp", "OTEL_BSP_SCHEDULE_DELAY"},
		"a limit":           {map[string]string{endpoint: good, "OTEL_SPAN_LINK_COUNT_LIMIT": "many"}, "otlp", "OTEL_SPAN_LINK_COUNT_LIMIT"},
		"two mistakes":      {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_HEADERS": "geheim", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"}, "otlp", "nowhere"},
		"two, the other":    {map[string]string{endpoint: good, "OTEL_EXPORTER_OTLP_HEADERS": "geheim", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"}, "otlp", "parse headers"},
		"batches":           {map[string]string{endpoint: good, "OTEL_BSP_SCHEDULE_DELAY": "x", "OTEL_METRIC_EXPORT_INTERVAL": "x"}, "otlp", "OTEL_"},
	} {
		t.Run(name, func(t *testing.T) {
			tel := begin(t, test.env)
			if got := strings.Join(tel.exporters(t.Context(), "TRACES"), " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if got, want := os.Getenv("OTEL_TRACES_EXPORTER"), test.env["OTEL_TRACES_EXPORTER"]; got != want {
				t.Errorf("the environment has %q now, and had %q", got, want)
			}
			out := tel.logged.String()
			if (test.warn == "") != (out == "") || !strings.Contains(out, test.warn) || strings.Contains(out, "heim") {
				t.Errorf("logged %s, want %q", out, test.warn)
			}
			for line := range strings.Lines(out) {
				var fields map[string]any
				if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["level"] != "WARN" {
					t.Errorf("no JSON of the level WARN: %s", line)
				}
			}
			answer := httptest.NewRecorder()
			tel.Metrics.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
			if answer.Code != http.StatusOK {
				t.Errorf("/metrics answers %d", answer.Code)
			}
		})
	}
}

// TestComplaints: the library may complain once a minute, as JSON, and the line says how often it did.
func TestComplaints(t *testing.T) { //nolint:paralleltest // the handlers are those of the process
	synctest.Test(t, func(t *testing.T) {
		var out logBuffer
		logLibrary(NewLogger(&out, JSON, slog.LevelInfo))
		for range 100 {
			otel.Handle(errors.New("traces export: Post \"http://m:geheim@collector\": refused"))
		}
		time.Sleep(complainEvery) //nolint:forbidigo // in a bubble
		otel.Handle(errors.New("again"))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || strings.Contains(out.String(), "geheim") || !strings.Contains(lines[1], `"not_logged":99`) || !strings.Contains(lines[0], `"level":"WARN"`) {
			t.Errorf("logged\n%s", out.String())
		}
	})
}

// TestStopIsBounded: a collector that refuses, hangs or is nowhere does not keep the process.
func TestStopIsBounded(t *testing.T) { //nolint:paralleltest // see begin
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hangs.Close() }() // nobody accepts
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer refuses.Close()
	for name, endpoint := range map[string]string{"hangs": "http://" + hangs.Addr().String(), "refuses": refuses.URL, "nowhere": "http://127.0.0.1:1"} { //nolint:paralleltest // see begin
		for _, protocol := range []string{"http/protobuf", "grpc"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				tel := begin(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
				_, span := otel.Tracer("test").Start(t.Context(), "work")
				span.End()
				began := time.Now()
				tel.Stop(t.Context())
				if took := time.Since(began); took > stopTimeout+500*time.Millisecond {
					t.Errorf("the end took %s", took)
				}
				if !strings.Contains(tel.logged.String(), `"level":"WARN"`) || strings.Contains(tel.logged.String(), `"level":"ERROR"`) {
					t.Errorf("logged %s", tel.logged.String())
				}
			})
		}
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
	log := NewLogger(&out, JSON, slog.LevelInfo).With("a", 1)
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

// TestLogAsText: what people read has the same content as JSON, one line each, and hides as much.
func TestLogAsText(t *testing.T) {
	t.Parallel()
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	var out bytes.Buffer
	log := NewLogger(&out, Text, slog.LevelInfo)
	log.WarnContext(ctx, "it fails", "error", errors.New("dial nats://m:geheim@h:1: refused"), "text", "two\nlines \x1b[31m")
	text := out.String()
	for _, want := range []string{"level=WARN", `msg="it fails"`, `error="dial nats://[hidden]@h:1: refused"`, "trace_id=01", `two\nlines`} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %s: %s", want, text)
		}
	}
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b") || strings.Contains(text, "geheim") {
		t.Errorf("it shows %q", text)
	}
}

// TestFormatFor: a terminal gets text, all else JSON, and what was chosen wins.
func TestFormatFor(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outs := map[string]*os.File{JSON: file, "": w}
	if terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0); err == nil { // not on every system
		outs[Text] = terminal
	}
	t.Cleanup(func() {
		_ = r.Close()
		for _, out := range outs {
			_ = out.Close()
		}
	})
	for want, out := range outs {
		if got := FormatFor("", out); got != cmp.Or(want, JSON) {
			t.Errorf("%s gets %s", out.Name(), got)
		}
		for _, chosen := range []string{JSON, Text} {
			if got := FormatFor(chosen, out); got != chosen {
				t.Errorf("%s gets %s, though it was to be %s", out.Name(), got, chosen)
			}
		}
	}
}

// TestUnsolicited: what a server sends without being asked is not in the log, though the standard library quotes it there.
func TestUnsolicited(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	std := slog.NewLogLogger(NewLogger(&out, JSON, slog.LevelInfo).Handler(), slog.LevelInfo)
	std.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", "the-api-key", nil)
	if text := out.String(); strings.Contains(text, "the-api-key") || !strings.Contains(text, "Unsolicited response") {
		t.Errorf("the log has %s", text)
	}
}
