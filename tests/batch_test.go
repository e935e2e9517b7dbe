package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// batchRig is a bridge that may carry out several commands by one call.
type batchRig struct {
	*bridge
	t       testing.TB
	n       *natstest.Server
	f       *factro
	js      jetstream.JetStream
	results *watch
	sent    int
}

func newBatchRig(t testing.TB, most int, v sim.Variants, binary string) *batchRig {
	t.Helper()
	return newBatchRigWith(t, most, sim.Config{Variants: v}, binary)
}

func newBatchRigWith(t testing.TB, most int, cfg sim.Config, binary string) *batchRig {
	t.Helper()
	n := natstest.Start(t)
	f := startFactro(t, cfg)
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: []string{fmt.Sprintf("FACTRO_BRIDGE_CLOUDS_0_BATCH_MAX=%d", most)}})
	b.binary = binary
	b.start()
	_, js := n.Connect(t)
	return &batchRig{bridge: b, t: t, n: n, f: f, js: js, results: watchStream(t, js, prefix.ResultStream("acme"))}
}

// backlog has the bridge know all commands before it may carry out the first one.
func (r *batchRig) backlog(send func()) {
	r.t.Helper()
	steer(r.t, r.n, "pause", "commands")
	r.obeys("commands", true)
	send()
	waitFor(r.t, "the bridge knows all commands", func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), patience)
		defer cancel()
		c, err := r.js.Consumer(ctx, prefix.CommandStream("acme"), "egress-acme")
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == r.sent
	})
	steer(r.t, r.n, "resume", "commands")
}

func (r *batchRig) send(operation, id, data string) {
	r.t.Helper()
	send(r.t, r.js, "acme", operation, id, data)
	r.sent++
}

// booked sends work records, with a description each; the same one twice makes two that are equal.
func (r *batchRig) booked(descriptions ...string) {
	r.t.Helper()
	for i, d := range descriptions {
		r.send("createWorkRecord", fmt.Sprintf("r-%d", i), fmt.Sprintf(
			`{"startDate":"2026-11-02","minutesWorked":30,"utcOffset":60,"bookedOnReferenceId":%q,"bookedOnReferenceType":"project","description":%q}`, r.f.demo.Project, d))
	}
}

// made checks that each of them was made once, and that its result names it.
func (r *batchRig) made(descriptions []string, adopted bool) {
	r.t.Helper()
	ids := map[string]bool{}
	for i, d := range descriptions {
		got := r.results.finalOf(r.t, fmt.Sprintf("r-%d", i))
		if got.Outcome != events.Applied || got.Resource == nil || got.Resource.ID == "" || got.Adopted != adopted {
			r.t.Fatalf("%s: got %+v with %+v", d, got, got.Error)
		}
		ids[got.Resource.ID] = true
		if n := r.f.Count("workRecord", func(o map[string]any) bool { return o["id"] == got.Resource.ID && o["description"] == d }); n != 1 {
			r.t.Errorf("the result of %s names another object", d)
		}
		var shown struct{ ID, Description string }
		if err := json.Unmarshal(got.Response, &shown); err != nil || shown.ID != got.Resource.ID || shown.Description != d {
			r.t.Errorf("the response to %s is %s", d, got.Response)
		}
	}
	if n := r.f.Count("workRecord", nil); len(ids) != len(descriptions) || n != len(descriptions) {
		r.t.Errorf("%d results name different objects, factro has %d, want %d", len(ids), n, len(descriptions))
	}
	waitFor(r.t, "all are settled", func() bool { return queued(r.t, r.js) == 0 })
	if letters := read(r.t, r.js, prefix.DeadStream("acme"), "factro.dead.>"); len(letters) > 0 {
		r.t.Errorf("%d dead letters", len(letters))
	}
	if got := r.metric(`factro_bridge_unaccounted{flow="commands"}`); got != "0" {
		r.t.Errorf("unaccounted are %s", got)
	}
}

var records = []string{"a", "b", "gleich", "c", "gleich", "d", "e", "gleich", "f", "g", "h", "i"}

// TestBatch: commands that wait go as one request, and each result has its own object, in whatever order factro answers.
func TestBatch(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"sent", "reversed", "shuffled"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			r := newBatchRig(t, 20, sim.Variants{AtomicOrder: order}, "")
			r.backlog(func() { r.booked(records...) })
			r.made(records, false)
			if one, all := count(r.f, "createWorkRecord"), count(r.f, "createWorkRecords"); one != 0 || all != 1 {
				t.Errorf("factro got %d single requests and %d for several, want one for all", one, all)
			}
			series := `factro_bridge_batch_size_sum{factro_cloud="acme",factro_operation="createWorkRecords",outcome="applied"`
			if _, body := r.get("/metrics"); !strings.Contains(body, series) || !strings.Contains(body, fmt.Sprint("} ", len(records), "\n")) {
				t.Errorf("the metrics lack %s", series)
			}
		})
	}
}

