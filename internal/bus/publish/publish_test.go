package publish_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, b := running(t, server, bustest.Quiet())
	out := connected(t, server)
	for range 2 { // the second time is a repetition
		if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "acme.e-1"); err != nil {
			t.Fatal(err)
		}
		if n := out.Count("FACTRO_EVENTS_ACME"); n != 1 {
			t.Fatalf("the stream has %d messages, want 1", n)
		}
	}
	m := out.Last("FACTRO_EVENTS_ACME")
	got, err := events.FromMsg(m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != bustest.EventSubject || got.ID() != "e-1" || string(got.Data()) != string(bustest.TaskEvent(t, "e-1").Data()) {
		t.Errorf("the stream has %s %s %s", m.Subject, got.ID(), got.Data())
	}
}

func TestPublishOddIDs(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, b := running(t, server, bustest.Quiet())
	out := connected(t, server)
	for i, id := range []string{"Größe 5%", "a\r\nNats-Rollup: all", "\"quoted\"", " blanks ", "日本", "50%25"} {
		for range 2 {
			if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, id), "acme."+id); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
		}
		if n := out.Count("FACTRO_EVENTS_ACME"); n != uint64(i+1) {
			t.Fatalf("after %q the stream has %d messages, want %d", id, n, i+1)
		}
		m := out.Last("FACTRO_EVENTS_ACME")
		e, err := events.FromMsg(m.Header, m.Data)
		if err != nil || e.ID() != id {
			t.Errorf("%q came back as %q, %v", id, e.ID(), err)
		}
		if got, err := events.DecodeHeader(m.Header.Get("Nats-Msg-Id")); err != nil || got != "acme."+id {
			t.Errorf("the message id of %q is %q, %v", id, got, err)
		}
	}
}

// TestPublishTooLarge: the limit of the server, and that of an operator on the stream.
func TestPublishTooLarge(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 4096 })
	_, b := running(t, server, bustest.Quiet())
	out := connected(t, server)
	cfg := out.Stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.MaxMsgSize = 1500
	if _, err := out.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{2000, 5000} {
		e := bustest.TaskEvent(t, "big")
		e.DataEncoded = []byte(`"` + strings.Repeat("x", size) + `"`)
		if err := b.Publish(t.Context(), bustest.EventSubject, e, "big"); !errors.Is(err, events.ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestPublishRefusesBrokenEvents(t *testing.T) {
	t.Parallel()
	_, b := running(t, natstest.Start(t), bustest.Quiet())
	if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, ""), "x"); err == nil {
		t.Error("an event without an id was published")
	}
	if err := b.Reply(t.Context(), "someone", bustest.TaskEvent(t, "")); err == nil {
		t.Error("an event without an id was sent")
	}
}

func TestPublishWhileAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, b := running(t, server, bustest.Quiet())
	server.Stop()

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "e-1"); err == nil {
		t.Fatal("published to a server that is away")
	}
	if ctx.Err() == nil {
		t.Error("it gave up before its time")
	}

	// Another one waits until the server is back.
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
		defer cancel()
		done <- b.Publish(ctx, bustest.EventSubject, bustest.TaskEvent(t, "e-2"), "e-2")
	}()
	server.Start()
	if err := natstest.Receive(t, done); err != nil {
		t.Fatal(err)
	}
	out := connected(t, server)
	if m := out.Last("FACTRO_EVENTS_ACME"); m.Header.Get("ce-id") != "e-2" || out.Count("FACTRO_EVENTS_ACME") != 1 {
		t.Errorf("the stream has %d messages, the last is %v", out.Count("FACTRO_EVENTS_ACME"), m.Header)
	}
}

