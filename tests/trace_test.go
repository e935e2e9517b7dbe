package tests

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// collected is what a process sent to an OpenTelemetry collector.
type collected struct {
	mu      sync.Mutex
	spans   []*tracepb.Span
	raw     bytes.Buffer
	metrics int
}

func startCollector(t testing.TB) (*collected, string) {
	t.Helper()
	c := &collected{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		switch r.URL.Path {
		case "/v1/metrics":
			c.metrics++
		case "/v1/traces":
			var req collector.ExportTraceServiceRequest
			if err := proto.Unmarshal(body, &req); err != nil {
				t.Error(err)
			}
			for _, rs := range req.GetResourceSpans() {
				for _, ss := range rs.GetScopeSpans() {
					c.spans = append(c.spans, ss.GetSpans()...)
				}
			}
		}
	}))
	t.Cleanup(srv.Close)
	return c, srv.URL
}

// find returns the span of a name in a trace, any trace if it is empty.
func (c *collected) find(name, traceID string) *tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.GetName() == name && (traceID == "" || hex.EncodeToString(s.GetTraceId()) == traceID) {
			return s
		}
	}
	return nil
}

func attributesOf(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.GetAttributes() {
		switch v := a.GetValue(); {
		case v.GetStringValue() != "":
			out[a.GetKey()] = v.GetStringValue()
		default:
			out[a.GetKey()] = fmt.Sprint(v.GetIntValue())
		}
	}
	return out
}

