package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/internal/timeline"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// tracing is a bridge with a mirror, and the command line that looks at what happened to something.
type tracing struct {
	t  *testing.T
	n  *natstest.Server
	f  *factro
	b  *bridge
	js jetstream.JetStream
}

func startTracing(t *testing.T, settings string) *tracing {
	t.Helper()
	n, f := natstest.Start(t), startFactro(t, sim.Config{Examples: true})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, roles: "ingress, egress, query, mirror", more: settings}).start()
	b.register(f, "acme")
	_, js := n.Connect(t)
	waitFor(t, "the first snapshot is complete", func() bool { return strings.Contains(b.log.String(), "the mirror has read all lists") })
	return &tracing{t, n, f, b, js}
}

// traced is what bridge trace --json prints.
type traced struct {
	timeline.Timeline
	Cut    bool
	Millis *int64 `json:"ms"`
}

// steps are the steps of a timeline, in their order.
func (x *traced) steps() string {
	var all []string
	for _, e := range x.Entries {
		all = append(all, e.Step)
	}
	return strings.Join(all, " ")
}

// only are the entries of a step.
func (x *traced) only(step string) []timeline.Entry {
	return slices.DeleteFunc(slices.Clone(x.Entries), func(e timeline.Entry) bool { return e.Step != step })
}

// trace runs bridge trace.
func (x *tracing) trace(code int, args ...string) *traced {
	x.t.Helper()
	out, errOut, got := bridgeCommand(x.t, append([]string{"trace", "--json", "--nats", x.n.URL()}, args...)...)
	var doc traced
	if err := json.Unmarshal([]byte(out), &doc); err != nil || got != code {
		x.t.Fatalf("trace %v: exit code %d, want %d: %s%s", args, got, code, out, errOut)
	}
	if doc.Millis == nil {
		x.t.Errorf("trace %v does not say how long it took", args)
	}
	return &doc
}

// finds runs bridge trace until it has a step.
func (x *tracing) finds(step string, args ...string) *traced {
	x.t.Helper()
	var doc *traced
	waitFor(x.t, fmt.Sprintf("trace %v has the step %s", args, step), func() bool {
		out, _, _ := bridgeCommand(x.t, append([]string{"trace", "--json", "--nats", x.n.URL()}, args...)...)
		doc = &traced{}
		return json.Unmarshal([]byte(out), doc) == nil && len(doc.only(step)) > 0
	})
	return doc
}

