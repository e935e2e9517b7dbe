package sim

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// serve puts the simulator behind a real server, where a connection can be cut.
func (h *harness) serve() string {
	server := httptest.NewServer(h.sim.Handler())
	server.Config.ErrorLog = nil
	h.t.Cleanup(server.Close)
	return server.URL
}

// over makes a request through a real connection of its own. A cut connection gives an error.
func (h *harness) over(base, method, path, body string) (int, string, http.Header, error) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, base+corePath+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Authorization", h.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), resp.Header, err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	create := `{"title":"x","targetParentId":"` + factro.ExamplePackage + `"}`
	for _, c := range []struct {
		fault       string
		status      int // 0: cut
		body        string
		contentType string
		tasks       int
	}{
		{"latency,delay=1ms", 200, `"title":"x"`, "application/json", 1},
		{"rate-limit", 429, "Rate limit exceeded", "text/plain", 0},
		{"error,status=503", 503, "Service Unavailable", "text/plain", 0},
		{"error", 500, "Internal Server Error", "text/plain", 0},
		{"html", 502, "<html", "text/html", 0},
		{"key-expired", 401, unauthorized, "text/plain", 0},
		{"cut-before", 0, "", "", 0},
		{"cut-after", 0, "", "", 1},
		{"html-after,status=504", 504, "504 Gateway Timeout", "text/html", 1},
		{"unavailable", 503, "Service Unavailable", "text/plain", 0},
		{"page", 200, "factro ist gleich wieder da", "text/html", 0},
		{"nothing", 200, "{}", "application/json", 0},
		{"empty", 200, "", "", 0},
		{"error-200", 200, `{"error":"Session expired"}`, "application/json", 0},

		{"echo", 400, "Invalid request", "text/plain", 0},
		{"page-after", 200, "<html", "text/html", 1},
		{"empty-after", 200, "", "application/json", 1},
		{"cut-json", 200, `{"`, "application/json", 1},
		{"date", 200, `"title":"x"`, "application/json", 1},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			fault, err := ParseFault(c.fault + ",op=createTask,count=1")
			if err != nil {
				t.Fatal(err)
			}
			receiver := newReceiver(t)
			h := start(t, func(cfg *Config) {
				cfg.Faults = Faults{fault}
				cfg.Webhooks = []Webhook{receiver.webhook("TaskCreated")}
			})
			base := h.serve()
			if status, _, _, err := h.over(base, "GET", "/users", ""); err != nil || status != 200 {
				t.Fatalf("another operation is hit: %d, %v", status, err)
			}
			status, body, header, err := h.over(base, "POST", "/tasks", create)
			if c.status == 0 && !errors.Is(err, io.EOF) {
				t.Fatalf("got %d %s, %v, want a cut connection", status, body, err)
			}
			if c.status != 0 && (err != nil || status != c.status || !strings.Contains(body, c.body)) {
				t.Fatalf("got %d %s, %v", status, body, err)
			}
			if c.status != 0 && (!strings.HasPrefix(header.Get("Content-Type"), c.contentType) || header.Get("RateLimit") == "") {
				t.Errorf("headers %v", header)
			}
			if h.sim.Count("task", nil) != c.tasks {
				t.Errorf("%d tasks, want %d", h.sim.Count("task", nil), c.tasks)
			}
			receiver.wait(c.tasks)
			log := h.sim.Requests()
			last := log[len(log)-1]
			if last.Status != c.status || last.Applied != (c.tasks == 1) || last.Fault != fault.Kind && fault.Kind != FaultLatency || last.Operation != "createTask" {
				t.Errorf("logged %+v", last)
			}
			if status, _, _, err := h.over(base, "POST", "/tasks", create); err != nil || status != 200 {
				t.Errorf("the fault outlives its count: %d, %v", status, err)
			}
		})
	}
}

func TestFaultProbability(t *testing.T) {
	t.Parallel()
	hits := func() []int {
		h := start(t, func(c *Config) { c.Faults = Faults{{Kind: FaultHTML, Probability: 0.5}} })
		out := []int{}
		for range 40 {
			out = append(out, h.core("GET", "/teams", nil).status)
		}
		return out
	}
	first := hits()
	if !slices.Contains(first, 502) || !slices.Contains(first, 200) {
		t.Errorf("a coin shows one side only: %v", first)
	}
	if !slices.Equal(first, hits()) {
		t.Error("the same seed gives other hits")
	}
}

func TestFaultRetryAfter(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	h := start(t, func(cfg *Config) { cfg.Now = c.now })
	for _, c := range []struct{ value, want string }{{"", "60"}, {"none", ""}, {"7", "7"}} {
		if err := h.sim.SetFaults(Faults{{Kind: FaultRateLimit, RetryAfter: c.value}}); err != nil {
			t.Fatal(err)
		}
		if got := h.core("GET", "/teams", nil).is(429).header.Get("Retry-After"); got != c.want {
			t.Errorf("%q gives Retry-After %q, want %q", c.value, got, c.want)
		}
	}
}

func TestLatencyEndsWithTheClient(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Faults = Faults{{Kind: FaultLatency, Delay: time.Hour}} })
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.serve(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "DELETE /api/core/contacts/"+factro.ExampleContact+" HTTP/1.1\r\nHost: x\r\nAuthorization: "+h.key+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	eventually(t, "the request ends", func() bool { return len(h.sim.Requests()) == 1 })
	if h.sim.Count("contact", nil) != 1 {
		t.Error("a request was applied though its client was gone before")
	}
}

