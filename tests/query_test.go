package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	factroapi "github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// asking is a bridge and a stranger who asks it.
type asking struct {
	t      testing.TB
	n      *natstest.Server
	f      *factro
	b      *bridge
	nc     *nats.Conn
	client *events.Client
}

func newAsking(t testing.TB, env ...string) *asking {
	t.Helper()
	a := &asking{t: t, n: natstest.Start(t), f: startFactro(t, sim.Config{})}
	a.b = newBridge(t, bridgeConfig{nats: a.n.URL(), clouds: map[string]string{"acme": a.f.url}, env: env}).start()
	nc, js := a.n.Connect(t)
	a.nc, a.client = nc, events.NewClient(js, "acme")
	return a
}

// ask asks in the plainest way, and waits for the service to be there.
func (a *asking) ask(resource, operation, data string) *nats.Msg {
	a.t.Helper()
	var m *nats.Msg
	waitFor(a.t, "an answer to "+operation, func() bool {
		var err error
		m, err = a.nc.Request(prefix.Query("acme", resource, operation), []byte(data), patience)
		return err == nil || !errors.Is(err, nats.ErrNoResponders)
	})
	if m == nil {
		a.t.Fatalf("no answer to %s", operation)
	}
	return m
}

// direct asks factro without the bridge.
func (a *asking) direct(method, path, body string) string {
	a.t.Helper()
	req, err := http.NewRequest(method, a.f.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		a.t.Fatalf("%s %s: %d %s, %v", method, path, resp.StatusCode, text, err)
	}
	return string(text)
}

// fill makes a list of tasks that no message can hold.
func (a *asking) fill() {
	a.t.Helper()
	for range 15 {
		a.direct(http.MethodPost, "/tasks", fmt.Sprintf(`{"title":"Größe","targetParentId":%q,"description":%q}`,
			a.f.demo.Package, strings.Repeat("ü", 50_000)))
	}
}

func (a *asking) wantError(m *nats.Msg, status, code string) events.Error {
	a.t.Helper()
	var e events.Error
	if err := json.Unmarshal(m.Data, &e); err != nil || e.Code != code || m.Header.Get(events.HeaderErrorCode) != status || m.Header.Get(events.HeaderError) == "" {
		a.t.Errorf("the answer is %s with %v, want %s %s", m.Data, m.Header, status, code)
	}
	return e
}

// A query is answered with what factro says, byte for byte; what factro refuses comes with its words.
func TestQuery(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	if got, want := string(a.ask("project", "getProject", fmt.Sprintf(`{"projectId":%q}`, a.f.demo.Project)).Data), a.direct(http.MethodGet, "/projects/"+a.f.demo.Project, ""); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	const nobody = "00000000-0000-4000-8000-00000000dead"
	e := a.wantError(a.ask("task", "getTask", `{"taskId":"`+nobody+`"}`), "404", "refused")
	if !strings.Contains(e.Message, nobody) {
		t.Errorf("the message is %q", e.Message)
	}
	e = a.wantError(a.ask("task", "getTask", `{"taskid":"x","other":1}`), "400", "invalid")
	if fields := e.FieldErrors(); len(fields) != 3 {
		t.Errorf("the mistakes are %v", fields)
	}
	a.wantError(a.ask("task", "createTask", "{}"), "404", "unknown-operation")

	var stats micro.Stats
	waitFor(t, "the statistics", func() bool {
		m, err := a.nc.Request("$SRV.STATS.factro-query-acme", nil, patience)
		if err != nil || json.Unmarshal(m.Data, &stats) != nil {
			t.Fatal(err)
		}
		for _, s := range stats.Endpoints {
			if s.Name == "getTask" && s.NumRequests == 2 {
				return s.NumErrors == 2 && s.LastError != ""
			}
		}
		return false
	})
	if reads := slices.DeleteFunc(factroapi.Operations(), factroapi.Operation.Writes); len(stats.Endpoints) != len(reads) {
		t.Errorf("the service has %d endpoints, want %d", len(stats.Endpoints), len(reads))
	}
	for _, want := range []string{
		`factro_bridge_queries_total{factro_cloud="acme",factro_operation="getTask",status="4xx"} 2`,
		`factro_bridge_query_duration_seconds_count{factro_cloud="acme",status="2xx"} 1`,
	} {
		waitFor(t, want, func() bool {
			_, text := a.b.get("/metrics")
			return strings.Contains(withoutScope(text), want)
		})
	}
}

// withoutScope takes the labels of the scope out of the metrics.
func withoutScope(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if begin, rest, ok := strings.Cut(line, ",otel_scope_name"); ok {
			_, end, _ := strings.Cut(rest, "}")
			line = begin + "}" + end
		}
		out.WriteString(line)
	}
	return out.String()
}