// TestTrace: the same chain is found from each of its ids: an event leads to a command in its trace, which has to wait, fails once and is
// carried out, and whose webhook and change come back.
func TestTrace(t *testing.T) {
	t.Parallel()
	x := startTracing(t, "mirror: {settle: 100ms}")
	if err := x.f.SetFaults(sim.Faults{
		{Kind: sim.FaultLatency, Operation: "createTask", Delay: 50 * time.Millisecond},
		{Kind: sim.FaultRateLimit, Operation: "createTask", Count: 1, RetryAfter: "3"},
		{Kind: sim.FaultError, Operation: "createTask", Count: 1},
	}); err != nil {
		t.Fatal(err)
	}
	cause := x.f.Objects("task")[0]["id"].(string)
	if status := x.b.webhook(http.DefaultClient, "acme", fmt.Sprintf(`{"id":"cause-1","action":"TaskStateChanged","context":{"entityId":%q}}`, cause)); status != http.StatusAccepted {
		t.Fatalf("status %d", status)
	}
	seen := read(t, x.js, prefix.EventStream("acme"), "factro.event.acme.task."+cause+".*")
	task := payload.CreateTask{Title: "Prüfung", TargetParentID: x.f.demo.Package}
	msg := nats.NewMsg(subjectOf(t, "acme", "createTask"))
	msg.Data, _ = json.Marshal(task) //nolint:errchkjson // text
	for name, value := range map[string]string{
		"ce-specversion": "1.0", "ce-id": "order-4711", "ce-source": "urn:example:billing", "ce-type": "com.factro.command.createTask",
		"ce-externalkey": "JIRA-17", "traceparent": seen[0].header.Get("traceparent"),
	} {
		msg.Header[name] = []string{value}
	}
	publish(t, x.js, msg)
	const source = "urn:example:billing"

	doc := x.finds(timeline.Changed, "order-4711", "--source", source)
	if !slices.Equal(doc.Kinds, []string{timeline.KindCommand}) || doc.Cut || len(doc.Errors()) > 0 {
		t.Errorf("the command: %v", doc.Timeline)
	}
	waits, attempts, results := doc.only(timeline.Waits), doc.only(timeline.Attempted), doc.only(timeline.Resulted)
	if len(waits) == 0 || waits[0].Code != events.CodeThrottled || waits[0].Until == nil {
		t.Errorf("it waits by %+v", waits)
	}
	var statuses []int
	for _, a := range attempts {
		if statuses = append(statuses, a.Status); a.Millis < 50 || a.Trace == "" || a.Command != "order-4711" {
			t.Errorf("the attempt %+v", a)
		}
	}
	if !slices.Equal(statuses, []int{429, 500, 200}) {
		t.Errorf("the attempts have the statuses %v", statuses)
	}
	if len(results) != 1 || results[0].Outcome != string(events.Applied) || results[0].Attempts != 2 || results[0].Millis == 0 || results[0].Stream != prefix.ResultStream("acme") {
		t.Fatalf("the results are %+v", results)
	}
	made := results[0].Entity
	changed := doc.only(timeline.Changed)
	if len(changed) != 1 || changed[0].Command != "order-4711" || changed[0].Entity != made || len(changed[0].Events) == 0 {
		t.Errorf("the changes are %+v", changed)
	}
	stored := doc.only(timeline.Stored)
	if len(stored) < 2 || stored[0].Event != "cause-1" || stored[len(stored)-1].Entity != made || len(doc.only(timeline.Received)) != len(stored) {
		t.Errorf("the events are %+v", stored)
	}
	if len(doc.only(timeline.Begun)) != 1 {
		t.Errorf("it began %+v", doc.only(timeline.Begun))
	}
	all := doc.steps()
	for what, args := range map[string][]string{
		"without its source": {"order-4711"}, "the event that led to it": {"cause-1"}, "its trace": {results[0].Trace}, "with a kind": {"order-4711", "--kind", "command"},
	} {
		if got := x.trace(0, args...); got.steps() != all {
			t.Errorf("%s: the steps are\n%s\nwant\n%s", what, got.steps(), all)
		}
	}
	// The event that came of it has another trace, so from there the chain goes back to the command by the change.
	if got := x.trace(0, stored[len(stored)-1].Event); len(got.only(timeline.Attempted)) != 3 || !slices.Equal(got.Kinds, []string{timeline.KindEvent}) {
		t.Errorf("the event of the object: %v %s", got.Kinds, got.steps())
	}
	for kind, id := range map[string]string{timeline.KindEntity: made, timeline.KindKey: "JIRA-17"} {
		got := x.trace(0, id)
		if !slices.Contains(got.Kinds, kind) || len(got.only(timeline.Attempted)) != 3 || len(got.only(timeline.Waits)) != len(waits) ||
			len(got.only(timeline.Changed)) != 1 || len(got.only(timeline.Reserved)) != 1 {
			t.Errorf("%s: %v %s", kind, got.Kinds, got.steps())
		}
	}
	x.text(doc, made)
}