// TestBatchRefused: if factro refuses several together, each is carried out alone: the one that is wrong is refused, the others are
// done once. How factro says no to all of them makes no difference.
func TestBatchRefused(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]sim.Variants{
		"as the element": {}, "400": {AtomicStatus: 400}, "409": {AtomicStatus: 409}, "413": {AtomicStatus: 413}, "too many": {AtomicMost: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newBatchRig(t, 20, v, "")
			r.backlog(func() {
				r.booked(records...)
				r.send("createWorkRecord", "wrong", fmt.Sprintf(
					`{"startDate":"2026-11-02","minutesWorked":30,"utcOffset":60,"bookedOnReferenceId":%q,"bookedOnReferenceType":"project"}`, noTask))
			})
			if got := r.results.finalOf(t, "wrong"); got.Outcome != events.Rejected || got.Error.Code != events.CodeRefused || got.Status != 404 {
				t.Errorf("the wrong one: %+v with %+v", got, got.Error)
			}
			for i := range records {
				r.results.finalOf(t, fmt.Sprintf("r-%d", i))
			}
			letters := deadLetters(t, r.js, "factro.dead.>", 1)
			if len(letters) != 1 {
				t.Errorf("%d dead letters, want that of the wrong one", len(letters))
			}
			if n := r.f.Count("workRecord", nil); n != len(records) {
				t.Errorf("factro has %d, want %d", n, len(records))
			}
			if one, all := count(r.f, "createWorkRecord"), count(r.f, "createWorkRecords"); one != len(records)+1 || all != 1 {
				t.Errorf("factro got %d single requests and %d for several, want %d and one", one, all, len(records)+1)
			}
		})
	}
}

// TestBatchLost: factro has carried out several commands, and its answer is lost, or does not say which object is whose. Each command
// finds its own object, also among equal ones, and nothing is made twice.
func TestBatchLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sim.FaultKind{
		"cut": sim.FaultCutAfter, "page of a gateway": sim.FaultHTMLAfter, "empty": sim.FaultEmptyAfter, "half": sim.FaultCutJSON, "ids alone": "", "one is missing": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := sim.Variants{}
			switch name {
			case "ids alone":
				v.AtomicAnswer = "ids"
			case "one is missing":
				v.AtomicAnswer = "short"
			}
			r := newBatchRig(t, 20, v, "")
			if fault != "" {
				if err := r.f.SetFaults(sim.Faults{{Kind: fault, Operation: "createWorkRecords", Count: 1}}); err != nil {
					t.Fatal(err)
				}
			}
			r.backlog(func() { r.booked(records...) })
			r.made(records, true)
			if one, all := count(r.f, "createWorkRecord"), count(r.f, "createWorkRecords"); one != 0 || all != 1 {
				t.Errorf("factro got %d single requests and %d for several, want one for all", one, all)
			}
		})
	}
}

// TestBatchCrash: the process dies before or after the call for several commands. Each is carried out once.
func TestBatchCrash(t *testing.T) {
	t.Parallel()
	crashing := filepath.Join(t.TempDir(), "bridge")
	args := slices.DeleteFunc([]string{"build", raceFlag, "-tags", "chaos", "-o", crashing, "../cmd/bridge"}, func(s string) bool { return s == "" })
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build the bridge: %v\n%s", err, out)
	}
	for point, made := range map[string]int{"before-call": 0, "after-call": len(records)} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			r := newBatchRig(t, 20, sim.Variants{}, crashing)
			r.bridge.kill()
			<-r.exited
			with := r.env
			r.env = append(slices.Clone(with), "FACTRO_BRIDGE_CRASH="+point)
			r.bridge.start()
			r.backlog(func() { r.booked(records...) })
			<-r.exited
			if n := r.f.Count("workRecord", nil); n != made {
				t.Fatalf("factro has %d when the bridge dies, want %d", n, made)
			}
			r.env = with
			r.bridge.start()
			r.made(records, made > 0)
		})
	}
}

