package bus

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

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	out := server.outside(t)
	for range 2 { // the second time is a repetition
		if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "acme.e-1"); err != nil {
			t.Fatal(err)
		}
		if n := out.count("FACTRO_EVENTS_ACME"); n != 1 {
			t.Fatalf("the stream has %d messages, want 1", n)
		}
	}
	m := out.lastEvent()
	got, err := events.FromMsg(m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != eventSubject || got.ID() != "e-1" || string(got.Data()) != string(taskEvent(t, "e-1").Data()) {
		t.Errorf("the stream has %s %s %s", m.Subject, got.ID(), got.Data())
	}
}

func TestPublishOddIDs(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	out := server.outside(t)
	for i, id := range []string{"Größe 5%", "a\r\nNats-Rollup: all", "\"quoted\"", " blanks ", "日本", "50%25"} {
		for range 2 {
			if err := b.Publish(t.Context(), eventSubject, taskEvent(t, id), "acme."+id); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
		}
		if n := out.count("FACTRO_EVENTS_ACME"); n != uint64(i+1) {
			t.Fatalf("after %q the stream has %d messages, want %d", id, n, i+1)
		}
		m := out.lastEvent()
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
	server := startBroker(t, func(o *server.Options) { o.MaxPayload = 4096 })
	b := run(t, server.connect(t, quiet()))
	out := server.outside(t)
	cfg := out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.MaxMsgSize = 1500
	if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{2000, 5000} {
		e := taskEvent(t, "big")
		e.DataEncoded = []byte(`"` + strings.Repeat("x", size) + `"`)
		if err := b.Publish(t.Context(), eventSubject, e, "big"); !errors.Is(err, events.ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestPublishRefusesBrokenEvents(t *testing.T) {
	t.Parallel()
	b := run(t, startBroker(t).connect(t, quiet()))
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, ""), "x"); err == nil {
		t.Error("an event without an id was published")
	}
	if err := b.Reply(t.Context(), "someone", taskEvent(t, "")); err == nil {
		t.Error("an event without an id was sent")
	}
}

func TestPublishWhileAway(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	server.stop()

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, eventSubject, taskEvent(t, "e-1"), "e-1"); err == nil {
		t.Fatal("published to a server that is away")
	}
	if ctx.Err() == nil {
		t.Error("it gave up before its time")
	}

	// Another one waits until the server is back.
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		done <- b.Publish(ctx, eventSubject, taskEvent(t, "e-2"), "e-2")
	}()
	server.start()
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
	out := server.outside(t)
	if m := out.lastEvent(); m.Header.Get("ce-id") != "e-2" || out.count("FACTRO_EVENTS_ACME") != 1 {
		t.Errorf("the stream has %d messages, the last is %v", out.count("FACTRO_EVENTS_ACME"), m.Header)
	}
}

// TestPublishDisconnects: what fails since the client has lost its connection, and has not told us yet, is no attempt.
func TestPublishDisconnects(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	server.stop()
	eventually(t, "the outage is known", func() bool { return b.Ready() != nil })
	b.mu.Lock() // as if the news had not come yet
	b.isUp, b.up, b.down = true, make(chan struct{}), make(chan struct{})
	close(b.up)
	b.mu.Unlock()

	done := make(chan error, 1)
	go func() { done <- b.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "e-1") }()
	select {
	case err := <-done:
		t.Fatalf("gave up: %v", err)
	case <-time.After(time.Second): // far more than three attempts take
	}
	server.start()
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
}

// TestPublishRepeats: an acknowledgement that does not come is asked for again, under the same id.
func TestPublishRepeats(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet(), func(c *Config) { c.Manage = false })) // so there is no stream
	out := server.outside(t)
	seen := make(chan string, 10)
	attempt := 0
	if _, err := out.nc.Subscribe("factro.event.>", func(m *nats.Msg) {
		seen <- m.Header.Get("Nats-Msg-Id")
		if attempt++; attempt == 2 {
			if err := m.Respond([]byte(`{"stream":"FACTRO_EVENTS_ACME","seq":1}`)); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := out.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "acme.e-1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if id := receive(t, seen); id != "acme.e-1" {
			t.Errorf("an attempt has the id %q", id)
		}
	}
}

// TestPublishNoStream: without a stream the error comes, and the look for the streams is made at once.
func TestPublishNoStream(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := server.connect(t, quiet())
	b.lookEvery = time.Hour
	run(t, b)
	out := server.outside(t)
	eventually(t, "the second look, which the connection asked for, is over", func() bool { return len(b.changed) == 0 })
	if err := out.js.DeleteStream(t.Context(), "FACTRO_EVENTS_ACME"); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"), "e-1"); err != nil {
		t.Fatal(err)
	}
	if n := out.count("FACTRO_EVENTS_ACME"); n != 1 {
		t.Errorf("the new stream has %d messages", n)
	}
}

