package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// background is a command that runs while a test goes on.
type background struct {
	t        testing.TB
	out, err *syncBuffer
	exited   chan int
}

// syncBuffer is written by a process and read by a test.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func inBackground(t testing.TB, args ...string) *background {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	b := &background{t: t, out: &syncBuffer{}, err: &syncBuffer{}, exited: make(chan int, 1)}
	cmd.Stdout, cmd.Stderr = b.out, b.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		b.exited <- cmd.ProcessState.ExitCode()
	}()
	return b
}

// says waits until the command has said something on standard error.
func (b *background) says(text string) {
	b.t.Helper()
	waitFor(b.t, "it says "+text, func() bool { return strings.Contains(b.err.String(), text) })
}

func (b *background) end() int {
	b.t.Helper()
	select {
	case code := <-b.exited:
		return code
	case <-time.After(patience):
		b.t.Fatalf("it does not end\n%s%s", b.out, b.err)
		return 0
	}
}

// laterKey is a key that factro accepts instead of the one that the bridge has.
const laterKey = "later-api-key-0d91"

// noTask is the id of a task that there is not.
const noTask = "00000000-0000-4000-8000-00000000dead"

// A sender that waits for a result gets the status of the command, on change only, and separate from the result.
func TestSendTellsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	at := []string{"--wait", "--nats", n.URL(), "--cloud", "acme", "--timeout", "60s"}
	deleteTask := append([]string{"send", "deleteTask", "taskId=" + noTask}, at...)

	if _, errOut, code := bridgeCommand(t, deleteTask...); code != 0 || errOut != "" {
		t.Errorf("a command that need not wait: exit code %d: %s", code, errOut)
	}
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultError, Status: 503}}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		send(t, js, "acme", "deleteTask", fmt.Sprint("before-", i), `{"taskId":"`+noTask+`"}`)
	}
	waiting := inBackground(t, append(deleteTask, "--json")...)
	waiting.says("waiting: 3 commands before it; the one at the front is tried again, since ")
	waiting.says("; factro unreachable since ")
	if text := waiting.err.String(); !strings.Contains(text, "(it answers 503)") || strings.Contains(text, f.url) {
		t.Errorf("it says\n%s", text)
	}
	client := events.NewClient(js, "acme")
	s, err := client.Status(t.Context(), "FACTRO_COMMANDS_ACME:1")
	if err != nil || s.Command != status.CommandSettled || s.Before != nil || s.Waiting == nil || *s.Waiting != 4 || s.Factro.State != status.Unreachable ||
		s.Factro.Reason != status.ReasonErrorStatus || s.Factro.Status != 503 || s.Factro.Since == nil {
		t.Errorf("the status of a settled command: %+v, %v", s, err)
	}
	query := []string{"query", "getUserQuota", "--nats", n.URL(), "--cloud", "acme", "--json"}
	out, errOut, code := bridgeCommand(t, query...)
	var refused struct {
		Status int
		Error  events.Error
	}
	if err := json.Unmarshal([]byte(out), &refused); err != nil || code != 3 || refused.Status != 503 || refused.Error.Code != events.CodeUnavailable ||
		!strings.Contains(errOut, "\n  factro unreachable since ") {
		t.Errorf("a query: exit code %d: %s%s", code, out, errOut)
	}
	out, _, code = bridgeCommand(t, append(deleteTask, "--json", "--timeout", "1s", "--id", "late")...)
	onlyJSON(t, out)
	if code != 5 || !strings.Contains(out, `"id":"late"`) || !strings.Contains(out, `"code":"pending"`) {
		t.Errorf("a result that did not come: exit code %d: %s", code, out)
	}
	if err := f.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	if code := waiting.end(); code != 0 {
		t.Errorf("exit code %d: %s", code, waiting.err)
	}
	onlyJSON(t, waiting.out.String())
	lines := strings.Split(strings.TrimSpace(waiting.err.String()), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "bridge: waiting: ") || i > 0 && line == lines[i-1] {
			t.Errorf("it says %q after %q", line, lines[max(i-1, 0)])
		}
	}

	if out, _, code := bridgeCommand(t, "send", "setTaskState", "taskId:=7", "--json", "--nats", n.URL(), "--cloud", "acme"); code != 2 ||
		!strings.Contains(out, `{"error":{"code":"invalid"`) || !strings.Contains(out, `"pointer":"/taskId"`) {
		t.Errorf("an invalid command: exit code %d: %s", code, out)
	} else {
		onlyJSON(t, out)
	}

	f.SetKey(laterKey)
	waiting = inBackground(t, deleteTask...)
	waiting.says("factro refuses the API key since ")
	writeFile(t, b.keyFile, laterKey)
	if code := waiting.end(); code != 0 {
		t.Errorf("exit code %d: %s", code, waiting.err)
	}
}