// The answers of factro decode into the types of the library, those of a map and of a tree among them.
func TestTypedQueries(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	a.ask("user", "getUserQuota", "")
	ctx, demo := t.Context(), a.f.Demo()

	project, err := events.Ask(ctx, a.client, payload.GetProject{ProjectID: demo.Project})
	if err != nil || project.ID != demo.Project || project.Title == "" {
		t.Errorf("getProject: got %+v, %v", project, err)
	}
	rights, err := events.Ask(ctx, a.client, payload.GetProjectReadRights{ProjectID: demo.Project})
	if err != nil || len(rights) == 0 {
		t.Errorf("getProjectReadRights: got %v, %v", rights, err)
	}
	tree, err := events.Ask(ctx, a.client, payload.GetProjectStructure{ProjectID: demo.Project})
	if nodes, ok := tree.Children.Get(); err != nil || tree.ID != demo.Project || !ok || len(nodes) == 0 {
		t.Errorf("getProjectStructure: got %+v, %v", tree, err)
	}
	users, err := events.Ask(ctx, a.client, payload.ListUsers{})
	if err != nil || len(users) == 0 || users[0].EmailAddress == "" {
		t.Errorf("listUsers: got %v, %v", users, err)
	}
	_, err = events.Ask(ctx, a.client, payload.GetTask{TaskID: "00000000-0000-4000-8000-00000000ffff"})
	if refused, ok := errors.AsType[*events.Error](err); !ok || refused.Status != http.StatusNotFound {
		t.Errorf("a task that is not there: got %v", err)
	}
}