// text checks what people see.
func (x *tracing) text(doc *traced, made string) {
	x.t.Helper()
	out, errOut, code := bridgeCommand(x.t, "trace", "order-4711", "--nats", x.n.URL())
	for _, want := range []string{
		"waits", "factro answered 429 after ", "factro answered 200 after ", "createTask applied", "command order-4711", "source urn:example:billing", "is a command\n",
		"FACTRO_RESULTS_ACME:", fmt.Sprintf("%d steps in ", len(doc.Entries)), "task " + made, "read ", "+",
	} {
		if !strings.Contains(out, want) {
			x.t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	if code != 0 || errOut != "" || strings.Count(out, "\n") > len(doc.Entries)+20 {
		x.t.Errorf("exit code %d, %s\n%s", code, errOut, out)
	}
	// Too many are cut, the oldest first, and this is said.
	cut := x.trace(0, "order-4711", "--limit", "2")
	if !cut.Cut || len(cut.Entries) != 2 || cut.Left != len(doc.Entries)-2 || cut.Entries[1].Text != doc.Entries[len(doc.Entries)-1].Text {
		x.t.Errorf("cut: %+v", cut.Timeline)
	}
}

// TestTraceNothing: where nothing is found it says where it looked, and how far back; of less than all, how much less.
func TestTraceNothing(t *testing.T) {
	t.Parallel()
	n, f := natstest.Start(t), startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	x := &tracing{t: t, n: n}
	for i := range 1100 {
		if status := b.webhook(http.DefaultClient, "acme", fmt.Sprintf(`{"id":"e-%d","action":"TaskCreated","context":{"entityId":"t-%d"}}`, i, i%10)); status != http.StatusAccepted {
			t.Fatalf("status %d", status)
		}
	}
	out, _, code := bridgeCommand(t, "trace", "nowhere", "--nats", n.URL())
	if code != 3 || !strings.Contains(out, "nothing is there of nowhere") || !strings.Contains(out, "FACTRO_EVENTS_ACME: all of it, back to ") ||
		!strings.Contains(out, "FACTRO_CHANGES_ACME: there is no such stream") || !strings.Contains(out, "give --source") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	doc := x.trace(3, "nowhere", "--most", "500")
	i := slices.IndexFunc(doc.Looked, func(l timeline.Look) bool { return l.Stream == prefix.EventStream("acme") && l.Subject == "" })
	if i < 0 || !doc.Looked[i].Cut || doc.Looked[i].Messages != 500 || doc.Looked[i].Since == nil || !doc.Cut || doc.Looked[i].Whole {
		t.Errorf("looked at %+v", doc.Looked)
	}
	if doc := x.trace(0, "e-1099", "--most", "500"); len(doc.Entries) != 2 || doc.Cut {
		t.Errorf("the newest event: %+v", doc.Timeline)
	}
	if doc := x.trace(3, "e-17", "--most", "500"); !doc.Cut {
		t.Errorf("an old event: %+v", doc.Timeline)
	}
	if doc := x.trace(0, "t-3", "--limit", "0"); len(doc.only(timeline.Stored)) != 110 || !slices.Equal(doc.Kinds, []string{timeline.KindEntity}) {
		t.Errorf("an object: %v, %d steps", doc.Kinds, len(doc.Entries))
	}
	for _, args := range [][]string{{"x", "--kind", "nonsense"}, {"x", "--since", "gestern"}, {"x", "--limit", "-1"}, {"x", "--most", "0"}, {" "}, {}} {
		if _, errOut, code := bridgeCommand(t, append([]string{"trace", "--nats", n.URL()}, args...)...); code != 2 {
			t.Errorf("%v: exit code %d: %s", args, code, errOut)
		}
	}
}

// TestTraceDead: a dead letter, and the command that is sent once more.
func TestTraceDead(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	x := &tracing{t: t, n: p.n}
	if err := p.f.SetFaults(sim.Faults{{Kind: sim.FaultCutAfter, Operation: "createTasks", Count: 1}}); err != nil {
		t.Fatal(err)
	}
	send(t, p.js, "acme", "createTasks", "several", `{"items":[`+newTask(p.f, "several")+`]}`)
	l := p.buried("several")
	name := fmt.Sprintf("acme/%d", l.Seq)
	doc := x.trace(0, "several")
	dead, attempts, sent := doc.only(timeline.Dead), doc.only(timeline.Attempted), doc.only(timeline.Sent)
	if len(dead) != 1 || dead[0].Letter != name || dead[0].Code != events.CodeAmbiguous || len(attempts) != 1 || len(sent) != 1 || sent[0].Clock != timeline.OfBroker ||
		!strings.HasPrefix(doc.steps(), "sent begun attempt ") {
		t.Errorf("the steps are %s: %+v", doc.steps(), doc.Entries)
	}
	out, _, _ := bridgeCommand(t, "trace", "several", "--nats", p.n.URL())
	if !strings.Contains(out, "bridge dead show "+name) {
		t.Errorf("the text lacks what to do:\n%s", out)
	}
	steer(t, p.n, "pause", "commands")
	p.b.obeys("commands", true)
	if _, errOut, code := p.dead("redrive", name); code != 0 {
		t.Fatalf("redrive: %s", errOut)
	}
	again := x.finds(timeline.Redriven, "several").only(timeline.Redriven)
	if len(again) != 1 || again[0].Letter != name {
		t.Errorf("sent once more: %+v", again)
	}
	steer(t, p.n, "resume", "commands")
	var results []timeline.Entry
	waitFor(t, "it is carried out", func() bool {
		results = x.trace(0, "several").only(timeline.Resulted)
		return len(results) == 2
	})
	if results[0].Outcome != string(events.Dead) || results[1].Outcome != string(events.Applied) || results[1].Letter != name || results[0].Letter != "" {
		t.Errorf("the results are %+v", results)
	}
	// A webhook that could not become an event.
	p.b.webhook(http.DefaultClient, "acme", `{"action":"TaskCreated","context":{"entityId":"broken-task-1"`)
	if doc := x.finds(timeline.Dead, "broken-task-1"); !strings.Contains(doc.Entries[0].Text, "a webhook became dead letter") {
		t.Errorf("the webhook: %+v", doc.Entries)
	}
}

// TestTraceSpooled: a webhook that waited on the disk.
func TestTraceSpooled(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	b := spoolBridge(t, n, 2000).start()
	n.Stop()
	if status := b.webhook(http.DefaultClient, "acme", `{"id":"late-1","action":"TaskCreated","context":{"entityId":"late"}}`); status != http.StatusAccepted {
		t.Fatalf("status %d", status)
	}
	n.Start()
	x := &tracing{t: t, n: n}
	doc := x.finds(timeline.Stored, "late-1")
	if doc.steps() != "received stored" || !strings.Contains(doc.Entries[0].Text, "kept on disk") || !strings.Contains(doc.Entries[1].Text, "out of the spool") ||
		!doc.Entries[1].Time.After(doc.Entries[0].Time) {
		t.Errorf("%s: %+v", doc.steps(), doc.Entries)
	}
}

// TestTraceFollow: it goes on with what comes.
func TestTraceFollow(t *testing.T) {
	t.Parallel()
	x := startTracing(t, "mirror: {settle: 100ms}")
	task := x.f.Objects("task")[0]["id"].(string)
	cmd := exec.CommandContext(t.Context(), binary, "trace", task, "--follow", "--json", "--nats", x.n.URL())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := events.NewClient(x.js, "acme")
	if _, err := client.Do(t.Context(), payload.UpdateTask{TaskID: task, Title: payload.Set("neu")}, events.WithID("follow-1")); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{timeline.Attempted: true, timeline.Resulted: true, timeline.Stored: true, timeline.Changed: true, timeline.Begun: true}
	lines := bufio.NewScanner(out)
	for len(want) > 0 && lines.Scan() {
		var e timeline.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		delete(want, e.Step)
	}
	if len(want) > 0 {
		t.Errorf("these steps did not come: %v", want)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // the rest
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// TestTraceDelayed: a command that waits for its time.
func TestTraceDelayed(t *testing.T) {
	t.Parallel()
	x := startTracing(t, "")
	client := events.NewClient(x.js, "acme")
	_, err := client.Send(t.Context(), payload.CreateTask{Title: "später", TargetParentID: x.f.demo.Package}, events.WithID("later-1"), events.WithNotBefore(time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	doc := x.finds(timeline.Delayed, "later-1")
	if e := doc.only(timeline.Delayed)[0]; e.Until == nil || e.Operation != "createTask" {
		t.Errorf("%+v", e)
	}
}
