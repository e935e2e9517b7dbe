package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// While factro fails, the breaker opens, commands stay in the stream, and nobody's command is the probe. When factro is
// well again, everything is carried out, once.
func TestBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	results := watchStream(t, js, prefix.ResultStream("acme"))

	send(t, js, "acme", "createTask", "a-task", newTask(f, "before"))
	task := results.finalOf(t, "a-task").Resource.ID
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultError, Status: 503}}); err != nil {
		t.Fatal(err)
	}
	const commands = 12
	for i := range commands {
		send(t, js, "acme", "updateTask", fmt.Sprintf("update-%d", i), fmt.Sprintf(`{"taskId":%q,"title":"t%d"}`, task, i))
	}
	deferred := results.find(t, "the sender hears of the wait", func(m message) bool {
		return m.subject == "factro.result.acme.task.updateTask.deferred" && m.result(t).Error.Code == events.CodeUnavailable // not queued, before
	}).result(t)
	if deferred.RetryAt == nil || !deferred.RetryAt.After(deferred.StartedAt) {
		t.Errorf("the deferred result is %+v", deferred)
	}
	if got := b.metric(`factro_bridge_breaker_state{factro_cloud="acme"}`); got != "2" {
		t.Errorf("the breaker's metric is %s, want 2 (open)", got)
	}
	waitFor(t, "a probe", func() bool { return count(f, "getUserQuota") > 0 })
	if updates := count(f, "updateTask"); updates > 6 {
		t.Errorf("%d commands met the failing factro, want at most 6", updates)
	}
	if left := queued(t, js); left != commands {
		t.Errorf("%d commands are in the stream, want all %d", left, commands)
	}
	if err := f.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	for i := range commands {
		if r := results.finalOf(t, fmt.Sprintf("update-%d", i)); r.Outcome != events.Applied {
			t.Errorf("command %d is %s: %+v", i, r.Outcome, r.Error)
		}
	}
	if title := f.Objects("task")[0]["title"]; title != fmt.Sprintf("t%d", commands-1) {
		t.Errorf("the task's title is %v: the commands were not carried out in their order", title)
	}
	if got := b.metric(`factro_bridge_breaker_state{factro_cloud="acme"}`); got != "0" {
		t.Errorf("the breaker's metric is %s, want 0 (closed)", got)
	}
	if letters := read(t, js, prefix.DeadStream("acme"), "factro.dead.>"); len(letters) != 0 {
		t.Errorf("the outage made %d dead letters", len(letters))
	}
}

// metric returns the value of a series on /metrics.
func (b *bridge) metric(series string) string {
	b.t.Helper()
	_, body := b.get("/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, series); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "absent"
}

// count counts the requests of an operation that factro got.
func count(f *factro, operation string) int {
	n := 0
	for _, r := range f.Requests() {
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// A used-up budget closes the gate for as long as factro says.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	for name, retryAfter := range map[string]string{"Retry-After": "3", "reset of the budget": "none"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := natstest.Start(t)
			f := startFactro(t, sim.Config{Quota: 1_000_000, Window: 5 * time.Second})
			newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
			_, js := n.Connect(t)
			results := watchStream(t, js, prefix.ResultStream("acme"))
			if err := f.SetFaults(sim.Faults{{Kind: sim.FaultRateLimit, Count: 1, RetryAfter: retryAfter}}); err != nil {
				t.Fatal(err)
			}
			send(t, js, "acme", "createTask", "limited", newTask(f, "limited"))
			r := results.finalOf(t, "limited")
			if r.Outcome != events.Applied || r.Attempts != 1 {
				t.Errorf("got %+v, want applied at the first attempt that counts", r)
			}
			var calls []sim.Request
			for _, c := range f.Requests() {
				if c.Operation == "createTask" {
					calls = append(calls, c)
				}
			}
			if len(calls) != 2 || calls[0].Status != 429 || calls[1].Status != 200 {
				t.Fatalf("factro got %+v, want a 429 and a 200", calls)
			}
			waited := calls[1].Time.Sub(calls[0].Time)
			if retryAfter == "3" && (waited < 2900*time.Millisecond || waited > 30*time.Second) {
				t.Errorf("the bridge waited %s, want 3s", waited)
			}
			if waited < 900*time.Millisecond {
				t.Errorf("the bridge waited %s, want the reset of the budget", waited)
			}
			if tasksWithTitle(f, "limited") != 1 {
				t.Errorf("there are %d tasks", tasksWithTitle(f, "limited"))
			}
			if retryAfter == "3" {
				results.find(t, "the sender hears of the wait", func(m message) bool {
					return strings.HasPrefix(m.event.ID(), "limited.deferred.") && m.result(t).Error.Code == events.CodeThrottled
				})
			}
		})
	}
}