// TestPublishRepeats: an acknowledgement that does not come is asked for again, under the same id.
func TestPublishRepeats(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, b := running(t, server, bustest.Quiet(), func(c *bus.Config) { c.Manage = false }) // so there is no stream
	out := connected(t, server)
	seen := make(chan string, 10)
	attempt := 0
	if _, err := out.NC.Subscribe("factro.event.>", func(m *nats.Msg) {
		seen <- m.Header.Get("Nats-Msg-Id")
		if attempt++; attempt == 2 {
			if err := m.Respond([]byte(`{"stream":"FACTRO_EVENTS_ACME","seq":1}`)); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := out.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "acme.e-1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if id := natstest.Receive(t, seen); id != "acme.e-1" {
			t.Errorf("an attempt has the id %q", id)
		}
	}
}

func TestPublishTrace(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, b := running(t, server, bustest.Quiet())
	out := connected(t, server)
	ctx, span := otel.Tracer("test").Start(t.Context(), "origin")
	defer span.End()
	id := span.SpanContext().TraceID().String()

	if err := b.Publish(ctx, bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "e-1"); err != nil {
		t.Fatal(err)
	}
	m := out.Last("FACTRO_EVENTS_ACME")
	hop, origin := delivery.Header(m.Header).Get("traceparent"), delivery.Header(m.Header).Get("ce-traceparent")
	if !strings.Contains(hop, id) || origin != hop {
		t.Errorf("traceparent %q, ce-traceparent %q, want both of trace %s", hop, origin, id)
	}

	const first = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	e := bustest.TaskEvent(t, "e-2")
	e.SetExtension("traceparent", first)
	if err := b.Publish(ctx, bustest.EventSubject, e, "e-2"); err != nil {
		t.Fatal(err)
	}
	m = out.Last("FACTRO_EVENTS_ACME")
	if got := delivery.Header(m.Header).Get("ce-traceparent"); got != first {
		t.Errorf("the origin became %q", got)
	}
	if got := delivery.Header(m.Header).Get("traceparent"); !strings.Contains(got, id) {
		t.Errorf("the hop is %q, want one of %s", got, id)
	}

	for _, s := range bustest.Spans.GetSpans() {
		if s.SpanContext.TraceID().String() == id && s.Name != "origin" {
			if s.Name != "publish factro.event.acme" || s.SpanKind != trace.SpanKindProducer || s.Parent.SpanID() != span.SpanContext().SpanID() {
				t.Errorf("span %q of kind %v", s.Name, s.SpanKind)
			}
		}
	}
}

func TestReply(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	_, b := running(t, server, bustest.Quiet())
	out := connected(t, server)
	inbox, err := out.NC.SubscribeSync("my.results")
	if err != nil {
		t.Fatal(err)
	}
	if err := out.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.Reply(t.Context(), "my.results", bustest.TaskEvent(t, "r-1")); err != nil {
		t.Fatal(err)
	}
	m, err := inbox.NextMsg(natstest.Patience)
	if err != nil || m.Header.Get("ce-id") != "r-1" {
		t.Errorf("got %v, %v", m, err)
	}
}

// TestPermissions: a refused permission is silent but for the connection's error handler.
func TestPermissions(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "bridge", Password: "b", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{"factro.event.>", "secret.>"}},
			}},
		}
	})
	log, book := bustest.NewLog()
	conn, b := running(t, server, log, func(c *bus.Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:b@", 1) })

	// A sender names a subject that is forbidden to us: that is his bad luck, not a bridge that is not ready.
	if err := b.Reply(t.Context(), "secret.inbox", bustest.TaskEvent(t, "r-1")); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the violation is logged", func() bool { return book.Count("secret.inbox") > 0 })
	if err := conn.Health().Ready(); err != nil {
		t.Errorf("a sender's reply subject makes the bridge unready: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, bustest.EventSubject, bustest.TaskEvent(t, "e-1"), "e-1"); err == nil {
		t.Error("published without the right to")
	}
	natstest.Eventually(t, "readiness tells the reason", func() bool {
		err := conn.Health().Ready()
		return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), "factro.event.acme")
	})
	if strings.Contains(book.String(), "bridge:b@") {
		t.Error("the password is logged")
	}
}

// TestPublishedMetric: the labels are bounded, whatever the subjects hold.
func TestPublishedMetric(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	prefix := fmt.Sprintf("metered-%d", time.Now().UnixNano()) // the counters are those of the process
	_, b := running(t, server, bustest.Quiet(), func(c *bus.Config) { c.Prefix = events.Prefix(prefix) })
	for i := range 5 {
		id := fmt.Sprint(i)
		if err := b.Publish(t.Context(), prefix+".event.acme.task."+id+".TaskStateChanged", bustest.TaskEvent(t, id), id); err != nil {
			t.Fatal(err)
		}
	}
	var all metricdata.ResourceMetrics
	if err := bustest.Metrics.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			if m.Name != "factro.bridge.published" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				to, _ := p.Attributes.Value("destination")
				outcome, _ := p.Attributes.Value("outcome")
				if strings.HasPrefix(to.AsString(), prefix) {
					if found++; to.AsString() != prefix+".event.acme" || outcome.AsString() != "stored" || p.Value != 5 || p.Attributes.Len() != 2 {
						t.Errorf("%d with %v", p.Value, p.Attributes)
					}
				}
			}
		}
	}
	if found != 1 {
		t.Errorf("%d series, want 1", found)
	}
}

const refusedCommand = "factro.command.acme.task.deleteTask"

// TestHeaderBudget: our limit on headers is the server's, to the byte.
func TestHeaderBudget(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	conn, b := running(t, srv, bustest.Quiet())
	out := connected(t, srv)
	h := nats.Header{"X-Junk": {""}, "X-Many": {"a", "", "größer"}}
	h["X-Junk"] = []string{strings.Repeat("x", natserr.MaxHeader-natserr.HeaderSize(h))}
	if err := natserr.CheckHeader(h); err != nil {
		t.Error(err)
	}
	if _, err := out.JS.PublishMsg(t.Context(), &nats.Msg{Subject: refusedCommand, Header: h}); err != nil {
		t.Errorf("the server takes less than we think: %v", err)
	}
	h["X-Junk"][0] += "x"
	if err := natserr.CheckHeader(h); !errors.Is(err, natserr.ErrHeader) {
		t.Errorf("one byte more is %v", err)
	}
	_, err := out.JS.PublishMsg(t.Context(), &nats.Msg{Subject: refusedCommand, Header: h})
	if !natserr.TooLarge(err) || natserr.Of(err) != natserr.Permanent {
		t.Errorf("the server takes more than we think: %v", err)
	}
	e := bustest.TaskEvent(t, "e-1")
	e.SetExtension("huge", strings.Repeat("x", 70_000))
	if err := b.Publish(t.Context(), bustest.EventSubject, e, "e-1"); !errors.Is(err, events.ErrTooLarge) || !publish.Permanent(err) {
		t.Errorf("headers that no message can hold are %v", err)
	}
	if err := conn.Health().Ready(); err != nil {
		t.Errorf("one message's own fault is a failure of the destination: %v", err)
	}
}
