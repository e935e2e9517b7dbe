package tests

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// mirrorRequests are the requests that the mirror has made so far, by operation.
func (b *bridge) mirrorRequests() map[string]int {
	b.t.Helper()
	all := map[string]int{}
	_, text := b.get("/metrics")
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "factro_bridge_mirror_requests_total{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(rest, "} ")
		_, name, _ := strings.Cut(labels, `factro_operation="`)
		name, _, _ = strings.Cut(name, `"`)
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			continue
		}
		all[name] += int(n)
	}
	return all
}

// since are the requests since an earlier look.
func since(before, after map[string]int) (total int, text string) {
	var each []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if n := after[name] - before[name]; n > 0 {
			total += n
			each = append(each, fmt.Sprint(n, " ", name))
		}
	}
	return total, strings.Join(each, ", ")
}

// quiet waits until the mirror has made no request for two seconds.
func (m *mirrored) quiet() map[string]int {
	m.t.Helper()
	last, at := m.b.mirrorRequests(), time.Now()
	waitFor(m.t, "the mirror asks no more", func() bool {
		if now := m.b.mirrorRequests(); !maps.Equal(now, last) {
			last, at = now, time.Now()
		}
		return time.Since(at) > 2*time.Second
	})
	return last
}

// TestMirrorMany: when two hundred tasks change at once, the mirror reads their list, and not each of them.
func TestMirrorMany(t *testing.T) {
	t.Parallel()
	if !*pace {
		t.Skip("how many are due at once depends on the machine; run it with -pace")
	}
	f := startFactro(t, sim.Config{})
	f.fill(t, size{2, 1, 400})
	m := mirrorOf(t, f, "mirror: {settle: 500ms}")
	parent := f.Objects("package")[1]
	m.inStep()
	before := m.quiet()
	m.call(http.MethodPost, fmt.Sprintf("/projects/%s/packages/%s/shift_with_successors", parent["projectId"], parent["id"]), map[string]any{"daysDelta": 1})
	m.inStep()
	total, by := since(before, m.quiet())
	t.Logf("200 webhooks led to %d requests: %s", total, by)
	// Nothing holds it up here, so it reads what is due before the last webhook has come.
	if total > 150 {
		t.Errorf("%d requests for 200 tasks of one list", total)
	}
}

// TestMirrorMix: what webhooks cost when people work as they usually do.
func TestMirrorMix(t *testing.T) {
	t.Parallel()
	if !*pace {
		t.Skip("it takes minutes; run it with -pace")
	}
	f := startFactro(t, sim.Config{})
	f.fill(t, size{20, 3, 1000})
	m := mirrorOf(t, f, "mirror: {settle: 1s}")
	ids, projects, packages := f.ids()["task"], f.ids()["project"], f.ids()["package"]
	m.inStep()
	before := m.quiet()
	random := rand.New(rand.NewPCG(1, 2))
	edits, webhooks := 0, 0
	fire := func(id string, actions ...string) {
		for _, a := range actions {
			m.f.Fire(a, id)
			webhooks++
		}
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		id := pick(random, ids)
		edits++
		switch n := random.IntN(100); {
		case n < 55: // text, by three webhooks
			m.call(http.MethodPut, "/tasks/"+id, map[string]any{"title": fmt.Sprint("edit ", edits)})
			webhooks++
			fire(id, "TaskTitleChanged", "TaskChanged")
		case n < 70: // effort and dates, by two
			m.call(http.MethodPut, "/tasks/"+id, map[string]any{"plannedEffort": edits, "endDate": fmt.Sprintf("2026-11-%02dT23:00:00.000Z", 1+edits%28)})
			webhooks++
			fire(id, "TaskEndDateChanged")
		case n < 75:
			m.call(http.MethodPut, "/tasks/"+id+"/package", map[string]any{"packageId": pick(random, packages)})
			webhooks++
		case n < 95:
			m.call(http.MethodPost, "/tasks/"+id+"/comments", map[string]any{"text": "Wie besprochen."})
			webhooks++
		default:
			m.call(http.MethodPut, "/projects/"+pick(random, projects), map[string]any{"title": fmt.Sprint("edit ", edits)})
			webhooks++
		}
		<-time.After(time.Duration(random.IntN(400)) * time.Millisecond) // about five edits a second, by all people
	}
	m.inStep()
	total, by := since(before, m.quiet())
	t.Logf("%d edits with %d webhooks led to %d requests, %.2f for each edit and %.2f for each webhook: %s",
		edits, webhooks, total, float64(total)/float64(edits), float64(total)/float64(webhooks), by)
}