// onlyJSON checks that a text is nothing but JSON, one value a line.
func onlyJSON(t testing.TB, text string) {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		t.Error("nothing was printed")
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// A program with a separate account gets the status, too, with the permissions of the example; and at once if there is no
// bridge.
func TestSenderGetsTheStatus(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	f := startFactro(t, sim.Config{})
	g.prepare(f)
	args := []string{
		"send", "deleteTask", "taskId=" + noTask, "--wait", "--timeout", "60s", "--nats", g.url, "--cloud", "acme", "--nkey", g.seeds["sender"],
		"--js-api-prefix", "JS.factro.API", "--inbox-prefix", "_INBOX.billing",
	}
	alone := inBackground(t, args...)
	alone.says("nobody says what the command waits for: no bridge with the role egress runs for the cloud acme")
	b := g.bridge(f, "egress", "egress, query", "false").start()
	if code := alone.end(); code != 0 {
		t.Errorf("exit code %d: %s%s", code, alone.out, alone.err)
	}
	f.SetKey(laterKey)
	waiting := inBackground(t, args...)
	waiting.says("factro refuses the API key since ")
	if text := waiting.err.String(); strings.Contains(text, "nobody") {
		t.Errorf("it says\n%s", text)
	}
	writeFile(t, b.keyFile, laterKey)
	if code := waiting.end(); code != 0 {
		t.Errorf("exit code %d: %s%s", code, waiting.out, waiting.err)
	}
}

// Of several bridges the one that processes the command answers.
func TestStatusOfSeveralBridges(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	for range 3 {
		newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	}
	_, js := n.Connect(t)
	client := events.NewClient(js, "acme")
	if s, err := client.Status(t.Context(), ""); err != nil || s.InFlight != nil || s.Command != "" || s.Waiting == nil || *s.Waiting != 0 || s.Factro.State != status.Reachable {
		t.Errorf("idle: %+v, %v", s, err)
	}
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultLatency, Delay: 4 * time.Second, Operation: "deleteTask"}}); err != nil {
		t.Fatal(err)
	}
	first, err := client.Send(t.Context(), payload.DeleteTask{TaskID: noTask})
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.Send(t.Context(), payload.DeleteTask{TaskID: noTask})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is being processed", func() bool {
		s, err := client.Status(t.Context(), first.Position)
		return err == nil && s.Command == status.CommandInFlight
	})
	for range 10 {
		s, err := client.Status(t.Context(), second.Position)
		if err != nil || s.Command != status.CommandQueued || s.Before == nil || *s.Before != 1 || s.InFlight == nil || s.InFlight.State != status.Calling || s.InFlight.Since == nil {
			text, _ := json.Marshal(s)
			t.Fatalf("got %s, %v", text, err)
		}
	}
	if err := f.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
}

