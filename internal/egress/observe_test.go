package egress

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestSpans: each attempt has a client span, named after the path template, in the command's trace.
func TestSpans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Broken, apitest.OK(apitest.Fits)))
		ctx, parent := otel.Tracer("test").Start(t.Context(), "process")
		if err := r.w.Handle(ctx, t.Context(), update(), nil); err != nil {
			t.Fatal(err)
		}
		var resent []string
		for _, s := range spans.GetSpans() {
			if s.SpanContext.TraceID() != parent.SpanContext().TraceID() {
				continue
			}
			if s.Name != "PUT /tasks/{taskId}" || s.SpanKind != trace.SpanKindClient || s.Parent.SpanID() != parent.SpanContext().SpanID() {
				t.Errorf("span %q of kind %v", s.Name, s.SpanKind)
			}
			has := map[string]string{}
			for _, a := range s.Attributes {
				has[string(a.Key)] = a.Value.String()
			}
			if has["url.template"] != "/tasks/{taskId}" || has["factro.operation"] != "updateTask" || has["factro.breaker.state"] != "closed" {
				t.Errorf("the span has %v", has)
			}
			resent = append(resent, has["http.request.resend_count"])
		}
		if !slices.Equal(resent, []string{"0", "1"}) {
			t.Errorf("the attempts count %v", resent)
		}
		for _, q := range r.api.Seen {
			if q.Header.Get("traceparent") != "" {
				t.Error("factro gets our trace")
			}
		}
	})
}

// TestSecrets: neither the key nor the data of a command is ever in the log or in a span.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const marker = "PAYLOAD-MARKER"
	body := `{"id":"t-9","text":"` + marker + `"}`
	for name, answer := range map[string]apitest.Reply{
		"applied": apitest.OK(body), "refused": {Status: 403, Body: body}, "unauthorized": {Status: 401, Body: body},
		"throttled": {Status: 429, Body: body}, "failed": {Status: 500, Body: body}, "reset": apitest.Reset, "unsent": apitest.Nowhere,
		"cut": {Status: 200, Body: body, Cut: true}, "HTML": {Status: 502, Body: "<p>" + marker + "</p>", Header: map[string]string{"Content-Type": "text/html"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Sequence(answer, apitest.OK(body)))
				r.stores.fail = func(step string) error {
					if step == "publish deferred" || step == "reply" {
						return fmt.Errorf("away")
					}
					return nil
				}
				ctx, parent := otel.Tracer("test").Start(t.Context(), "process")
				if name == "unauthorized" { // the key stays bad
					r.api.Script = apitest.Always(answer)
				}
				stopping, stop := stopAfterMinute(t)
				defer stop()
				for _, c := range []events.Command{
					command("createTask", `{"title":"`+marker+`","targetParentId":"p"}`),
					command("updateTask", `{"taskId":"1","title":"`+marker+`"}`),
					command("updateTask", `{"taskId":7,"title":"`+marker+`"}`),
					command("updateTask", `"`+marker+`"`),
				} {
					c.ReplyTo = "my.inbox"
					_ = r.w.Handle(ctx, stopping, c, nil)
				}
				if log := r.log.String(); strings.Contains(log, marker) || strings.Contains(log, apitest.Key) {
					t.Errorf("the log has a secret:\n%s", log)
				}
				for _, s := range spans.GetSpans() {
					if s.SpanContext.TraceID() != parent.SpanContext().TraceID() {
						continue
					}
					if text := fmt.Sprintf("%+v", s); strings.Contains(text, marker) || strings.Contains(text, apitest.Key) {
						t.Errorf("a span has a secret: %s", text)
					}
				}
				for _, s := range r.stores.sent {
					if strings.Contains(s.event.String(), apitest.Key) {
						t.Errorf("a result has the key: %s", s.event)
					}
				}
			})
		})
	}
}

// measured are the series of this process, with their values.
func measured(t *testing.T) map[string]bool {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					got[series(m.Name, p.Attributes, p.Value)] = true
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					got[series(m.Name, p.Attributes, p.Value)] = true
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					got[series(m.Name, p.Attributes, int64(p.Count))] = true
				}
			}
		}
	}
	return got
}

