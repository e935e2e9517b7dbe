package egress

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// client makes single calls to the Core API. Retrying, pacing and the breaker are the worker's.
type client struct {
	base, userAgent string
	http            *http.Client
}

// attempt is what a span is told of a call beside what the HTTP client sees.
type attempt struct {
	op     factro.Operation
	number int
	state  string
}

type attemptKey struct{}

func newClient(c Config, transport http.RoundTripper) *client {
	traced := otelhttp.NewTransport(annotate{transport},
		// factro is a stranger: it gets no trace ids of ours.
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if a, ok := r.Context().Value(attemptKey{}).(attempt); ok {
				return r.Method + " " + a.op.Path
			}
			return r.Method
		}))
	return &client{
		base: strings.TrimSuffix(c.URL, "/"), userAgent: c.UserAgent,
		http: &http.Client{
			Transport: traced, Timeout: c.Timeout,
			// A redirect would carry the key to another address.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// newTransport is Go's default, with a limit on what a server that never answers can hold.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is, unless somebody replaced it
	t.MaxIdleConnsPerHost = 4
	t.ResponseHeaderTimeout = 0 // the call's own timeout is the limit
	t.IdleConnTimeout = 30 * time.Second
	return t
}

// do makes one call. A failure is part of the answer.
func (c *client) do(ctx context.Context, key secret.String, a attempt, call translate.Call) answer {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// The first header, not the last: over HTTP/2 the last is reported after it may have reached factro.
		WroteHeaderField: func(string, []string) { sent.Store(true) },
		WroteHeaders:     func() { sent.Store(true) },
	})
	ctx = context.WithValue(ctx, attemptKey{}, a)
	var body io.Reader
	if call.Body != nil {
		body = bytes.NewReader(call.Body)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.base+call.Target, body)
	if err != nil {
		return answer{err: err, unsent: true}
	}
	req.Header.Set("Authorization", key.Reveal()) // raw: no Bearer or other scheme word (five sources)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if call.ContentType != "" {
		req.Header.Set("Content-Type", call.ContentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: plain(err), unsent: !sent.Load()}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer{status: resp.StatusCode, header: resp.Header, err: fmt.Errorf("read the answer: %w", err)}
	}
	// Any other status speaks for itself, even if its text was cut off.
	return answer{status: resp.StatusCode, header: resp.Header, body: data}
}

// plain takes the URL out of a client's error: ids belong into the result, not into every log line and span.
func plain(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client returns exactly this
		return u.Err
	}
	return err
}

// annotate adds to the client span what only we know.
type annotate struct{ next http.RoundTripper }

func (t annotate) RoundTrip(r *http.Request) (*http.Response, error) {
	if a, ok := r.Context().Value(attemptKey{}).(attempt); ok {
		trace.SpanFromContext(r.Context()).SetAttributes(
			semconv.URLTemplate(a.op.Path), attribute.String("factro.operation", a.op.Name),
			semconv.HTTPRequestResendCount(a.number-1), attribute.String("factro.breaker.state", a.state),
		)
	}
	return t.next.RoundTrip(r)
}