func TestPublishTrace(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	out := server.outside(t)
	ctx, span := otel.Tracer("test").Start(t.Context(), "origin")
	defer span.End()
	id := span.SpanContext().TraceID().String()

	if err := b.Publish(ctx, eventSubject, taskEvent(t, "e-1"), "e-1"); err != nil {
		t.Fatal(err)
	}
	m := out.lastEvent()
	hop, origin := delivery.Header(m.Header).Get("traceparent"), delivery.Header(m.Header).Get("ce-traceparent")
	if !strings.Contains(hop, id) || origin != hop {
		t.Errorf("traceparent %q, ce-traceparent %q, want both of trace %s", hop, origin, id)
	}

	const first = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	e := taskEvent(t, "e-2")
	e.SetExtension("traceparent", first)
	if err := b.Publish(ctx, eventSubject, e, "e-2"); err != nil {
		t.Fatal(err)
	}
	m = out.lastEvent()
	if got := delivery.Header(m.Header).Get("ce-traceparent"); got != first {
		t.Errorf("the origin became %q", got)
	}
	if got := delivery.Header(m.Header).Get("traceparent"); !strings.Contains(got, id) {
		t.Errorf("the hop is %q, want one of %s", got, id)
	}

	for _, s := range spans.GetSpans() {
		if s.SpanContext.TraceID().String() == id && s.Name != "origin" {
			if s.Name != "publish factro.event.acme" || s.SpanKind != trace.SpanKindProducer || s.Parent.SpanID() != span.SpanContext().SpanID() {
				t.Errorf("span %q of kind %v", s.Name, s.SpanKind)
			}
		}
	}
}

func TestReply(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	out := server.outside(t)
	inbox, err := out.nc.SubscribeSync("my.results")
	if err != nil {
		t.Fatal(err)
	}
	if err := out.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.Reply(t.Context(), "my.results", taskEvent(t, "r-1")); err != nil {
		t.Fatal(err)
	}
	m, err := inbox.NextMsg(patience)
	if err != nil || m.Header.Get("ce-id") != "r-1" {
		t.Errorf("got %v, %v", m, err)
	}
}

// TestPermissions: a refused permission is silent but for the connection's error handler.
func TestPermissions(t *testing.T) {
	t.Parallel()
	server := startBroker(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "bridge", Password: "b", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{"factro.event.>", "secret.>"}},
			}},
		}
	})
	log, book := newLog()
	b := run(t, server.connect(t, log, func(c *Config) { c.URL = strings.Replace(c.URL, "//", "//bridge:b@", 1) }))

	// A sender names a subject that is forbidden to us: that is his bad luck, not a bridge that is not ready.
	if err := b.Reply(t.Context(), "secret.inbox", taskEvent(t, "r-1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the violation is logged", func() bool { return book.count("secret.inbox") > 0 })
	if err := b.Ready(); err != nil {
		t.Errorf("a sender's reply subject makes the bridge unready: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, eventSubject, taskEvent(t, "e-1"), "e-1"); err == nil {
		t.Error("published without the right to")
	}
	eventually(t, "readiness tells the reason", func() bool {
		err := b.Ready()
		return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), "factro.event.acme")
	})
	if strings.Contains(book.String(), "bridge:b@") {
		t.Error("the password is logged")
	}
}

func TestOurs(t *testing.T) {
	t.Parallel()
	b := &Conn{cfg: Config{Prefix: "factro", Clouds: []string{"acme"}}}
	for text, want := range map[string]bool{
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.X"`:                                                true,
		`nats: permissions violation: Permissions Violation for Publish to "factro.result.a"`:                                                      true,
		`nats: permissions violation: Permissions Violation for Publish to "other.subject"`:                                                        false,
		`nats: permissions violation: Permissions Violation for Subscription to "_INBOX.x.*"`:                                                      true,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.KV_FACTRO_LEDGER_ACME"`:                            true,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.OBJ_FACTRO_FILES_ACME"`:                            false,
		`nats: permissions violation: Permissions Violation for Publish to "$JS.API.DIRECT.GET.OBJ_FACTRO_FILES_ACME.$O.FACTRO_FILES_ACME.M.eA=="`: false,
		`nats: permissions violation: Permissions Violation for Publish to "$O.FACTRO_ANSWERS_ACME.C.x"`:                                           false,
		`nats: permissions violation: Permissions Violation for Publish to "factro.result.acme.task.OBJ_FACTRO_FILES_ACME.x"`:                      true,
		`some text of another server`: true,
	} {
		if got := b.ours(text); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestPublishedMetric: the labels are bounded, whatever the subjects hold.
func TestPublishedMetric(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	prefix := fmt.Sprintf("metered-%d", time.Now().UnixNano()) // the counters are those of the process
	b := run(t, server.connect(t, quiet(), func(c *Config) { c.Prefix = events.Prefix(prefix) }))
	for i := range 5 {
		id := fmt.Sprint(i)
		if err := b.Publish(t.Context(), prefix+".event.acme.task."+id+".TaskStateChanged", taskEvent(t, id), id); err != nil {
			t.Fatal(err)
		}
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
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

func TestKind(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		eventSubject: "factro.event.acme", "factro.dead.webhook.acme": "factro.dead.webhook", "a": "a",
	} {
		if got := kind(subject); got != want {
			t.Errorf("%s: %s, want %s", subject, got, want)
		}
	}
}
