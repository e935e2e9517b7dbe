package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
	"github.com/factro-bridge/factro-bridge/tests/poll"
)

// receiver is the other end of a webhook.
type receiver struct {
	t      testing.TB
	server *httptest.Server
	got    chan received

	mu     sync.Mutex
	status []int // of the next answers, then 200
}

type received struct {
	header http.Header
	body   string
}

func newReceiver(t testing.TB, status ...int) *receiver {
	t.Helper()
	r := &receiver{t: t, got: make(chan received, 1000), status: status}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		status := 200
		if len(r.status) > 0 {
			status, r.status = r.status[0], r.status[1:]
		}
		r.mu.Unlock()
		w.WriteHeader(status)
		r.got <- received{req.Header.Clone(), string(body)}
	}))
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) webhook(action string) Webhook {
	return Webhook{URL: r.server.URL + "/hook", Action: action, Header: "X-Bridge-Key", Value: "Basic secret value"}
}

// wait returns the next n deliveries.
func (r *receiver) wait(n int) []received {
	r.t.Helper()
	out := []received{}
	for range n {
		select {
		case d := <-r.got:
			out = append(out, d)
		case <-time.After(10 * time.Second):
			r.t.Fatalf("%d of %d deliveries came", len(out), n)
		}
	}
	return out
}

func (r *receiver) none() {
	r.t.Helper()
	select {
	case d := <-r.got:
		r.t.Errorf("one delivery too many: %s", d.body)
	default:
	}
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	poll.Until(t, 10*time.Second, what, condition)
}

func (h *harness) idle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.sim.Idle(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func thin(action, id string) string {
	return fmt.Sprintf(`{"action":%q,"context":{"entityId":%q}}`, action, id)
}

func TestDeliveriesOfChanges(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := start(t, func(c *Config) {
		c.Webhooks = []Webhook{r.webhook("TaskCreated"), r.webhook("TaskStateChanged"), r.webhook("TaskExecutorChanged")}
	})
	id := h.task("x")
	got := r.wait(1)[0]
	if got.body != thin("TaskCreated", id) {
		t.Errorf("body %s", got.body)
	}
	if got.header.Get("Content-Type") != "application/json" || got.header.Get("X-Bridge-Key") != "Basic secret value" {
		t.Errorf("header %v", got.header)
	}
	for _, name := range []string{"User-Agent", "Traceparent", "Authorization"} {
		if got.header.Get(name) != "" {
			t.Errorf("header %s: %s, which factro is not known to send", name, got.header.Get(name))
		}
	}
	h.core("PUT", "/tasks/"+id+"/state", tenant.Object{"state": "review"}).is(204)
	if got := r.wait(1)[0]; got.body != thin("TaskStateChanged", id) {
		t.Errorf("body %s", got.body)
	}
	h.core("PUT", "/tasks/"+id, tenant.Object{"executorId": factro.ExampleColleague}).is(200)
	if got := r.wait(1)[0]; got.body != thin("TaskExecutorChanged", id) {
		t.Errorf("body %s", got.body)
	}
	h.core("PUT", "/tasks/"+id, tenant.Object{"executorId": factro.ExampleColleague}).is(200) // no change
	h.core("PUT", "/tasks/"+id, tenant.Object{"executorId": unknownID}).is(404)               // refused
	h.core("POST", "/projects", tenant.Object{"title": "x"}).is(200)                          // not registered
	h.idle()
	r.none()
	h.control("/delivery", tenant.Object{"silent": true}).is(200)
	h.task("unheard")
	h.sim.Fire("SomethingElse", factro.ExampleProject)
	h.sim.Fire("TaskCreated", factro.ExampleProject)
	if got := r.wait(1)[0]; got.body != thin("TaskCreated", factro.ExampleProject) {
		t.Errorf("body %s", got.body)
	}
}

func TestWideBody(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := start(t, func(c *Config) {
		c.Webhooks, c.Delivery.Wide = []Webhook{r.webhook("*")}, true
	})
	h.sim.Fire("TaskCreated", factro.ExampleProject)
	var body map[string]any
	if err := json.Unmarshal([]byte(r.wait(1)[0].body), &body); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"id", "webhookId", "action", "createdAt", "mandantId", "context"} {
		if body[key] == nil {
			t.Errorf("no %s in %v", key, body)
		}
	}
}

func TestDeliveriesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := start(t, func(c *Config) { c.Webhooks = []Webhook{r.webhook("*")} })
	for i := range 20 {
		h.sim.Fire(fmt.Sprint("A", i), factro.ExampleProject)
	}
	for i, d := range r.wait(20) {
		if d.body != thin(fmt.Sprint("A", i), factro.ExampleProject) {
			t.Fatalf("delivery %d is %s", i, d.body)
		}
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := start(t, func(c *Config) { c.Webhooks, c.Delivery.Reorder = []Webhook{r.webhook("*")}, 1 })
	want := []string{}
	for i := range 4 {
		h.sim.Fire(fmt.Sprint("A", i), factro.ExampleProject)
	}
	for _, i := range []int{1, 0, 3, 2} {
		want = append(want, thin(fmt.Sprint("A", i), factro.ExampleProject))
	}
	got := []string{}
	for _, d := range r.wait(4) {
		got = append(got, d.body)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	h.sim.Fire("last", factro.ExampleProject) // nobody comes to pass it
	r.wait(1)
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answers  []int
		delivery Delivery
		attempts []int // their statuses
		status   string
	}{
		{[]int{500, 503}, Delivery{Retries: 3, RetryDelay: time.Millisecond}, []int{500, 503, 200}, "delivered"},
		{[]int{500, 500, 500}, Delivery{Retries: 1}, []int{500, 500}, "failed"},
		{[]int{404}, Delivery{Retries: 1, RetryOn: "5xx,429"}, []int{404}, "delivered"},
		{[]int{429, 302}, Delivery{Retries: 2, RetryOn: "429, 3xx"}, []int{429, 302, 200}, "delivered"},
		{[]int{500}, Delivery{}, []int{500}, "failed"},
	} {
		t.Run(fmt.Sprint(c.answers, c.delivery.RetryOn), func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, c.answers...)
			h := start(t, func(cfg *Config) { cfg.Webhooks, cfg.Delivery = []Webhook{r.webhook("*")}, c.delivery })
			h.sim.Fire("A", factro.ExampleProject)
			r.wait(len(c.attempts))
			h.idle()
			r.none()
			statuses := []int{}
			for i, a := range h.sim.Deliveries() {
				statuses = append(statuses, a.Status)
				if a.Number != i+1 || a.Action != "A" || a.EntityID != factro.ExampleProject {
					t.Errorf("attempt %+v", a)
				}
			}
			if !slices.Equal(statuses, c.attempts) {
				t.Errorf("attempts %v, want %v", statuses, c.attempts)
			}
			stored := h.core("GET", "/webhook/payload/2026-01-01T00%3A00%3A00Z", nil).is(200).list()[0]
			if stored["deliveryStatus"] != c.status || stored["deliveryAttempts"] != json.Number(strconv.Itoa(len(c.attempts))) {
				t.Errorf("stored %v", stored)
			}
		})
	}
}

func TestUnreachableReceiver(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.Webhooks, c.Delivery.Retries = []Webhook{{URL: "http://127.0.0.1:1/", Action: "*"}}, 1
	})
	h.sim.Fire("A", factro.ExampleProject)
	h.idle()
	if log := h.sim.Deliveries(); len(log) != 2 || log[1].Status != 0 || log[1].Error == "" {
		t.Errorf("attempts %+v", log)
	}
}

