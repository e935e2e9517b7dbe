package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// postbox is a bridge with dead letters, and the command line that looks at them.
type postbox struct {
	t      testing.TB
	n      *natstest.Server
	f      *factro
	b      *bridge
	js     jetstream.JetStream
	nc     *nats.Conn
	result *watch
}

func newPostbox(t testing.TB) *postbox {
	t.Helper()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	nc, js := n.Connect(t)
	return &postbox{t, n, f, b, js, nc, watchStream(t, js, prefix.ResultStream("acme"))}
}

// dead runs "bridge dead".
func (p *postbox) dead(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	return bridgeCommand(p.t, append(append([]string{"dead"}, args...), "--nats", p.n.URL())...)
}

// letter is what "bridge dead list --json" says.
type letter struct {
	Seq    uint64
	Kind   string
	Code   string
	ID     string
	Status int
}

func (p *postbox) list(args ...string) []letter {
	p.t.Helper()
	out, errOut, code := p.dead(append([]string{"list", "--json"}, args...)...)
	if code != 0 {
		p.t.Fatalf("list %v: exit code %d: %s", args, code, errOut)
	}
	var all []letter
	for line := range strings.Lines(out) {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Fatalf("list %v prints %s", args, line)
		}
		all = append(all, l)
	}
	return all
}

// buried waits until the dead letter of a command is there.
func (p *postbox) buried(id string) letter {
	p.t.Helper()
	var found letter
	waitFor(p.t, "a dead letter of "+id, func() bool {
		for _, l := range p.list("--id", id) {
			found = l
		}
		return found.Seq != 0
	})
	return found
}

