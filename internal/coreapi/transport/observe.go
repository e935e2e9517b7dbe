package transport

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// scope is the instrumentation scope of calls.
const scope = "github.com/factro-bridge/factro-bridge/internal/coreapi/transport"

// observed measures calls and makes their client spans, with the names and attributes that otelhttp gives them. factro is a stranger:
// it gets no trace ids of ours.
//
// otelhttp costs a sixth of what the bridge adds to a call: it copies the request, builds the labels again for each call, and hides
// from net/http that a body is in memory, whose head and body then go out by two system calls.
type observed struct {
	next     http.RoundTripper
	duration metric.Float64Histogram
	size     metric.Int64Histogram

	mu   sync.RWMutex
	sets map[labels][]metric.RecordOption
}

// labels are what distinguishes calls in metrics.
type labels struct {
	method, scheme, host, proto string
	status                      int
	failure                     string
}

// mostLabels bounds how many sets of labels are remembered.
const mostLabels = 1000

func newObserved(next http.RoundTripper) *observed {
	b := instrument.New(scope)
	t := &observed{
		next: next, sets: map[labels][]metric.RecordOption{},
		duration: b.Seconds("http.client.request.duration", "Duration of HTTP client requests.",
			[]float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}),
		size: b.Counts("http.client.request.body.size", "By", "Size of HTTP client request bodies.",
			[]float64{0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000}),
	}
	if err := b.Err(); err != nil {
		otel.Handle(err)
	}
	return t
}

// RoundTrip makes a call. Its span ends with the body of the answer.
func (t *observed) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	span := start(r)
	var sent *counted
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		sent = &counted{ReadCloser: r.Body}
		r = r.WithContext(r.Context()) // a copy
		r.Body = sent
	}
	resp, err := t.next.RoundTrip(r)
	took, size := time.Since(began), int64(0)
	if sent != nil {
		size = sent.n.Load()
	} else if c := callOf(r); r.ContentLength > 0 && (c == nil || c.Sent()) {
		size = r.ContentLength
	}
	l := labels{method: r.Method, scheme: r.URL.Scheme, host: r.URL.Host, proto: r.Proto}
	if err != nil {
		l.failure = typeOf(err)
	} else {
		l.status = resp.StatusCode
		if resp.Proto != "" {
			l.proto = resp.Proto
		}
	}
	set := t.set(l)
	t.duration.Record(r.Context(), took.Seconds(), set...)
	t.size.Record(r.Context(), size, set...)
	if span == nil {
		return resp, err //nolint:wrapcheck // the client wraps it
	}
	if err != nil {
		span.failed(err)
		span.End()
		return resp, err //nolint:wrapcheck // the client wraps it
	}
	span.answered(resp)
	resp.Body = &spanned{resp.Body, span}
	return resp, nil
}

// set has the labels of a call in the form that metrics take.
func (t *observed) set(l labels) []metric.RecordOption {
	t.mu.RLock()
	set := t.sets[l]
	t.mu.RUnlock()
	if set != nil {
		return set
	}
	attrs := append(server(l.scheme, l.host), semconv.HTTPRequestMethodKey.String(l.method), semconv.URLScheme(l.scheme),
		semconv.NetworkProtocolName("http"), version(l.proto))
	if l.status > 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(l.status))
	}
	if l.failure != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(l.failure))
	}
	set = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.sets) < mostLabels {
		t.sets[l] = set
	}
	return set
}

// server names the server, and its port if that is not the usual one.
func server(scheme, host string) []attribute.KeyValue {
	name, number := host, 0
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name = host[:i]
		number, _ = strconv.Atoi(host[i+1:])
	}
	attrs := []attribute.KeyValue{semconv.ServerAddress(strings.Trim(name, "[]"))}
	if usual := map[string]int{"http": 80, "https": 443}[scheme]; number > 0 && number != usual {
		attrs = append(attrs, semconv.ServerPort(number))
	}
	return attrs
}

// version is that of HTTP, such as 1.1.
func version(proto string) attribute.KeyValue {
	_, v, _ := strings.Cut(proto, "/")
	return semconv.NetworkProtocolVersion(v)
}

// typeOf names the type of an error; its text would be a label with any number of values.
func typeOf(err error) string {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "" || t.Name() == "" {
		return t.String()
	}
	return t.PkgPath() + "." + t.Name()
}

// counted is the body of an upload.
type counted struct {
	io.ReadCloser
	n atomic.Int64 // bytes that were read of it
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err //nolint:wrapcheck // io.EOF
}

// callSpan is the span of a call that somebody will see.
type callSpan struct{ trace.Span }

// start begins the span of a call, or none if nobody will see it: every usual sampler decides for a whole trace, so below a span of ours
// that is not sampled there is none that is.
func start(r *http.Request) *callSpan {
	parent := trace.SpanFromContext(r.Context())
	provider := otel.GetTracerProvider()
	if c := parent.SpanContext(); c.IsValid() {
		if !c.IsSampled() && !c.IsRemote() {
			return nil
		}
		provider = parent.TracerProvider()
	}
	name, c := r.Method, callOf(r)
	if c != nil {
		name += " " + c.Op.Path
	}
	_, span := provider.Tracer(scope).Start(r.Context(), name, trace.WithSpanKind(trace.SpanKindClient))
	if !span.IsRecording() {
		return nil
	}
	u := *r.URL
	u.User = nil
	span.SetAttributes(semconv.HTTPRequestMethodKey.String(r.Method), semconv.URLFull(u.String()), version(r.Proto))
	span.SetAttributes(server(u.Scheme, u.Host)...)
	if c != nil { // what only we know
		span.SetAttributes(
			semconv.URLTemplate(c.Op.Path), attribute.String("factro.operation", c.Op.Name),
			semconv.HTTPRequestResendCount(c.Number-1), attribute.String("factro.breaker.state", c.Breaker),
		)
	}
	return &callSpan{span}
}

func (s *callSpan) answered(resp *http.Response) {
	s.SetAttributes(semconv.HTTPResponseStatusCode(resp.StatusCode), version(resp.Proto))
	switch code := resp.StatusCode; {
	case code < 100 || code >= 600:
		s.SetStatus(codes.Error, fmt.Sprintf("Invalid HTTP status code %d", code))
	case code >= 400:
		s.SetStatus(codes.Error, "")
	default:
		return
	}
	s.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(resp.StatusCode)))
}

func (s *callSpan) failed(err error) {
	s.SetAttributes(semconv.ErrorType(err))
	s.SetStatus(codes.Error, err.Error())
}

// spanned is the body of an answer, whose end is that of the span.
type spanned struct {
	io.ReadCloser
	span *callSpan
}

func (s *spanned) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err == io.EOF {
		s.span.End()
	} else if err != nil {
		s.span.failed(err)
	}
	return n, err //nolint:wrapcheck // the client wraps it
}

func (s *spanned) Close() error {
	s.span.End()
	return s.ReadCloser.Close() //nolint:wrapcheck // nobody looks at it
}