// TestBatchedChanges: changes of one object are carried out in their order, so no request has two of them. What shares a path goes
// together only with its like.
func TestBatchedChanges(t *testing.T) {
	t.Parallel()
	r := newBatchRig(t, 20, sim.Variants{AtomicOrder: "shuffled"}, "")
	const objects, rounds = 6, 4
	var ids []string
	for i := range objects {
		id := fmt.Sprintf("p-%d", i)
		r.send("createProject", id, fmt.Sprintf(`{"title":%q}`, id))
		ids = append(ids, r.results.finalOf(t, id).Resource.ID)
	}
	waitFor(t, "all are settled", func() bool { return queued(t, r.js) == 0 })
	r.sent = 0
	before := len(r.f.Requests())
	r.backlog(func() {
		for round := range rounds {
			for i, id := range ids {
				r.send("updateProject", fmt.Sprintf("u-%d-%d", i, round), fmt.Sprintf(`{"projectId":%q,"title":"t%d"}`, id, round))
			}
		}
		for i, id := range ids {
			r.send("createPackage", fmt.Sprintf("k-%d", i), fmt.Sprintf(`{"projectId":%q,"title":"k%d"}`, id, i/2))
			r.send("createPackage", fmt.Sprintf("l-%d", i), fmt.Sprintf(`{"projectId":%q,"title":"l%d"}`, id, i))
		}
	})
	for i, id := range ids {
		for round := range rounds {
			if got := r.results.finalOf(t, fmt.Sprintf("u-%d-%d", i, round)); got.Outcome != events.Applied || got.Resource.ID != id || !strings.Contains(string(got.Response), fmt.Sprintf(`"title":"t%d"`, round)) {
				t.Errorf("change %d of %d: %+v with %+v", round, i, got, got.Error)
			}
		}
		for _, kind := range []string{"k", "l"} {
			got := r.results.finalOf(t, kind+"-"+strconv.Itoa(i))
			if n := r.f.Count("package", func(o map[string]any) bool { return o["id"] == got.Resource.ID && o["projectId"] == id }); got.Outcome != events.Applied || n != 1 {
				t.Errorf("package %s of %d: %+v with %+v", kind, i, got, got.Error)
			}
		}
		if n := r.f.Count("project", func(o map[string]any) bool { return o["id"] == id && o["title"] == fmt.Sprintf("t%d", rounds-1) }); n != 1 {
			t.Errorf("the last change of %d is not the last one", i)
		}
	}
	if all := count(r.f, "updateProjects"); all == 0 || all > 2*rounds {
		t.Errorf("%d requests for several changes, want up to %d", all, 2*rounds)
	}
	if all := count(r.f, "createPackages"); all != objects {
		t.Errorf("%d requests for several packages, want one for each project", all)
	}
	if n := len(r.f.Requests()) - before; n >= r.sent {
		t.Errorf("%d requests for %d commands", n, r.sent)
	}
}

// TestNoBatch: without the setting each command has its own request. With it, lists that factro carries out in part are never used, nor
// for commands with external keys.
func TestNoBatch(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]int{0: len(records), 20: 0} {
		t.Run(strconv.Itoa(most), func(t *testing.T) {
			t.Parallel()
			r := newBatchRig(t, most, sim.Variants{}, "")
			const each = 5
			r.backlog(func() {
				r.booked(records...)
				for i := range each {
					r.send("createTask", fmt.Sprintf("t-%d", i), newTask(r.f, fmt.Sprint(i)))
					r.send("createCompany", fmt.Sprintf("c-%d", i), fmt.Sprintf(`{"name":"c%d"}`, i))
				}
			})
			r.made(records, false)
			for i := range each {
				for _, kind := range []string{"t", "c"} {
					if got := r.results.finalOf(t, fmt.Sprintf("%s-%d", kind, i)); got.Outcome != events.Applied {
						t.Errorf("%+v with %+v", got, got.Error)
					}
				}
			}
			if got := count(r.f, "createWorkRecord"); got != want {
				t.Errorf("%d single requests for work records, want %d", got, want)
			}
			for _, operation := range []string{"createTasks", "createCompanies"} {
				if got := count(r.f, operation); got > 0 {
					t.Errorf("%d requests %s", got, operation)
				}
			}
			if tasks, companies := count(r.f, "createTask"), count(r.f, "createCompany"); tasks != each || companies != each {
				t.Errorf("%d requests for tasks, %d for companies, want %d of each", tasks, companies, each)
			}
		})
	}
}

// TestBatchPace prints how many commands a minute are carried out at factro's budget, with and without batches. A window of six seconds
// with 50 requests stands for a minute with 500. docs/performance.md has the figures. It measures time, so it runs only with -pace.
func TestBatchPace(t *testing.T) {
	t.Parallel()
	if !*pace {
		t.Skip("it measures time: -pace does it")
	}
	const quota, window = 50, 6 * time.Second
	perMinute := map[int]float64{}
	for most, commands := range map[int]int{0: 200, 20: 3000} {
		r := newBatchRigWith(t, most, sim.Config{Quota: quota, Window: window}, "")
		if err := r.f.SetFaults(sim.Faults{{Kind: sim.FaultLatency, Delay: 50 * time.Millisecond}}); err != nil {
			t.Fatal(err)
		}
		all := make([]string, commands)
		for i := range all {
			all[i] = fmt.Sprintf("%d of %d", i, commands)
		}
		r.backlog(func() { r.booked(all...) })
		began := time.Now()
		waitFor(t, "all are done", func() bool { return queued(t, r.js) == 0 })
		took := time.Since(began)
		refused := 0
		for _, w := range r.f.Windows() {
			refused += w.Refused
		}
		one, several := count(r.f, "createWorkRecord"), count(r.f, "createWorkRecords")
		perMinute[most] = float64(commands) / took.Minutes()
		t.Logf("batch.max %d: %d commands in %.1f s, %.0f a minute; %d single requests, %d for several, %d refused", most, commands, took.Seconds(), perMinute[most], one, several, refused)
		if n := r.f.Count("workRecord", nil); n != commands || refused > 0 {
			t.Errorf("factro has %d, want %d; %d requests are refused", n, commands, refused)
		}
	}
	if perMinute[20] < 5*perMinute[0] {
		t.Errorf("%.0f commands a minute with batches, %.0f without", perMinute[20], perMinute[0])
	}
}