// TestMetrics: labels are bounded. An unknown operation from a sender is not a label.
func TestMetrics(t *testing.T) {
	t.Parallel()
	cloud := fmt.Sprintf("metered-%d", time.Now().UnixNano()) // the counters are those of the process
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Reply{Status: 429}, apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.Cloud = cloud })
		if err := r.do(update()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			_ = r.do(command(fmt.Sprintf("invented%d", i), "{}"))
		}
		got := measured(t)
		for _, want := range []string{
			"factro.bridge.commands{code=,factro.cloud=metered,factro.operation=updateTask,outcome=applied} 1",
			"factro.bridge.commands{code=throttled,factro.cloud=metered,factro.operation=updateTask,outcome=deferred} 1",
			"factro.bridge.commands{code=unknown-operation,factro.cloud=metered,factro.operation=unknown,outcome=rejected} 3",
			"factro.bridge.api.calls{factro.cloud=metered,factro.operation=updateTask,status=200} 1",
			"factro.bridge.api.calls{factro.cloud=metered,factro.operation=updateTask,status=429} 1",
			"factro.bridge.command.duration{factro.cloud=metered,outcome=applied} 1",
			"factro.bridge.breaker.state{factro.cloud=metered} 0",
			"factro.bridge.cloud.paused{factro.cloud=metered} 0",
		} {
			if !got[strings.ReplaceAll(want, "metered", cloud)] {
				t.Errorf("there is no %s", want)
			}
		}
		for s := range got {
			if strings.Contains(s, "invented") {
				t.Errorf("a label is not bounded: %s", s)
			}
		}
	})
}

// TestEachCommandIsLogged: each command has one line in the log, whatever its outcome.
func TestEachCommandIsLogged(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]events.Command{
		`"outcome":"applied"`: update(), `"outcome":"rejected"`: command("createTask", `{}`),
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
			_ = r.do(c) // other tests check the verdict
			if text := r.log.String(); strings.Count(text, `"command finished"`) != 1 || strings.Count(text, want) != 1 {
				t.Errorf("want one line with %s:\n%s", want, text)
			}
		})
	}
}

// TestKeyReplacedWhileIdle: without commands the bridge does not try a new key, and the alarm is about the old one. Not parallel:
// another test that reads metrics would read the key outside the bubble, at another time.
func TestKeyReplacedWhileIdle(t *testing.T) { //nolint:paralleltest // see above
	cloud := fmt.Sprintf("resting-%d", time.Now().UnixNano())
	file := filepath.Join(t.TempDir(), "key")
	write(t, file, "old")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Keyed(func() string { return "new" }), func(c *coreapi.Config) { c.Cloud, c.Key = cloud, secret.Source{File: file} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantRetry(t, r.w.Handle(ctx, ctx, update(), nil))
		paused := "factro.bridge.cloud.paused{factro.cloud=" + cloud + "} "
		if !measured(t)[paused+"1"] {
			t.Error("the refused key is not measured")
		}
		write(t, file, "new")
		time.Sleep(2 * time.Second) //nolint:forbidigo // in a bubble: until the file is looked at again
		if !measured(t)[paused+"0"] {
			t.Error("a key that factro has not seen yet is reported as refused")
		}
		if n := r.Count("call"); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestRedirect: with a real server and the real client, a redirect is not followed and the key goes nowhere else.
func TestRedirect(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(thief.Close)
	factro := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	t.Cleanup(factro.Close)
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.URL = factro.URL })
	api, err := coreapi.New(r.cfg, nil, r.w.log)
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(api, Config{Prefix: "factro"}, Stores{Results: r.stores, Ledger: r.stores, Files: r.stores, Keys: r.keys}, r.w.log)
	if err != nil {
		t.Fatal(err)
	}
	r.wantDone(w.Handle(t.Context(), t.Context(), command("createTasks", `{"items":[{"title":"T","targetParentId":"p-1"}]}`), nil), events.Dead, "ambiguous")
	if elsewhere.Load() != 0 {
		t.Error("the redirect was followed")
	}
}