func TestParseFault(t *testing.T) {
	t.Parallel()
	got, err := ParseFault("cut-after, op=createTask,count=3,p=0.5,delay=200ms,status=503,retryAfter=none")
	want := Fault{FaultCutAfter, "createTask", 3, 0.5, 200 * time.Millisecond, 503, "none"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for spec, says := range map[string]string{
		"":                       "known are latency",
		"slow":                   "known are latency",
		"latency":                "needs a delay",
		"html,often=1":           "known are kind, op, count",
		"html,count":             "name=value",
		"html,count=x":           "not a whole number",
		"html,count=-1":          "negative",
		"html,p=2":               "probability",
		"html,op=createTasc":     `unknown operation "createTasc"`,
		"html,status=200":        "400 to 599",
		"latency,delay=soon":     "duration",
		"latency,delay=-1s,p=-1": "negative",
	} {
		if _, err := ParseFault(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", spec, err, says)
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	h := start(t, func(cfg *Config) { cfg.Now, cfg.Quota = c.now, 3 })
	expect := func(status int, limit string) {
		t.Helper()
		got := h.core("GET", "/teams", nil).is(status).header
		if got.Get("RateLimit") != limit {
			t.Errorf("ratelimit %s, want %s", got.Get("RateLimit"), limit)
		}
		if policy := got.Get("RateLimit-Policy"); !strings.HasPrefix(policy, `"3-in-1min"; q=3; w=60; pk=:`) {
			t.Errorf("ratelimit-policy %s", policy)
		}
	}
	expect(200, `"3-in-1min"; r=2; t=60`)
	c.at = c.at.Add(10*time.Second + time.Millisecond)
	expect(200, `"3-in-1min"; r=1; t=50`)
	expect(200, `"3-in-1min"; r=0; t=50`)
	expect(429, `"3-in-1min"; r=0; t=50`)
	r := h.core("GET", "/teams", nil).is(429).form("text/plain").says("Rate limit exceeded")
	if r.header.Get("Retry-After") != "50" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	h.key = "another key, refused, but with a budget of its own"
	expect(401, `"3-in-1min"; r=2; t=60`)
	h.key = DefaultKey
	c.at = c.at.Add(50 * time.Second)
	expect(200, `"3-in-1min"; r=2; t=60`)

	h.control("/variants", tenant.Object{"limitByAddress": true, "noRetryAfter": true}).is(200)
	for range 3 {
		h.core("GET", "/teams", nil).is(200)
	}
	h.key = "another key"
	if r := h.core("GET", "/teams", nil).is(429); r.header.Get("Retry-After") != "" {
		t.Error("Retry-After is there though it is switched off")
	}
	if other := policyName(10, 90*time.Second); other != "10-in-90sec" {
		t.Errorf("policy %s", other)
	}
}

// TestLimiterVariants: what is not known of factro's limiter can be chosen, while the simulator runs.
func TestLimiterVariants(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	h := start(t, func(cfg *Config) { cfg.Now, cfg.Quota, cfg.Seed = c.now, 100, 1 })
	get := func() http.Header { return h.core("GET", "/teams", nil).is(200).header }
	get()
	c.at = c.at.Add(10*time.Second + time.Millisecond)
	h.control("/variants", tenant.Object{"resetDown": true}).is(200)
	if got := get().Get("RateLimit"); got != `"100-in-1min"; r=98; t=49` {
		t.Errorf("rounded down it is %s", got)
	}
	h.control("/variants", tenant.Object{"noRateLimit": true}).is(200)
	if got := get(); got.Get("RateLimit") != "" || got.Get("RateLimit-Policy") != "" {
		t.Errorf("without the headers there are %v", got)
	}
	h.control("/variants", tenant.Object{"noRateLimit": false, "freeFailures": true, "quota": 10, "window": "20s"}).is(200)
	h.core("GET", "/tasks/"+DefaultMandantID, nil).is(404)
	if got := get().Get("RateLimit"); got != `"10-in-20sec"; r=6; t=49` {
		t.Errorf("after a failure that does not count it is %s", got)
	}
	c.at = c.at.Add(time.Minute)
	h.control("/variants", tenant.Object{"retryAfterDate": true}).is(200)
	for range 10 {
		get()
	}
	want := c.at.Add(20 * time.Second).UTC().Format(http.TimeFormat)
	if got := h.core("GET", "/teams", nil).is(429).header.Get("Retry-After"); got != want {
		t.Errorf("Retry-After %s, want %s", got, want)
	}
	windows := h.sim.Windows()
	if len(windows) != 2 || windows[0].Requests != 5 || windows[0].Free != 1 || windows[1].Requests != 11 || windows[1].Refused != 1 {
		t.Errorf("it counted %+v", windows)
	}
	h.control("/variants", tenant.Object{"strangerShare": 0.5, "strangerBurst": 2, "quota": 1000, "freeFailures": false}).is(200)
	for range 1200 { // three minutes
		c.at = c.at.Add(150 * time.Millisecond)
		get()
	}
	others := 0
	for _, w := range h.sim.Windows()[2:] {
		others += w.Others
	}
	if others < 8*350 || others > 9*650 {
		t.Errorf("another program made %d requests in 9 windows, want about half of 1000 in each", others)
	}
	h.sim.Reset()
	if windows := h.sim.Windows(); len(windows) != 0 {
		t.Errorf("after a reset there are %v", windows)
	}
	for name, value := range map[string]any{"quota": -1, "window": "1500ms", "strangerShare": 1.5, "strangerBurst": -1} {
		h.control("/variants", tenant.Object{name: value}).is(400)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l, now := newLimiter(1, time.Minute, 1), time.Unix(0, 0)
	for i := range 3 * maxPartitions {
		l.take(strings.Repeat("k", i), now)
	}
	if len(l.partitions) > maxPartitions {
		t.Errorf("%d partitions", len(l.partitions))
	}
}