// One trace runs from the sender's command to the Core API call and the result, and one from the webhook to the event.
// No secret and no payload is in any of it.
func TestTraces(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	seen, endpoint := startCollector(t)
	b := newBridge(t, bridgeConfig{
		nats: n.URL(), clouds: map[string]string{"acme": f.url},
		env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=50"},
	}).start()
	_, js := n.Connect(t)
	results, stream := watchStream(t, js, prefix.ResultStream("acme")), watchStream(t, js, prefix.EventStream("acme"))

	const commandTrace, webhookTrace = "0af7651916cd43dd8448eb211c80319c", "11111111111111111111111111111111"
	const senderSpan = "b7ad6b7169203331"
	msg := nats.NewMsg(subjectOf(t, "acme", "createTask"))
	msg.Data = []byte(newTask(f, payloadMarker))
	msg.Header.Set("traceparent", "00-"+commandTrace+"-"+senderSpan+"-01")
	msg.Header.Set(events.HeaderMessageID, "traced")
	publish(t, js, msg)
	task := results.finalOf(t, "traced").Resource.ID

	req, err := http.NewRequest(http.MethodPost, b.http+"/webhooks/acme", strings.NewReader(
		`{"action":"TaskStateChanged","context":{"entityId":"`+task+`","note":"`+payloadMarker+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Bridge-Key", webhookSecret+"-acme")
	req.Header.Set("Traceparent", "00-"+webhookTrace+"-"+senderSpan+"-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	event := stream.find(t, "the event", func(m message) bool { return strings.HasSuffix(m.subject, "TaskStateChanged") })

	waitFor(t, "all spans", func() bool {
		return seen.find("publish factro.result.acme", "") != nil && seen.find("process factro.command.acme", "") != nil &&
			seen.find("publish factro.event.acme", "") != nil && seen.find("POST /webhooks/{cloud}", "") != nil
	})
	process := seen.find("process factro.command.acme", commandTrace)
	call := seen.find("POST /tasks", commandTrace)
	published := seen.find("publish factro.result.acme", commandTrace)
	if process == nil || call == nil || published == nil {
		t.Fatalf("the command's trace lacks a span: process %v, call %v, publish %v", process, call, published)
	}
	if got := hex.EncodeToString(process.GetParentSpanId()); got != senderSpan || len(process.GetLinks()) != 1 {
		t.Errorf("the processing has the parent %s and %d links, want the sender's span for both", got, len(process.GetLinks()))
	}
	for what, s := range map[string]*tracepb.Span{"call": call, "publish": published} {
		if !bytes.Equal(s.GetParentSpanId(), process.GetSpanId()) {
			t.Errorf("the %s is not a child of the processing", what)
		}
	}
	for what, ok := range map[string]bool{
		"process kind": process.GetKind() == tracepb.Span_SPAN_KIND_CONSUMER,
		"call kind":    call.GetKind() == tracepb.Span_SPAN_KIND_CLIENT,
		"publish kind": published.GetKind() == tracepb.Span_SPAN_KIND_PRODUCER,
		"url.template": attributesOf(call)["url.template"] == "/tasks",
		"resend count": attributesOf(call)["http.request.resend_count"] == "0",
		"system":       attributesOf(published)["messaging.system"] == "nats",
		"event id":     attributesOf(process)["cloudevents.event_id"] == "traced",
	} {
		if !ok {
			t.Errorf("%s is wrong", what)
		}
	}

	// The webhook's sender is a stranger: its trace is a link of a trace of our own, which the event carries.
	server, publish := seen.find("POST /webhooks/{cloud}", ""), seen.find("publish factro.event.acme", "")
	own := hex.EncodeToString(server.GetTraceId())
	if own == webhookTrace || len(server.GetLinks()) != 1 || hex.EncodeToString(server.GetLinks()[0].GetTraceId()) != webhookTrace {
		t.Errorf("the webhook's span is in the trace %s with the links %v", own, server.GetLinks())
	}
	if !bytes.Equal(publish.GetParentSpanId(), server.GetSpanId()) || attributesOf(server)["http.route"] != "/webhooks/{cloud}" {
		t.Errorf("the publish is no child of the webhook, or the route is %q", attributesOf(server)["http.route"])
	}
	for _, h := range []string{"traceparent", "ce-traceparent"} {
		if got := event.header[h]; len(got) != 1 || !strings.Contains(got[0], own) {
			t.Errorf("the event's %s is %v, want the trace %s", h, got, own)
		}
	}

	if err := b.terminate(); err != nil {
		t.Errorf("exit: %v", err)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if seen.metrics == 0 {
		t.Error("no metrics were sent, not even at the end")
	}
	for _, secret := range []string{webhookSecret, apiKey, payloadMarker} {
		if bytes.Contains(seen.raw.Bytes(), []byte(secret)) {
			t.Errorf("%q is in the telemetry", secret)
		}
	}
}

// Without any OTEL_ variable nothing is sent anywhere and nothing complains.
func TestNoTelemetryConfiguredMakesNoNoise(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	if status := b.webhook(http.DefaultClient, "acme", `{"action":"TaskCreated","context":{"entityId":"x"}}`); status != http.StatusAccepted {
		t.Errorf("status %d", status)
	}
	if err := b.terminate(); err != nil {
		t.Errorf("exit: %v", err)
	}
	for line := range strings.Lines(b.log.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"level":"WARN"`) || !strings.HasPrefix(line, "{") {
			t.Errorf("noise: %s", line)
		}
	}
}

// Telemetry that cannot be used, or that nobody takes, changes neither the work nor the end of a bridge.
func TestTelemetryIsNeverTheReason(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hangs.Close() }) // nobody accepts
	for name, env := range map[string][]string{
		"hangs":    {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + hangs.Addr().String()},
		"refuses":  {"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY=10"},
		"nonsense": {"OTEL_TRACES_EXPORTER=pigeon,otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=http://m:geheim@h:port", "OTEL_RESOURCE_ATTRIBUTES=x", "OTEL_EXPORTER_OTLP_HEADERS=geheim"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: env, more: "log: {level: info}"})
			text, err := os.ReadFile(b.configFile)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, b.configFile, strings.Replace(string(text), "log: {level: debug}\n", "", 1))
			b.start()
			for range 5 {
				if status := b.webhook(http.DefaultClient, "acme", `{"action":"TaskCreated","context":{"entityId":"x"}}`); status != http.StatusAccepted {
					t.Errorf("status %d", status)
				}
			}
			began := time.Now()
			if err := b.terminate(); err != nil {
				t.Errorf("exit: %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the end took %s", took)
			}
			warnings := 0
			for line := range strings.Lines(b.log.String()) {
				if strings.Contains(line, `"level":"ERROR"`) || !strings.HasPrefix(line, "{") || strings.Contains(line, "geheim") {
					t.Errorf("in the log: %s", line)
				}
				if strings.Contains(line, `"level":"WARN"`) {
					warnings++
				}
			}
			if warnings == 0 || warnings > 6 {
				t.Errorf("%d warnings:\n%s", warnings, b.log)
			}
		})
	}
}