func TestDuplicatesAndLoss(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := start(t, func(c *Config) { c.Webhooks, c.Delivery.Duplicates = []Webhook{r.webhook("*")}, 1 })
	h.sim.Fire("A", factro.ExampleProject)
	if got := r.wait(2); got[0].body != got[1].body {
		t.Errorf("got %v", got)
	}
	h.idle()
	r.none()
	h.control("/delivery", tenant.Object{"duplicates": 0, "loss": 1}).is(200)
	h.sim.Fire("B", factro.ExampleProject)
	h.idle()
	r.none()
	log := h.sim.Deliveries()
	if !log[1].Duplicate || !log[2].Lost || len(log) != 3 {
		t.Errorf("log %+v", log)
	}
	if stored := h.core("GET", "/webhook/payload/type/B/2026-01-01", nil).is(200).list(); len(stored) != 1 {
		t.Errorf("a lost event is not stored: %v", stored)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := start(t, func(c *Config) { c.Webhooks, c.Delivery.Delay = []Webhook{r.webhook("*")}, 30*time.Millisecond })
	before := time.Now()
	h.sim.Fire("A", factro.ExampleProject)
	r.wait(1)
	if waited := time.Since(before); waited < 30*time.Millisecond {
		t.Errorf("delivered after %v", waited)
	}
}

func TestStoredPayloads(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	h := start(t, func(cfg *Config) {
		cfg.Now = c.now
		cfg.Webhooks = []Webhook{{URL: "http://127.0.0.1:1/", Action: "TaskCreated", Header: "X-Key", Value: "secret"}}
		cfg.Delivery.StoredAfter = time.Minute
	})
	h.task("x")
	h.idle()
	const since = "/webhook/payload/2026-09-01T08%3A00%3A00.000Z"
	h.core("GET", since, nil).is(200).says("[]")
	c.at = c.at.Add(time.Minute)
	h.core("GET", since, nil).is(200).says(`"authenticationHeaderValue":"secret"`).says(`"employeeId":"` + factro.ExampleUser)
	h.core("GET", "/webhook/payload/2026-09-01T08%3A00%3A00.001Z", nil).is(200).says("[]")
	h.sim.Fire("TaskCreated", factro.ExampleProject)
	for context, want := range map[string]string{"named": `"taskId":`, "empty": `"context":{}`, "delivered": `"entityId":`} {
		h.control("/delivery", tenant.Object{"storedContext": context, "storedAfter": "0s"}).is(200)
		h.core("GET", since, nil).is(200).says(want)
	}
	first := h.core("GET", since, nil).list()
	h.control("/delivery", tenant.Object{"storedOrder": "newest"}).is(200)
	if turned := h.core("GET", since, nil).list(); len(first) != 2 || turned[0]["id"] != first[1]["id"] || turned[1]["id"] != first[0]["id"] {
		t.Errorf("the order is %v, then %v", first, turned)
	}
	h.control("/delivery", tenant.Object{"nullIDs": true}).is(200)
	if stored := h.core("GET", since, nil).is(200).list()[0]; stored["id"] != nil || stored["webhook"] != nil {
		t.Errorf("stored %v", stored)
	}
}

func TestReadableAfterTheDelivery(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	r := newReceiver(t)
	h := start(t, func(cfg *Config) {
		cfg.Now, cfg.Webhooks, cfg.Delivery.ReadableAfter = c.now, []Webhook{r.webhook("*")}, time.Second
	})
	id := h.task("old")
	r.wait(1)
	h.core("GET", "/tasks/"+id, nil).is(404)
	h.core("GET", "/tasks", nil).is(200).says("[]")
	c.at = c.at.Add(time.Second)
	h.core("GET", "/tasks/"+id, nil).is(200)
	h.core("PUT", "/tasks/"+id, tenant.Object{"title": "new"}).is(200).says("new")
	r.wait(1)
	h.core("GET", "/tasks/"+id, nil).is(200).says("old")
	c.at = c.at.Add(time.Second)
	h.core("GET", "/tasks/"+id, nil).is(200).says("new")
}

func TestCloseCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.Webhooks = []Webhook{{URL: "http://127.0.0.1:1/", Action: "*"}}
		c.Delivery = Delivery{Retries: 1, RetryDelay: time.Hour}
	})
	h.sim.Fire("A", factro.ExampleProject)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.sim.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 webhook still has") {
		t.Errorf("close: %v", err)
	}
	h.idle()
}

func TestManyWebhooksAtOnce(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := start(t, func(c *Config) {
		for range 4 {
			c.Webhooks = append(c.Webhooks, r.webhook("TaskCreated"))
		}
	})
	var tasks sync.WaitGroup
	for range 8 {
		tasks.Go(func() {
			for range 5 {
				h.task("x")
			}
		})
	}
	tasks.Wait()
	r.wait(4 * 40)
	h.idle()
	r.none()
}