// An id that was used before for other data is an error, which tells the earlier result; with the same data it is no error,
// also if it is a file in the object store.
func TestSendReusedID(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	run := func(args ...string) (string, string, int) {
		return bridgeCommand(t, append(append([]string{"send"}, args...), "--nats", n.URL(), "--cloud", "acme")...)
	}
	create := func(title string, more ...string) (string, string, int) {
		return run(append([]string{"createTask", "title=" + title, "targetParentId=" + f.demo.Package, "--id", "once"}, more...)...)
	}
	if out, errOut, code := create("eins", "--wait"); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	waitFor(t, "the command is settled", func() bool { // else it is compared itself, and has no result to tell
		s, err := js.Stream(t.Context(), "FACTRO_COMMANDS_ACME")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	const want = "bridge: id once was used before, for other data; the earlier result was: createTask applied (200)"
	for _, how := range [][]string{{"--wait"}, nil} {
		out, errOut, code := create("zwei", how...)
		if code != 3 || out != "" || !strings.HasPrefix(errOut, want) || !strings.Contains(errOut, "task     ") {
			t.Errorf("%v: exit code %d: %s%s", how, code, out, errOut)
		}
		out, errOut, code = create("zwei", append(how, "--json")...)
		var report struct {
			ID      string
			Error   events.Error
			Earlier events.Result
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != 3 || report.ID != "once" || report.Error.Code != events.CodeConflict ||
			report.Earlier.Outcome != events.Applied || !strings.HasPrefix(errOut, want) {
			t.Errorf("%v --json: exit code %d: %s%s: %v", how, code, out, errOut, err)
		}
		if out, errOut, code := create("eins", how...); code != 0 || errOut != "" {
			t.Errorf("%v: the same again: exit code %d: %s%s", how, code, out, errOut)
		}
	}
	if f.Count("task", nil) != 1 {
		t.Errorf("factro has %d tasks", f.Count("task", nil))
	}

	// Where the stream has forgotten the id, the bridge knows it.
	forgetIDs(t, js)
	if out, errOut, code := create("eins", "--wait"); code != 0 || !strings.Contains(out, "createTask applied") {
		t.Errorf("the same again: exit code %d: %s%s", code, out, errOut)
	}
	forgetIDs(t, js)
	if out, errOut, code := create("zwei", "--wait"); code != 3 || !strings.HasPrefix(errOut, want) || !strings.Contains(out, "conflict") {
		t.Errorf("other data, later: exit code %d: %s%s", code, out, errOut)
	}
	if f.Count("task", nil) != 1 {
		t.Errorf("factro has %d tasks", f.Count("task", nil))
	}

	plan := filepath.Join(t.TempDir(), "Plan.pdf")
	for _, content := range []string{strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20)} {
		writeFile(t, plan, content)
		for again := range 2 {
			out, errOut, code := run("createProjectDocument", "projectId="+f.demo.Project, "file=@"+plan, "--id", "file-"+content[:1], "--wait")
			if code != 0 || errOut != "" {
				t.Errorf("an upload, %d: exit code %d: %s%s", again, code, out, errOut)
			}
		}
	}
	if _, errOut, code := run("createProjectDocument", "projectId="+f.demo.Project, "file=@"+plan, "--id", "file-x", "--wait"); code != 3 || !strings.Contains(errOut, "for other data") {
		t.Errorf("another file: exit code %d: %s", code, errOut)
	}
	if docs := f.Objects("document"); len(docs) != 2 {
		t.Errorf("factro has %d documents", len(docs))
	}
}

// forgetIDs has the stream of commands forget the message ids that it knows, as its window does.
func forgetIDs(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	stream, err := js.Stream(t.Context(), prefix.CommandStream("acme"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	window := cfg.Duplicates
	set := func(to time.Duration) {
		cfg.Duplicates = to
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	// Ids that came before the canary's are forgotten before it.
	last := nats.NewInbox()
	canary := func() bool {
		ack, err := js.Publish(t.Context(), prefix.Command("acme", events.ResourceBridge, events.OperationCanary), nil, jetstream.WithMsgID(last))
		return err == nil && !ack.Duplicate
	}
	if !canary() {
		t.Fatal("the canary was not sent")
	}
	set(100 * time.Millisecond)
	waitFor(t, "the ids are forgotten", canary)
	set(window)
}

// A dry run prints the call that would be made, and no key.
func TestSendDryRun(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	plan := filepath.Join(t.TempDir(), "Plan.pdf")
	writeFile(t, plan, "ein Plan")
	for name, tt := range map[string]struct {
		args []string
		text []string
	}{
		"a body": {[]string{"createTask", "title=Prüfung", "targetParentId=p 1"}, []string{
			"createTask would be applied (dry run)\n", "\n  call     POST /tasks\n", "\n  body     {\"creationDate\":\"2", `"targetParentId":"p 1","title":"Prüfung"}`,
		}},
		"none":   {[]string{"deleteTask", "taskId=" + noTask}, []string{"\n  call     DELETE /tasks/" + noTask + "\n"}},
		"a file": {[]string{"createProjectDocument", "projectId=" + noTask, "file=@" + plan}, []string{"\n  call     POST /projects/" + noTask + "/documents\n", "\n  file     Plan.pdf, application/pdf, 8 bytes\n"}},
	} {
		args := append(append([]string{"send"}, tt.args...), "--dry-run", "--wait", "--nats", n.URL(), "--cloud", "acme")
		out, errOut, code := bridgeCommand(t, args...)
		for _, want := range tt.text {
			if code != 0 || errOut != "" || !strings.Contains(out, want) || strings.Contains(out, apiKey) {
				t.Errorf("%s: exit code %d, want %q: %s%s", name, code, want, out, errOut)
			}
		}
		if out, _, code := bridgeCommand(t, append(args, "--wait=false")...); code != 0 || !strings.Contains(out, " as a dry run\n") {
			t.Errorf("%s, without waiting: exit code %d: %s", name, code, out)
		}
		out, _, code = bridgeCommand(t, append(args, "--json")...)
		onlyJSON(t, out)
		var line struct {
			Event struct {
				Data struct{ Response events.PlannedCall }
			}
		}
		if err := json.Unmarshal([]byte(out), &line); err != nil || code != 0 || line.Event.Data.Response.Method == "" || line.Event.Data.Response.Path == "" {
			t.Errorf("%s: exit code %d, %v: %s", name, code, err, out)
		}
	}
	if f.Count("task", nil) != 0 {
		t.Errorf("factro has %d tasks", f.Count("task", nil))
	}
}

// A redrive that waits reports what the commands wait for, and so does a failed canary.
func TestRedriveAndCanaryTellWhatTheyWaitFor(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	nc, js := n.Connect(t)
	client := events.NewClient(js, "acme")
	if _, err := client.Do(t.Context(), payload.SetTaskState{TaskID: noTask, State: payload.TaskStateReview}); !errors.As(err, new(*events.Error)) {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	f.SetKey(laterKey)
	again := inBackground(t, "dead", "redrive", "acme/1", "--wait", "--timeout", "60s", "--nats", n.URL())
	again.says("factro refuses the API key since ")
	out, _, code := bridgeCommand(t, "canary", "--config", b.configFile, "--cloud", "acme", "--webhook-url", b.http+"/webhooks/acme", "--timeout", "3s", "--no-query", "--json")
	if code != 5 || !strings.Contains(out, "waiting: 1 command before it; ") || !strings.Contains(out, "factro refuses the API key since ") {
		t.Errorf("exit code %d: %s", code, out)
	}
	writeFile(t, b.keyFile, laterKey)
	if code := again.end(); code != 3 {
		t.Errorf("exit code %d: %s%s", code, again.out, again.err)
	}
}