// An expired key pauses the cloud; a new key in the file resumes it, without a restart.
func TestKeyExpires(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	b.register(f, "acme")
	_, js := n.Connect(t)
	results := watchStream(t, js, prefix.ResultStream("acme"))
	const newKey = "new-api-key-0d91"
	b.secrets = append(b.secrets, newKey)
	f.SetKey(newKey)

	const commands = 5
	for i := range commands {
		send(t, js, "acme", "createTask", fmt.Sprintf("key-%d", i), newTask(f, fmt.Sprintf("key %d", i)))
	}
	results.find(t, "the sender hears of the wait", func(m message) bool {
		return strings.HasPrefix(m.event.ID(), "key-0.deferred.") && m.result(t).Error.Code == events.CodeUnauthorized
	})
	status, body := b.get("/readyz")
	if status != 200 || !strings.Contains(body, "paused") {
		t.Errorf("readiness is %d %s, want ready and the cloud paused", status, body)
	}
	if got := b.metric(`factro_bridge_cloud_paused{factro_cloud="acme"}`); got != "1" {
		t.Errorf("the metric of the pause is %s", got)
	}
	if got := queued(t, js); got != commands {
		t.Errorf("%d commands are queued, want %d", got, commands)
	}
	// Several are carried out at once, so that several calls may be on their way when the first one is refused.
	if got := count(f, "createTask"); got < 1 || got > commands {
		t.Errorf("the expired key was used for %d calls, want 1 to %d", got, commands)
	}
	// Webhooks do not need the key.
	f.Fire("TaskStateChanged", f.demo.Project)
	watchStream(t, js, prefix.EventStream("acme")).find(t, "an event while the key is bad", func(m message) bool {
		return strings.HasSuffix(m.subject, ".TaskStateChanged")
	})

	writeFile(t, b.keyFile, newKey)
	for i := range commands {
		if r := results.finalOf(t, fmt.Sprintf("key-%d", i)); r.Outcome != events.Applied {
			t.Errorf("command %d is %s: %+v", i, r.Outcome, r.Error)
		}
		if got := tasksWithTitle(f, fmt.Sprintf("key %d", i)); got != 1 {
			t.Errorf("command %d made %d tasks", i, got)
		}
	}
	if got := b.metric(`factro_bridge_cloud_paused{factro_cloud="acme"}`); got != "0" {
		t.Errorf("the metric of the pause is %s afterwards", got)
	}
}

// Whatever happens to a create on its way, there is one task: what factro has made is found, what it has not is made again.
func TestAmbiguousCreates(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	results := watchStream(t, js, prefix.ResultStream("acme"))
	for _, kind := range []sim.FaultKind{sim.FaultCutAfter, sim.FaultHTMLAfter, sim.FaultCutBefore, sim.FaultHTML} {
		id := string(kind)
		if err := f.SetFaults(sim.Faults{{Kind: kind, Operation: "createTask", Count: 1}}); err != nil {
			t.Fatal(err)
		}
		send(t, js, "acme", "createTask", id, newTask(f, id))
		made := kind == sim.FaultCutAfter || kind == sim.FaultHTMLAfter
		attempts := 2
		if made {
			attempts = 1
		}
		r := results.finalOf(t, id)
		if r.Outcome != events.Applied || r.Adopted != made || r.Attempts != attempts || r.Resource.ID == "" {
			t.Errorf("%s: got %+v with %+v, want it applied at attempt %d", kind, r, r.Error, attempts)
		}
		if got := tasksWithTitle(f, id); got != 1 {
			t.Errorf("%s: factro has %d tasks, want one", kind, got)
		}
	}
	// Where factro offers no way to look, a human has to.
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultCutAfter, Operation: "createTasks", Count: 1}}); err != nil {
		t.Fatal(err)
	}
	send(t, js, "acme", "createTasks", "several", `{"items":[`+newTask(f, "several")+`]}`)
	if r := results.finalOf(t, "several"); r.Outcome != events.Dead || r.Error.Code != events.CodeAmbiguous || !strings.Contains(r.Error.Message, "Look which of the tasks") {
		t.Errorf("got %+v with %+v, want dead and ambiguous", r, r.Error)
	}
	letters := deadLetters(t, js, "factro.dead.command.acme.task.*", 1)
	if len(letters) != 1 {
		t.Fatalf("there are %d dead letters, want 1", len(letters))
	}
	if log, err := events.DecodeHeader(letters[0].header.Get("Factro-Dead-Log")); err != nil || !strings.Contains(log, `"error":"no answer`) || !strings.Contains(log, `"trace":"`) {
		t.Errorf("the log is %s: %v", log, err)
	}
}