// scripted is a factro whose tasks are different each time they are read.
type scripted struct {
	projects, tasks int
	reads, requests atomic.Int64
}

func (s *scripted) task(n int) string {
	return fmt.Sprintf(`{"id":"t-%d","title":"edit %d","description":"Für die Messung","projectId":"p-%d","parentPackageId":null,"taskState":"planned",`+
		`"urgency":"normal","isMilestone":false,"plannedEffort":8,"realizedEffort":2,"remainingEffort":6,"startDate":"2026-10-01T22:00:00.000Z",`+
		`"endDate":"2026-10-02T22:00:00.000Z","officerId":"u-1","executorId":"u-2","companyId":null,"companyContactId":null,"customFields":{},"mandantId":"m-1",`+
		`"changeDate":"%d","creationDate":"2026-09-01T22:00:00.000Z","creatorId":"u-1","number":%d}`, n, s.reads.Add(1), n%s.projects, s.reads.Load(), n)
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	path := strings.TrimPrefix(r.URL.Path, "/api/core")
	number := func(prefix string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(path, prefix)) // the paths are those of the bridge
		return n
	}
	var all []string
	w.Header().Set("Content-Type", "application/json")
	switch {
	case path == "/projects":
		for n := range s.projects {
			all = append(all, fmt.Sprintf(`{"id":"p-%d","title":"Projekt"}`, n))
		}
	case strings.HasPrefix(path, "/projects/") && !strings.HasSuffix(path, "/packages"):
		fmt.Fprintf(w, `{"id":"p-%d","title":"Projekt"}`, number("/projects/p-"))
		return
	case strings.HasPrefix(path, "/tasks/by-project/"):
		for n := number("/tasks/by-project/p-"); n < s.tasks; n += s.projects {
			all = append(all, s.task(n))
		}
	case strings.HasPrefix(path, "/tasks/"):
		_, _ = io.WriteString(w, s.task(number("/tasks/t-"))) // the client may be gone
		return
	}
	fmt.Fprintf(w, "[%s]", strings.Join(all, ","))
}

// cpu is the processor time that the process has taken.
func (b *bridge) cpu() time.Duration {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	if err != nil {
		b.t.Skip("this system does not tell what a process takes")
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, f := range fields[11:13] { // user and system
		n, err := strconv.Atoi(f)
		if err != nil {
			b.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a hundred ticks a second
}

// TestMirrorCPU: what a change costs, of tasks that are read one by one and of those that are read by their lists.
func TestMirrorCPU(t *testing.T) { //nolint:paralleltest // others would take the processors
	if !*pace {
		t.Skip("it measures time; run it with -pace")
	}
	const tasks, changes = 2000, 20_000
	for _, projects := range []int{500, 20} { //nolint:paralleltest // as above
		t.Run(fmt.Sprint(tasks/projects, " tasks in each project"), func(t *testing.T) {
			s := &scripted{projects: projects, tasks: tasks}
			web := httptest.NewServer(s)
			defer web.Close()
			n := natstest.Start(t)
			b := newBridge(t, bridgeConfig{
				nats: n.URL(), clouds: map[string]string{"acme": web.URL + "/api/core"}, rpm: 100_000, roles: "mirror", more: "mirror: {settle: 1ms}",
				env: []string{"FACTRO_BRIDGE_LOG_LEVEL=info"},
			}).start()
			large(t, "the first copy is complete", func() bool { return b.times(hasRead) > 0 })
			_, js := n.Connect(t)
			before, requests, began, event := b.cpu(), s.requests.Load(), time.Now(), 0
			for done := changesOf(t, js) + tasks; event < changes; done += tasks {
				for task := range tasks {
					event++
					msg := nats.NewMsg(fmt.Sprintf("factro.event.acme.task.t-%d.TaskTitleChanged", task))
					msg.Header = nats.Header{"ce-specversion": {"1.0"}, "ce-id": {fmt.Sprint("e-", event)}, "ce-type": {"com.factro.event.TaskTitleChanged"}, "ce-source": {"urn:factro:acme"}}
					if _, err := js.PublishMsgAsync(msg); err != nil {
						t.Fatal(err)
					}
				}
				large(t, "all are read", func() bool { return changesOf(t, js) >= done })
			}
			took, cpu := time.Since(began), b.cpu()-before
			got := int(changesOf(t, js))
			t.Logf("%d changes of %d events in %s: %.2f ms of processor time for each change, %.2f requests to factro",
				got, event, took.Round(time.Millisecond), cpu.Seconds()*1000/float64(got), float64(s.requests.Load()-requests)/float64(got))
		})
	}
}