// A command whose letter its stream refuses is not in the list, and is in that of what is parked, until the stream takes it.
func TestParkedIsListed(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	limit := func(most int32) {
		t.Helper()
		s, err := p.js.Stream(t.Context(), prefix.DeadStream("acme"))
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.MaxMsgSize = most
		if _, err := p.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	limit(100)
	send(t, p.js, "acme", "createTask", "falsch-1", `{"titel":"Prüfung"}`)
	var out string
	waitFor(t, "the command is parked", func() bool {
		var errOut string
		var code int
		if out, errOut, code = p.dead("parked"); code != 0 {
			t.Fatalf("parked: exit code %d: %s", code, errOut)
		}
		return strings.Contains(out, "falsch-1")
	})
	for _, want := range []string{"CLOUD ", "acme ", "createTask", "invalid", "falsch-1", "the data is invalid"} {
		if !strings.Contains(out, want) {
			t.Errorf("parked lacks %q: %s", want, out)
		}
	}
	out, _, _ = p.dead("parked", "--json", "--cloud", "acme")
	var j struct {
		Cloud, Object, ID, Code, Operation, Position string
		Subjects                                     []string
	}
	if err := json.Unmarshal([]byte(out), &j); err != nil || j.Cloud != "acme" || j.ID != "falsch-1" || j.Code != "invalid" ||
		!strings.HasPrefix(j.Object, "pending/") || !strings.HasPrefix(j.Position, "FACTRO_COMMANDS_ACME:") ||
		!slices.Equal(j.Subjects, []string{"factro.dead.command.acme.task.createTask"}) {
		t.Errorf("parked --json prints %s (%v)", out, err)
	}
	if all := p.list(); len(all) != 0 {
		t.Errorf("it is a dead letter already: %+v", all)
	}
	limit(-1)
	p.buried("falsch-1")
	waitFor(t, "nothing is parked", func() bool { out, _, _ := p.dead("parked"); return out == "no command is parked\n" })
}

// The list has a header, or says that there is nothing, and a dead letter is found by the id of its command.
func TestDeadLetterIsFound(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	for line, want := range map[string]string{
		"list": "there are no dead letters\n", "list --code refused": "no dead letter matches\n", "list --json": "", "drop --code refused --yes": "no dead letter matches\n",
	} {
		if out, errOut, code := p.dead(strings.Fields(line)...); out != want || code != 0 {
			t.Errorf("%s: exit code %d: %s%s", line, code, out, errOut)
		}
	}
	const nobody = `no bridge serves a cloud "acmee" with the prefix factro here: there is only acme`
	for _, line := range []string{"list --cloud acmee", "parked --cloud acmee", "show acmee/1", "show falsch-1 --cloud acmee"} {
		if out, errOut, code := p.dead(strings.Fields(line)...); code != 1 || !strings.Contains(errOut, nobody) {
			t.Errorf("%s: exit code %d: %s%s", line, code, out, errOut)
		}
	}
	send(t, p.js, "acme", "createTask", "falsch-1", `{"titel":"Prüfung"}`)
	p.buried("falsch-1")
	out, _, _ := p.dead("list")
	if lines := strings.Split(out, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "NAME ") ||
		strings.Index(lines[0], "REASON") != strings.Index(lines[1], "the data is invalid") || strings.Index(lines[0], "ID") != strings.Index(lines[1], "falsch-1") {
		t.Errorf("list prints\n%s", out)
	}
	if _, errOut, code := p.dead("list", "--code", "refusd"); code != 2 || !strings.Contains(errOut, "ambiguous, conflict, ") {
		t.Errorf("an unknown code: exit code %d: %s", code, errOut)
	}
	if out, errOut, code := p.dead("show", "falsch-1"); code != 0 || !strings.Contains(out, "dead letter acme/1\n") {
		t.Errorf("show by id: exit code %d: %s%s", code, out, errOut)
	}
	if _, errOut, code := p.dead("show", "falsch-2"); code != 1 || !strings.Contains(errOut, "no command of acme with this id") {
		t.Errorf("show by an id that is not there: exit code %d: %s", code, errOut)
	}
	if _, errOut, code := p.dead("redrive", "falsch-1", "--wait", "--keep"); code != 3 {
		t.Errorf("redrive by id: exit code %d: %s", code, errOut)
	}
	waitFor(t, "the second letter", func() bool { return len(p.list("--id", "falsch-1")) == 2 })
	if _, errOut, code := p.dead("drop", "falsch-1", "--yes"); code != 2 || !strings.Contains(errOut, "acme/1, acme/2") {
		t.Errorf("drop by the id of two: exit code %d: %s", code, errOut)
	}
	if out, errOut, code := p.dead("drop", "acme/1", "--dry-run"); code != 0 || !strings.HasPrefix(out, "NAME ") || !strings.HasSuffix(out, "1 would be deleted\n") {
		t.Errorf("drop --dry-run: exit code %d: %s%s", code, out, errOut)
	}
	if out, _, _ := p.dead("drop", "acme/1", "--yes"); out != "1 deleted\n" {
		t.Errorf("drop prints %s", out)
	}
	if out, errOut, code := p.dead("drop", "falsch-1", "--yes"); code != 0 || len(p.list()) != 0 {
		t.Errorf("drop by id: exit code %d: %s%s", code, out, errOut)
	}
}

// A command that factro refused is corrected and sent again as a new one; its dead letter is gone, and others are not.
func TestDeadLetterIsCorrected(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	send(t, p.js, "acme", "createTask", "fehlt-1", `{"title":"Prüfung","targetParentId":"00000000-0000-4000-8000-00000000dead"}`)
	send(t, p.js, "acme", "createTask", "falsch-1", `{"titel":"Prüfung"}`)
	refused, invalid := p.buried("fehlt-1"), p.buried("falsch-1")
	if refused.Code != "refused" || refused.Status < 400 || refused.Kind != "command" || invalid.Code != "invalid" {
		t.Fatalf("the letters are %+v and %+v", refused, invalid)
	}
	seq := strconv.FormatUint(refused.Seq, 10)

	out, _, _ := p.dead("list", "--cloud", "acme", "--operation", "createTask", "--code", "refused")
	if strings.Count(out, "\n") != 2 || !strings.Contains(out, "fehlt-1") || !strings.Contains(out, "createTask") {
		t.Errorf("list prints %q", out)
	}
	out, errOut, code := p.dead("show", seq)
	if code != 0 {
		t.Fatalf("show: exit code %d: %s", code, errOut)
	}
	for _, want := range []string{
		"factro.command.acme.task.createTask", "refused", "id        fehlt-1", `"title": "Prüfung"`, "what to check", "attempts",
		strconv.Itoa(refused.Status), "trace",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("show lacks %q:\n%s", want, out)
		}
	}

	if out, _, code := p.dead("redrive", seq, "--dry-run"); code != 0 || !strings.Contains(out, "would be sent again") || len(p.list()) != 2 {
		t.Errorf("a dry run: exit code %d: %s", code, out)
	}
	if _, errOut, code := p.dead("redrive", seq, "--set", "titel=x"); code != 2 || !strings.Contains(errOut, "no such field") {
		t.Errorf("a misspelt field: exit code %d: %s", code, errOut)
	}
	out, errOut, code = p.dead("redrive", seq, "--set", "targetParentId="+p.f.demo.Package, "--wait")
	if code != 0 || !strings.Contains(out, "as a new command") || !strings.Contains(out, "createTask applied") || strings.Contains(out, "id     fehlt-1\n") {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	if tasks := p.f.Objects("task"); len(tasks) != 1 || tasks[0]["title"] != "Prüfung" {
		t.Errorf("factro has the tasks %v", tasks)
	}
	if left := p.list(); len(left) != 1 || left[0].ID != "falsch-1" {
		t.Errorf("left are %+v", left)
	}

	// Unchanged it dies again, and that is a dead letter of its own.
	out, _, code = p.dead("redrive", strconv.FormatUint(invalid.Seq, 10), "--wait")
	if code != 3 || !strings.Contains(out, "rejected") {
		t.Errorf("an invalid one: exit code %d: %s", code, out)
	}
	again := p.buried("falsch-1")
	if again.Seq <= invalid.Seq {
		t.Errorf("the new letter is %d, the old one was %d", again.Seq, invalid.Seq)
	}
	seq = strconv.FormatUint(again.Seq, 10)
	if _, errOut, code := p.dead("drop", seq); code != 2 || !strings.Contains(errOut, "--yes") {
		t.Errorf("drop without a terminal: exit code %d: %s", code, errOut)
	}
	if out, _, code := p.dead("drop", "--code", "invalid", "--dry-run"); code != 0 || !strings.Contains(out, "1 would be deleted") {
		t.Errorf("drop --dry-run: exit code %d: %s", code, out)
	}
	if out, _, code := p.dead("drop", "--code", "invalid", "--yes"); code != 0 || !strings.Contains(out, "1 deleted") || len(p.list()) != 0 {
		t.Errorf("drop: exit code %d: %s", code, out)
	}
	if _, errOut, code := p.dead("show", seq); code != 1 || !strings.Contains(errOut, "no such dead letter") {
		t.Errorf("show of a letter that is gone: exit code %d: %s", code, errOut)
	}
}

// A create whose outcome is unknown is left out by filters, and sent again by its name it keeps its id
// and is done once.
func TestDeadLetterIsRedriven(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	if err := p.f.SetFaults(sim.Faults{{Kind: sim.FaultCutBefore, Count: 1}}); err != nil {
		t.Fatal(err)
	}
	// A plain command: its id is its message id, which the dead letter has to remember.
	send(t, p.js, "acme", "createTasks", "ungewiss-1", `{"items":[{"title":"Prüfung","targetParentId":"`+p.f.demo.Package+`"}]}`)
	l := p.buried("ungewiss-1")
	if l.Code != "ambiguous" {
		t.Fatalf("the letter is %+v", l)
	}
	if out, _, code := p.dead("redrive", "--since", "1h"); code != 1 || !strings.Contains(out, "left: it is ambiguous") {
		t.Errorf("by filter: exit code %d: %s", code, out)
	}
	out, errOut, code := p.dead("redrive", strconv.FormatUint(l.Seq, 10), "--wait")
	if code != 0 || !strings.Contains(out, "id     ungewiss-1\n") || !strings.Contains(out, "createTasks applied") {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	if left := p.list(); len(left) != 0 {
		t.Errorf("left are %+v", left)
	}
	p.result.find(t, "the second result", func(m message) bool { return strings.HasSuffix(m.subject, ".applied") })
}

// A webhook that was not a valid event is corrected and becomes one; one that is still invalid stays.
func TestDeadWebhookIsRedriven(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	for _, body := range []string{`{"aktion":"TaskCreated","context":{"entityId":"t-1"}}`, `keine Daten`} {
		if status := p.b.webhook(http.DefaultClient, "acme", body); status != http.StatusBadRequest {
			t.Fatalf("%s is answered with %d", body, status)
		}
	}
	if all := p.list("--kind", "webhook"); len(all) != 2 || all[0].Code != "unusable" {
		t.Fatalf("the letters are %+v", all)
	}
	if out, _, code := p.dead("redrive", "--kind", "webhook"); code != 1 || strings.Count(out, "it still cannot become an event") != 2 {
		t.Errorf("as they are: exit code %d: %s", code, out)
	}
	out, errOut, code := p.dead("redrive", "--kind", "webhook", "--set", "action=TaskCreated")
	if code != 1 || !strings.Contains(out, "published on factro.event.acme.task.t-1.TaskCreated") || !strings.Contains(errOut, "1 of 2") {
		t.Errorf("mended: exit code %d: %s%s", code, out, errOut)
	}
	got := read(t, p.js, prefix.EventStream("acme"), "factro.event.acme.task.t-1.TaskCreated")
	if len(got) != 1 || got[0].event.Source() != "urn:factro:cloud:acme" || fmt.Sprint(got[0].event.Extensions()["factroaction"]) != "TaskCreated" {
		t.Errorf("the events are %+v", got)
	}
	if left := p.list(); len(left) != 1 {
		t.Errorf("left are %+v", left)
	}
}

// A webhook whose charset nobody declares is kept with the headers of its request, and becomes an event once somebody says
// what it is. The event is JSON, in whatever form the webhook came.
func TestDeadWebhookInAnotherCharset(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	body := func(text string) (out string) {
		for _, r := range text {
			out += string([]byte{byte(r)})
		}
		return out
	}
	const text = `{"action":"TaskCreated","context":{"entityId":"t-1","title":"Prüfung"}}`
	if status := p.b.webhook(http.DefaultClient, "acme", body(text)); status != http.StatusBadRequest {
		t.Fatalf("the webhook is answered with %d", status)
	}
	shown, _, code := p.dead("show", "acme/1", "--json")
	if code != 0 || !strings.Contains(shown, `"Content-Type":["application/json"]`) || strings.Contains(shown, webhookSecret) {
		t.Errorf("exit code %d, shown is %s", code, shown)
	}
	if out, _, code := p.dead("redrive", "acme/1"); code != 1 || !strings.Contains(out, "--charset") {
		t.Errorf("as it is: exit code %d: %s", code, out)
	}
	if out, errOut, code := p.dead("redrive", "acme/1", "--charset", "iso-8859-1"); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	got := read(t, p.js, prefix.EventStream("acme"), "factro.event.acme.task.t-1.TaskCreated")
	if len(got) != 1 || string(got[0].event.Data()) != text {
		t.Errorf("the events are %+v", got)
	}
	if out, _, _ := p.dead("list", "--json"); out != "" && strings.Contains(out, "webhook") {
		t.Errorf("left are %s", out)
	}
}
