package sim_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim"
)

func control(t *testing.T, s *sim.Sim, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(method, "/_sim"+path, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestControlErrors(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Config{}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, body, says string }{
		{"PUT", "/faults", `[{"kind":"html","opp":"x"}]`, `unknown name \"opp\"`},
		{"PUT", "/faults", `[{"kind":"htm"}]`, `unknown kind \"htm\"`},
		{"PUT", "/faults", `[{"kind":"latency","delay":200}]`, "duration"},
		{"PUT", "/faults", `{}`, "body"},
		{"PUT", "/variants", `{"voidbody":true}`, `unknown name \"voidbody\"`},
		{"PUT", "/variants", `{"createStatus":202}`, "createStatus 202"},
		{"PUT", "/variants", `{"invalidBody":null}`, "not a plain value"},
		{"PUT", "/delivery", `{"lost":1}`, `unknown name \"lost\"`},
		{"PUT", "/delivery", `{"loss":2}`, "probability"},
		{"PUT", "/delivery", `{"retryOn":"6xx"}`, "retryOn"},
		{"PUT", "/key", `{"kei":"x"}`, "kei"},
		{"PUT", "/key", `{}`, "missing"},
		{"PUT", "/key", `{"key":"x"} {}`, "after its JSON"},
		{"POST", "/webhooks", `{"url":"ftp://x","action":""}`, "action is missing"},
		{"POST", "/webhooks", `{"url":"http://x","action":"A","secret":"x"}`, "secret"},
		{"POST", "/fire", `{"action":"A"}`, "entityId"},
		{"GET", "/objects/tasks", "", "known are absence"},
	} {
		if status, body := control(t, s, c.method, c.path, c.body); status != 400 || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %s", c.method, c.path, c.body, status, body, c.says)
		}
	}
}

// The help shows a list of faults that can be sent as it stands there.
func TestHelpShowsFaults(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Config{}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	_, help := control(t, s, "GET", "/", "")
	list := regexp.MustCompile(`\[\{.*\}\]`).FindString(help)
	if status, body := control(t, s, "PUT", "/faults", list); status != 200 || !strings.Contains(body, `"kind":"cut-after"`) {
		t.Errorf("%q: %d %s", list, status, body)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Config{}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, body, says string }{
		{"GET", "/", "", "INVENTED"},
		{"GET", "/", "", "cut-after"},
		{"POST", "/webhooks", `{"url":"http://127.0.0.1:1/","action":"TaskCreated","header":"X-Key","value":"hidden"}`, `"header":"X-Key"`},
		{"GET", "/webhooks", "", `"invented":false`},
		{"PUT", "/faults", `[{"kind":"latency","delay":"200ms","p":0.1,"op":"createTask","count":2}]`, `"delay":"200ms"`},
		{"GET", "/faults", "", `"count":2`},
		{"PUT", "/variants", `{"createStatus":201}`, `"createStatus":201`},
		{"PUT", "/variants", `{"voidBody":true}`, `"createStatus":201`},
		{"PUT", "/delivery", `{"retries":2,"retryDelay":"1s"}`, `"retries":2`},
		{"GET", "/delivery", "", `"retryDelay":"1s"`},
		{"PUT", "/key", `{"key":"x"}`, "{}"},
		{"GET", "/requests", "", "[]"},
		{"GET", "/deliveries", "", "[]"},
		{"GET", "/state", "", `"user":3`},
		{"GET", "/objects/project", "", s.Demo().Project},
		{"POST", "/fire", `{"action":"Whatever","entityId":"1"}`, `"invented":true`},
		{"GET", "/demo", "", s.Demo().User},
		{"POST", "/reset", "", s.Demo().User},
		{"GET", "/webhooks", "", "[]"},
		{"GET", "/faults", "", "[]"},
		{"GET", "/variants", "", `"createStatus":0`},
		{"DELETE", "/webhooks", "", "[]"},
	} {
		status, body := control(t, s, c.method, c.path, c.body)
		if status != 200 || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %s", c.method, c.path, c.body, status, body, c.says)
		}
		if strings.Contains(body, "hidden") {
			t.Errorf("%s %s shows a secret", c.method, c.path)
		}
	}
}

