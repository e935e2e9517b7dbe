package ingress

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/percent"
)

// route is the route of webhooks.
const route = "/webhooks/{cloud}"

// observed answers a request within a server span, and measures it.
//
// otelhttp would do the same, but costs a seventh of a whole webhook: it wraps request, body and writer, and builds the
// labels of five metrics for each request. Here there is one route, and labels are built once.
func (s *Server) observed(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	s.account.open.Add(1)
	s.account.received.Add(1)
	defer s.account.open.Add(-1)
	ctx, span := s.tracer.Start(r.Context(), spanName(r.Method), spanOptions(r.Context(), r)...)
	defer span.End()

	name, id, a := s.webhook(ctx, w, r)
	if !a.kept {
		s.account.refused.Add(1)
	}
	if a.isProblem() {
		s.refused(ctx, name, a, r)
	}
	if span.IsRecording() {
		span.SetAttributes(
			semconv.HTTPRequestMethodKey.String(method(r.Method)), semconv.HTTPRoute(route), semconv.URLPath(r.URL.Path),
			semconv.HTTPResponseStatusCode(a.status), semconv.NetworkProtocolVersion(r.Proto[len("HTTP/"):]),
			semconv.ClientAddress(connlimit.AddressOf(r.RemoteAddr)), semconv.HTTPRequestBodySize(int(max(r.ContentLength, 0))),
			attribute.String("factro.cloud", name), attribute.String("factro.webhook.outcome", a.outcome),
		)
		if a.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, a.outcome)
		}
	}
	defer func() { // even if the answer is not written completely
		took := time.Since(began)
		s.metrics.answered(ctx, answerKey{name, a.outcome, method(r.Method), a.status, r.TLS != nil}, took)
		s.logAnswer(ctx, name, id, a, r, took)
	}()
	if id != "" {
		w.Header().Set("Factro-Event-Id", percent.Encode(id))
	}
	a.write(w, r)
}

// logAnswer logs each request at debug level. At other levels it costs nothing.
func (s *Server) logAnswer(ctx context.Context, cloud, id string, a answer, r *http.Request, took time.Duration) {
	if !s.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	s.log.DebugContext(ctx, "webhook answered", "cloud", cloud, "method", method(r.Method), "status", a.status, "outcome", a.reason(),
		"event_id", id, "bytes", max(r.ContentLength, 0), "address", connlimit.AddressOf(r.RemoteAddr), "duration", took.String())
}

// nowhere answers a request that matches no route.
func (s *Server) nowhere(w http.ResponseWriter, r *http.Request, a answer) {
	began := time.Now()
	s.metrics.refused(r.Context(), answerKey{cloud: "unknown", code: a.outcome, method: method(r.Method), status: a.status})
	s.refused(r.Context(), "unknown", a, r)
	a.write(w, r)
	s.logAnswer(r.Context(), "unknown", "", a, r, time.Since(began))
}

// serverSpan is the options of a span that starts a new trace.
var serverSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithNewRoot()}

// spanOptions links the sender's trace, if there is one. An outside trace does not become the parent.
func spanOptions(ctx context.Context, r *http.Request) []trace.SpanStartOption {
	if r.Header.Get("Traceparent") == "" {
		return serverSpan
	}
	theirs := propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	link := trace.Link{SpanContext: trace.SpanContextFromContext(theirs)}
	if !link.SpanContext.IsValid() {
		return serverSpan
	}
	return append([]trace.SpanStartOption{trace.WithLinks(link)}, serverSpan...)
}

// method replaces unknown methods, so that a sender cannot invent span names or labels.
func method(m string) string {
	switch m {
	case http.MethodPost, http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "_OTHER"
}

func spanName(m string) string {
	if m == http.MethodPost {
		return http.MethodPost + " " + route
	}
	return method(m) + " " + route
}
