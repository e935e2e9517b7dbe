package events_test

import (
	"context"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// recorded is the key of contexts whose spans an SDK records. The provider is global, and most tests want none.
type recorded struct{}

type provider struct{ embedded.TracerProvider }

func (provider) Tracer(name string, _ ...trace.TracerOption) trace.Tracer { return tracer{name: name} }

type tracer struct {
	embedded.Tracer
	name string
}

func (t tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if sdk, ok := ctx.Value(recorded{}).(trace.TracerProvider); ok {
		return sdk.Tracer(t.name).Start(ctx, name, opts...) //nolint:spancheck // who starts it ends it
	}
	return noop.NewTracerProvider().Tracer(t.name).Start(ctx, name, opts...) //nolint:spancheck // who starts it ends it
}

func TestMain(m *testing.M) {
	otel.SetTracerProvider(provider{})
	os.Exit(m.Run())
}

func record(t *testing.T) (context.Context, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	var sdk trace.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	return context.WithValue(t.Context(), recorded{}, sdk), spans
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	hop     = "00-" + traceID + "-00f067aa0ba902b7-01"
	origin  = "00-" + traceID + "-1111111111111111-01"
)

// TestTraceOut: the span of Do is in the header of the hop and is the origin of the event.
func TestTraceOut(t *testing.T) {
	t.Parallel()
	ctx, spans := record(t)
	c, f := client(t, always(refused))
	hops := make(chan string, 1)
	if _, err := f.b.nc.Subscribe("factro.command.>", func(msg *nats.Msg) { hops <- msg.Header.Get("traceparent") }); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(ctx, setState); err == nil {
		t.Fatal("want an error")
	}
	got := spans.GetSpans()
	if len(got) != 1 || got[0].Name != "publish factro.command.acme" || got[0].SpanKind != trace.SpanKindProducer || got[0].Status.Description != "refused" {
		t.Fatalf("got %+v", got)
	}
	want := "00-" + got[0].SpanContext.TraceID().String() + "-" + got[0].SpanContext.SpanID().String() + "-01"
	if header := f.commands()[0].Event.Extensions()[attr.TraceParent]; header != want {
		t.Errorf("the origin is %v, want %s", header, want)
	}
	if header := <-hops; header != want {
		t.Errorf("the hop is %s, want %s", header, want)
	}
}

// TestTraceWithoutSDK: nothing is made up, and what is in the context is passed on.
func TestTraceWithoutSDK(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(applied(nil)))
	if _, err := c.Do(t.Context(), setState); err != nil {
		t.Fatal(err)
	}
	id, err := trace.TraceIDFromHex(traceID)
	if err != nil {
		t.Fatal(err)
	}
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	if _, err := c.Do(ctx, setState); err != nil {
		t.Fatal(err)
	}
	seen := f.commands()
	if made := seen[0].Event.Extensions()[attr.TraceParent]; made != nil {
		t.Errorf("a trace was made up: %v", made)
	}
	if got, want := seen[1].Event.Extensions()[attr.TraceParent], "00-"+traceID+"-0100000000000000-01"; got != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestTraceQuery: the request carries the trace in its headers.
func TestTraceQuery(t *testing.T) {
	t.Parallel()
	ctx, spans := record(t)
	b := startBroker(t)
	header := make(chan string, 1)
	if err := answerer(b, func(msg *nats.Msg) *nats.Msg {
		header <- msg.Header.Get("traceparent")
		return &nats.Msg{Header: nats.Header{events.HeaderErrorCode: {"404"}}}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := events.NewClient(b.js, "acme").Query(ctx, getTask); err == nil {
		t.Fatal("want an error")
	}
	got := spans.GetSpans()[0]
	if want := "00-" + got.SpanContext.TraceID().String() + "-" + got.SpanContext.SpanID().String() + "-01"; <-header != want ||
		got.SpanKind != trace.SpanKindClient || got.Name != "request factro.query.acme" {
		t.Errorf("got %+v", got)
	}
}

// TestTraceIn: the handler continues the current hop's trace, else the event's origin.
func TestTraceIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header nats.Header
		parent string
	}{
		"hop":     {nats.Header{"traceparent": {hop}, "ce-traceparent": {origin}}, "00f067aa0ba902b7"},
		"origin":  {nats.Header{"ce-traceparent": {origin}}, "1111111111111111"},
		"neither": {nats.Header{}, "0000000000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, spans := record(t)
			b := startBroker(t)
			msg, err := events.ToMsg(stateChanged, taskEvent())
			if err != nil {
				t.Fatal(err)
			}
			delete(msg.Header, "ce-traceparent")
			maps.Copy(msg.Header, tt.header)
			b.store(t, msg)
			ctx, cancel := context.WithCancel(ctx)
			var inside trace.SpanContext
			if err := events.Subscribe(ctx, b.js, stateChanged, func(ctx context.Context, _ events.Event) error {
				inside = trace.SpanContextFromContext(ctx)
				cancel()
				return nil
			}, events.Since(time.Time{})); err != nil {
				t.Fatal(err)
			}
			got := spans.GetSpans()
			if len(got) != 1 || got[0].SpanKind != trace.SpanKindConsumer || got[0].Name != "process factro.event.acme" {
				t.Fatalf("got %+v", got)
			}
			if got[0].Parent.SpanID().String() != tt.parent || !inside.Equal(got[0].SpanContext) {
				t.Errorf("the parent is %s, want %s", got[0].Parent.SpanID(), tt.parent)
			}
			if known := inside.TraceID().String() == traceID; known != (tt.parent != "0000000000000000") {
				t.Errorf("the trace is %s", inside.TraceID())
			}
		})
	}
}

// TestTraceHeaderCase: the header of the hop counts in any case.
func TestTraceHeaderCase(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, name := range []string{"traceparent", "Traceparent", "TRACEPARENT", "Ce-Traceparent"} {
		ctx := events.Extract(t.Context(), nats.Header{name: {"00-" + id + "-00f067aa0ba902b7-01"}})
		if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != id {
			t.Errorf("%s: the trace is %s", name, got)
		}
	}
}