func TestConfigReportsAllMistakes(t *testing.T) {
	t.Parallel()
	_, err := sim.New(sim.Config{
		MandantID: "x", Quota: -1, Window: time.Millisecond,
		Webhooks: []sim.Webhook{{URL: "nowhere", Action: "", Header: "a b", Value: "v"}, {URL: "http://x", Action: "A", Value: "v"}},
		Variants: sim.Variants{CreateStatus: 1, InvalidBody: "x"},
		Faults:   sim.Faults{{Kind: "x"}},
		Delivery: sim.Delivery{Loss: 2, Delay: -1, Retries: -1, RetryOn: "x"},
	}, quiet())
	if err == nil {
		t.Fatal("no error")
	}
	for _, says := range []string{
		`mandant id "x"`, "quota -1", "window 1ms", `url "nowhere"`, "action is missing", `header "a b"`, "webhook 2: a value",
		"createStatus 1", "invalidBody", `unknown kind "x"`, "loss 2", "delay -1ns", "retries -1", "retryOn",
	} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not reported: %v", says, err)
		}
	}
}

func TestSetFromText(t *testing.T) {
	t.Parallel()
	var v sim.Variants
	var d sim.Delivery
	for _, err := range []error{v.Set("createStatus", "201"), v.Set("invalidBody", "errors"), d.Set("retries", "2"), d.Set("delay", "3s"), d.Set("retryOn", "5xx,429")} {
		if err != nil {
			t.Error(err)
		}
	}
	if v.CreateStatus != 201 || v.InvalidBody != "errors" || d.Retries != 2 || d.Delay != 3*time.Second {
		t.Errorf("got %+v, %+v", v, d)
	}
	for says, err := range map[string]error{
		"known are createStatus": v.Set("x", "1"), "none of [200 201]": v.Set("createStatus", "9"),
		"known are wide": d.Set("x", "1"), "negative": d.Set("retries", "-1"), "true nor false": d.Set("wide", "si"),
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	if v.CreateStatus != 201 || d.Retries != 2 {
		t.Error("a mistake changed something")
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	s, err := sim.New(sim.Config{}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	delivered := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		delivered <- string(body)
	}))
	defer receiver.Close()
	if err := s.Register(sim.Webhook{URL: receiver.URL, Action: "TaskCreated"}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()

	body := `{"title":"Grüße","targetParentId":"` + s.Demo().Package + `"}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String()+"/api/core/tasks", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", sim.DefaultKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var task struct{ ID, Title string }
	if err := json.NewDecoder(resp.Body).Decode(&task); err != nil || resp.StatusCode != http.StatusOK || task.Title != "Grüße" {
		t.Fatalf("%d %+v, %v", resp.StatusCode, task, err)
	}
	if got := <-delivered; !strings.Contains(got, task.ID) {
		t.Errorf("delivered %s", got)
	}
	if s.Count("task", nil) != 1 || len(s.Requests()) != 1 || s.Requests()[0].Operation != "createTask" {
		t.Errorf("%d tasks, requests %+v", s.Count("task", nil), s.Requests())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(s.Deliveries()) != 1 {
		t.Errorf("deliveries %+v", s.Deliveries())
	}
}

// TestSettingsRoundTripJSON shows that what is read from the control API can be put back.
func TestSettingsRoundTripJSON(t *testing.T) {
	t.Parallel()
	faults := sim.Faults{{
		Kind: sim.FaultRateLimit, Operation: "createTask", Count: 2, Probability: 0.25, Delay: time.Second, Status: 500, RetryAfter: "none",
	}}
	variants := sim.Variants{
		CreateStatus: 201, InvalidStatus: 422, InvalidBody: "text", VoidBody: true, NoRetryAfter: true, LimitByAddress: true, RetryAfterDate: true, NoRateLimit: true, ResetDown: true, FreeFailures: true,
		Quota: 7, Window: 9 * time.Second, StrangerShare: 0.5, StrangerBurst: 3,
		ReverseBatches: true, AtomicOrder: "shuffled", AtomicAnswer: "ids", AtomicStatus: 413, AtomicMost: 3, PartialStatus: 207, AbsentNull: true, MergeCustomFields: true, PackageParentsOnly: true, LowerCaseReasons: true,
	}
	delivery := sim.Delivery{
		Wide: true, Retries: 1, RetryDelay: 2, RetryOn: "5xx", Duplicates: 0.5, Reorder: 0.5, Loss: 0.5, Delay: 3, ReadableAfter: 4,
		StoredAfter: 5, StoredLate: 0.5, StoredContext: "named", StoredOrder: "newest", NullIDs: true, Silent: true, Timeout: 6,
	}
	gotFaults, gotVariants, gotDelivery := sim.Faults{}, sim.Variants{}, sim.Delivery{}
	for _, c := range []struct{ value, into any }{{faults, &gotFaults}, {variants, &gotVariants}, {delivery, &gotDelivery}} {
		data, err := json.Marshal(c.value)
		if err == nil {
			err = json.Unmarshal(data, c.into)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if gotFaults[0] != faults[0] || gotVariants != variants || gotDelivery != delivery {
		t.Errorf("got %+v, %+v, %+v", gotFaults, gotVariants, gotDelivery)
	}
}
