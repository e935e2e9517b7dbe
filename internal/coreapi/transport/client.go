package transport

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// NewClient makes the client. next sends the requests; it may be nil for a default one. hidden are secrets that no answer may show,
// besides the key that a request carries.
func NewClient(next http.RoundTripper, hidden []secret.Source) *http.Client {
	if next == nil {
		next = newConnections()
	}
	return &http.Client{
		Transport: otelhttp.NewTransport(annotate{guard{next, newHidden(hidden)}},
			// factro is a stranger: it gets no trace ids of ours.
			otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
				if c := callOf(r); c != nil {
					return r.Method + " " + c.Op.Path
				}
				return r.Method
			})),
		// A redirect would carry the key to another address.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// annotate adds to the client span what only we know.
type annotate struct{ next http.RoundTripper }

func (t annotate) RoundTrip(r *http.Request) (*http.Response, error) {
	if c := callOf(r); c != nil {
		trace.SpanFromContext(r.Context()).SetAttributes(
			semconv.URLTemplate(c.Op.Path), attribute.String("factro.operation", c.Op.Name),
			semconv.HTTPRequestResendCount(c.Number-1), attribute.String("factro.breaker.state", c.Breaker),
		)
	}
	return t.next.RoundTrip(r)
}