// A list that no message can hold comes through the object store, to the library, to the command line and to anybody else.
func TestLargeQuery(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	a.fill()
	want := a.direct(http.MethodGet, "/tasks", "")
	if len(want) < 1<<20 {
		t.Fatalf("the list has %d bytes only", len(want))
	}
	m := a.ask("task", "listTasks", "")
	var body struct{ Object events.ObjectRef }
	if err := json.Unmarshal(m.Data, &body); err != nil || m.Header.Get(events.HeaderObject) != "FACTRO_ANSWERS_ACME/"+body.Object.Name || body.Object.Size != uint64(len(want)) {
		t.Errorf("the answer is %s with %v: %v", m.Data, m.Header, err)
	}
	answer, err := a.client.Query(t.Context(), payload.Generic{Name: "listTasks", Resource: "task"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer)
	if err = errors.Join(err, answer.Close()); err != nil || string(got) != want {
		t.Errorf("the library got %d bytes, want %d: %v", len(got), len(want), err)
	}
	tasks, err := events.Ask(t.Context(), a.client, payload.ListTasks{})
	if count := strings.Count(want, `"taskState"`); err != nil || len(tasks) != count || count == 0 {
		t.Errorf("the library decoded %d tasks, want %d: %v", len(tasks), count, err)
	}
	at := []string{"--nats", a.n.URL(), "--cloud", "acme"}
	if out, errOut, code := bridgeCommand(t, append([]string{"query", "listTasks"}, at...)...); code != 0 || out != want {
		t.Errorf("exit code %d, %d bytes, want %d: %s", code, len(out), len(want), errOut)
	}
	file := filepath.Join(t.TempDir(), "tasks.json")
	out, errOut, code := bridgeCommand(t, append([]string{"query", "listTasks", "--out", file}, at...)...)
	if text, err := os.ReadFile(file); code != 0 || out != "" || err != nil || string(text) != want {
		t.Errorf("exit code %d, %d bytes in the file: %s %v", code, len(text), errOut, err)
	}
}

// Many who want the same at the same time cost hardly more than one request: one that is under way when the others come,
// and one that these share.
func TestEqualQueries(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	a.ask("user", "getUserQuota", "")
	if err := a.f.SetFaults(sim.Faults{{Kind: sim.FaultLatency, Operation: "listTasks", Delay: 2 * time.Second}}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if m, err := a.nc.Request(prefix.Query("acme", "task", "listTasks"), nil, patience); err != nil || m.Header.Get(events.HeaderErrorCode) != "" {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
	all.Wait()
	if n := count(a.f, "listTasks"); n > 3 { // two, unless this machine is very slow
		t.Errorf("50 equal queries made %d requests", n)
	}
}

// While factro throttles, queries are answered at once, with when to come again; then they go on.
func TestQueryThrottled(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	a.ask("user", "getUserQuota", "")
	if err := a.f.SetFaults(sim.Faults{{Kind: sim.FaultRateLimit, Count: 1, RetryAfter: "3"}}); err != nil {
		t.Fatal(err)
	}
	a.wantError(a.ask("task", "listTasks", ""), "429", "throttled")
	m := a.ask("user", "getUserQuota", "")
	if a.wantError(m, "429", "throttled"); m.Header.Get("Retry-After") == "" {
		t.Errorf("the headers are %v", m.Header)
	}
	if n := count(a.f, "getUserQuota"); n != 1 {
		t.Errorf("factro was asked %d times while it throttled", n-1)
	}
	waitFor(t, "queries are answered again", func() bool {
		return a.ask("user", "getUserQuota", "").Header.Get(events.HeaderErrorCode) == ""
	})
}

// A bridge that is stopping answers the requests that it has begun; after a restart it answers again.
func TestQueryRestart(t *testing.T) {
	t.Parallel()
	a := newAsking(t, "FACTRO_BRIDGE_ROLES=query")
	a.ask("user", "getUserQuota", "")
	if err := a.f.SetFaults(sim.Faults{{Kind: sim.FaultLatency, Operation: "listTasks", Count: 1, Delay: 2 * time.Second}}); err != nil {
		t.Fatal(err)
	}
	answer := make(chan *nats.Msg, 1)
	go func() { answer <- a.ask("task", "listTasks", "") }()
	waitFor(t, "the query is under way", func() bool { return strings.Contains(a.f.faultsLeft(t), "[]") })
	if err := a.b.terminate(); err != nil {
		t.Errorf("the bridge ended with %v", err)
	}
	if m := <-answer; m.Header.Get(events.HeaderErrorCode) != "" || !bytes.HasPrefix(m.Data, []byte("[")) {
		t.Errorf("the answer is %s with %v", m.Data, m.Header)
	}
	if _, err := a.nc.Request(prefix.Query("acme", "user", "getUserQuota"), nil, patience); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("without a bridge: %v", err)
	}
	a.b.start()
	a.ask("user", "getUserQuota", "")
	a.n.Restart()
	waitFor(t, "queries are answered after a restart of NATS", func() bool {
		m, err := a.nc.Request(prefix.Query("acme", "user", "getUserQuota"), nil, time.Second)
		return err == nil && m.Header.Get(events.HeaderErrorCode) == ""
	})
}

// faultsLeft asks the simulator which faults are in force.
func (f *factro) faultsLeft(t testing.TB) string {
	t.Helper()
	resp, err := http.Get(strings.TrimSuffix(f.url, "/api/core") + "/_sim/faults")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Someone at a terminal asks, and the exit code is the outcome.
func TestQueryCommand(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	ask := func(args ...string) (string, string, int) {
		return bridgeCommand(t, append(append([]string{"query"}, args...), "--nats", a.n.URL())...)
	}
	a.ask("user", "getUserQuota", "")
	out, errOut, code := ask("getProject", "projectId="+a.f.demo.Project, "--cloud", "acme")
	if code != 0 || out != a.direct(http.MethodGet, "/projects/"+a.f.demo.Project, "") {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
	if out, _, code := ask("getProject", "projectId="+a.f.demo.Project, "--cloud", "acme", "--pretty"); code != 0 || !strings.Contains(out, "{\n  \"") {
		t.Errorf("exit code %d: %s", code, out)
	}
	const nobody = "00000000-0000-4000-8000-00000000dead"
	if _, errOut, code := ask("getTask", "taskId="+nobody, "--cloud", "acme"); code != 3 || !strings.Contains(errOut, "refused (404)") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if _, errOut, code := ask("getTask", "taskId:=7", "wrong:=null", "--cloud", "acme"); code != 2 || !strings.Contains(errOut, "\n  /taskId: got number") || !strings.Contains(errOut, "\n  /wrong: ") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if _, errOut, code := ask("createTask", "--cloud", "acme"); code != 2 || !strings.Contains(errOut, "bridge send createTask") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if _, errOut, code := ask("getUserQuota", "--cloud", "none"); code != 1 || !strings.Contains(errOut, "no bridge answers") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if err := a.f.SetFaults(sim.Faults{{Kind: sim.FaultLatency, Operation: "listTasks", Delay: 3 * time.Second}}); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := ask("listTasks", "--cloud", "acme", "--timeout", "100ms"); code != 5 || !strings.Contains(errOut, "no answer within 100ms") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	if out, _, _ := bridgeCommand(t, "__complete", "query", "getT"); !strings.Contains(out, "getTask\t") || strings.Contains(out, "createT") {
		t.Errorf("the completion is %s", out)
	}
}
