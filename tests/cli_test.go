package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// bridgeCommand runs the binary to its end and returns what it printed and its exit code.
func bridgeCommand(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	sample := filepath.Join(t.TempDir(), "sample.yaml")
	text, _, _ := bridgeCommand(t, "config", "sample")
	writeFile(t, sample, text)
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	writeFile(t, bad, "htp: {}\n")

	dir := t.TempDir()
	key, windows, elsewhere := filepath.Join(dir, "key.txt"), filepath.Join(dir, "windows.yaml"), filepath.Join(dir, "elsewhere.yaml")
	const form = "clouds: [{name: acme, webhook: {header: %s, secrets: [{value: 0123456789abcdef}]}, api: {key: {file: %q}}}]"
	for file, text := range map[string]string{
		key: "\xff\xfeg\x00e\x00h\x00e\x00i\x00m\x00", windows: fmt.Sprintf(form, "X-Key", key), elsewhere: fmt.Sprintf(form, "X_Key", filepath.Join(dir, "nowhere")),
	} {
		writeFile(t, file, text)
	}
	for name, tt := range map[string]struct {
		args           []string
		code           int
		stdout, stderr []string
	}{
		"no command":               {args: nil, stdout: []string{"Usage:", "dev", "run", "sim", "send", "tail", "config", "contract", "version"}},
		"version":                  {args: []string{"version"}, stdout: []string{"bridge ", "go1."}},
		"--version":                {args: []string{"--version"}, stdout: []string{"bridge ", "go1."}},
		"unknown command":          {args: []string{"fly"}, code: 2, stderr: []string{"unknown command"}},
		"unknown flag":             {args: []string{"run", "--fly"}, code: 2, stderr: []string{"unknown flag", "bridge run --help"}},
		"sample checks":            {args: []string{"config", "check", sample}, stdout: []string{"configuration is valid: ", "cloud: acme", "NATS:  nats://", "spool: up to 1024 MiB"}},
		"bad configuration":        {args: []string{"config", "check", bad}, code: 2, stderr: []string{"line 1: htp: there is no such setting", "clouds: none is configured"}},
		"run with none":            {args: []string{"run"}, code: 2, stderr: []string{"no file is named", "bridge config sample"}},
		"run with bad file":        {args: []string{"run", "--config", bad}, code: 2, stderr: []string{"bad.yaml"}},
		"operations":               {args: []string{"contract", "operations"}, stdout: []string{"createTask", "command, once", "getUserQuota", "query"}},
		"one operation":            {args: []string{"contract", "operations", "setTaskState"}, stdout: []string{"taskId", "planned | inProcess", "factro.command.<cloud>.task.setTaskState"}},
		"unknown operation":        {args: []string{"contract", "operations", "x"}, code: 2, stderr: []string{`no operation "x"`}},
		"a query's subject":        {args: []string{"contract", "operations", "getTask"}, stdout: []string{"factro.query.<cloud>.task.getTask"}},
		"schemas":                  {args: []string{"contract", "schema"}, stdout: []string{"event ", "command.createTask ", "urn:factro:schema:answer.listTasks"}},
		"one schema":               {args: []string{"contract", "schema", "createTask"}, stdout: []string{`"$id": "urn:factro:schema:command.createTask"`, `"NewTask": {`}},
		"unknown schema":           {args: []string{"contract", "schema", "x"}, code: 2, stderr: []string{`no schema "x"`}},
		"asyncapi":                 {args: []string{"contract", "asyncapi", "--prefix", "acme"}, stdout: []string{"asyncapi: 3.1.0", "address: acme.command.{cloud}.task.createTask", "ACME_EVENTS"}},
		"asyncapi resource":        {args: []string{"contract", "asyncapi", "--resource", "task"}, stdout: []string{"asyncapi: 3.1.0", "address: factro.event.{cloud}.task.{id}.{action}", "address: factro.command.{cloud}.task.createTask"}},
		"unknown resource":         {args: []string{"contract", "asyncapi", "--resource", "tasks"}, code: 2, stderr: []string{`"tasks"`, "absence, ", "task, team"}},
		"resources":                {args: []string{"__complete", "contract", "asyncapi", "--resource", ""}, stdout: []string{"bridge\n", "task\n", "work-record\n", ":4\n"}},
		"asyncapi prefix":          {args: []string{"contract", "asyncapi", "--prefix", "a.b"}, code: 2, stderr: []string{`"a.b"`}},
		"send what":                {args: []string{"send"}, code: 2, stderr: []string{"which operation"}},
		"send a query":             {args: []string{"send", "getTask"}, code: 2, stderr: []string{"reads"}},
		"send no field":            {args: []string{"send", "createTask", "titel=x"}, code: 2, stderr: []string{`no field "titel"`, "targetParentId"}},
		"send no form":             {args: []string{"send", "createTask", "title"}, code: 2, stderr: []string{"field=value"}},
		"send no number":           {args: []string{"send", "createTask", "plannedEffort=viel"}, code: 2, stderr: []string{"plannedEffort", "number"}},
		"send invalid":             {args: []string{"send", "setTaskState", "taskId:=7", "state=fertig", "--nats", "nats://127.0.0.1:1"}, code: 2, stderr: []string{"was not sent", "\n  /taskId: got number", "\n  /state: "}},
		"send too little":          {args: []string{"send", "createTask", "title=x", "--nats", "nats://127.0.0.1:1", "--wait", "--json"}, code: 2, stderr: []string{`"targetParentId" is missing`}},
		"send what, as JSON":       {args: []string{"send", "--json"}, code: 2, stdout: []string{`{"error":{"code":"invalid","message":"which operation?`}, stderr: []string{"which operation?"}},
		"send form, as JSON":       {args: []string{"send", "createTask", "title", "--json", "--id", "a"}, code: 2, stdout: []string{`{"id":"a","error":{"code":"invalid",`, `"detail":[{"pointer":"","message":"\"title\" is not of the form field=value"}]}}`}, stderr: []string{"field=value"}},
		"query what as JSON":       {args: []string{"query", "getTusk", "--json"}, code: 2, stdout: []string{`{"error":{"code":"invalid","message":"there is no operation \"getTusk\"`}, stderr: []string{"getTask"}},
		"query without NATS":       {args: []string{"query", "getUserQuota", "--json", "--nats", "nats://127.0.0.1:1"}, code: 1, stdout: []string{`{"error":{"code":"failure","message":"connect to NATS at `}, stderr: []string{"connect to NATS"}},
		"tail events without NATS": {args: []string{"tail", "events", "--json", "--nats", "nats://127.0.0.1:1"}, code: 1, stdout: []string{`{"error":{"code":"failure","message":"`, "connect to NATS at "}, stderr: []string{"connect to NATS"}},
		"dead list without NATS":   {args: []string{"dead", "list", "--json", "--nats", "nats://127.0.0.1:1"}, code: 1, stdout: []string{`{"error":{"code":"failure","message":"`, "connect to NATS at "}, stderr: []string{"connect to NATS"}},
		"dead show without NATS":   {args: []string{"dead", "show", "acme/1", "--json", "--nats", "nats://127.0.0.1:1"}, code: 1, stdout: []string{`{"error":{"code":"failure","message":"`, "connect to NATS at "}, stderr: []string{"connect to NATS"}},
		"dead parked without NATS": {args: []string{"dead", "parked", "--json", "--nats", "nats://127.0.0.1:1"}, code: 1, stdout: []string{`{"error":{"code":"failure","message":"`, "connect to NATS at "}, stderr: []string{"connect to NATS"}},
		"canary, no config":        {args: []string{"canary", "--json"}, code: 2, stdout: []string{`{"error":{"code":"invalid","message":"there is no configuration`}, stderr: []string{"there is no configuration"}},
		"send no server":           {args: []string{"send", "createTask", "title=x", "targetParentId=y", "--nats", "nats://127.0.0.1:1"}, code: 1, stderr: []string{"connect to NATS"}},
		"send with comma":          {args: []string{"send", "createTask", "title=x", "targetParentId=y", "--nats", "nats://geheim:1,2@127.0.0.1:1"}, code: 1, stderr: []string{"[hidden]@127.0.0.1:1", "%2C"}},
		"tail with comma":          {args: []string{"tail", "events", "--nats", "nats://m:ge,heim@127.0.0.1:1"}, code: 1, stderr: []string{"[hidden]@127.0.0.1:1", "%2C"}},
		"key in UTF-16":            {args: []string{"config", "check", windows}, code: 2, stderr: []string{"clouds[0].api.key", "key.txt", "UTF-16"}},
		"run with UTF-16":          {args: []string{"run", "--config", windows}, code: 2, stderr: []string{"clouds[0].api.key", "key.txt", "UTF-16"}},
		"file not there":           {args: []string{"config", "check", elsewhere}, stdout: []string{"configuration is valid", "files: 1 of those"}, stderr: []string{"warning: line 1: clouds[0].api.key: ", "nowhere"}},
		"files left out":           {args: []string{"config", "check", "--offline", windows}, stdout: []string{"configuration is valid", "files: not read (--offline)"}},
		"dropped header":           {args: []string{"config", "check", elsewhere}, stdout: []string{"configuration is valid"}, stderr: []string{"X_Key", "proxies"}},
		"tail what":                {args: []string{"tail", "everything"}, code: 2, stderr: []string{"\"everything\" is none of events, results, dead"}},
		"sim mistakes":             {args: []string{"sim", "--fault", "flood", "--variant", "x=1", "--delivery", "y=1", "--webhook", "z"}, code: 2, stderr: []string{"flood", "latency", `"x"`, `"y"`, "ACTION,URL"}},
		"complete operation":       {args: []string{"__complete", "send", "createT"}, stdout: []string{"createTask\tCreate a task."}},
		"complete schema":          {args: []string{"__complete", "contract", "schema", ""}, stdout: []string{"result.createTask\n", "createTask\tCreate a task."}},
		"complete field":           {args: []string{"__complete", "send", "createTask", ""}, stdout: []string{"title=", "targetParentId="}},
		"complete value":           {args: []string{"__complete", "send", "setTaskState", "state="}, stdout: []string{"state=review", "state=closed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := bridgeCommand(t, tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, stderr)
			}
			if strings.Contains(stdout+stderr, "heim") {
				t.Errorf("it shows a secret:\n%s%s", stdout, stderr)
			}
			for _, want := range tt.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("stdout lacks %q:\n%s", want, stdout)
				}
			}
			for _, want := range tt.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr lacks %q:\n%s", want, stderr)
				}
			}
		})
	}
}

// Every command has help with an example.
func TestHelp(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`(?m)^  ([a-z]+) +\S`)
	var visit func(path []string)
	visit = func(path []string) {
		help, _, code := bridgeCommand(t, append(path, "--help")...)
		if code != 0 || !strings.Contains(help, "Usage:") {
			t.Errorf("%v --help: exit code %d\n%s", path, code, help)
		}
		if !strings.Contains(help, "Examples:") {
			t.Errorf("%v --help has no example", path)
		}
		_, list, _ := strings.Cut(help, "Available Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for _, m := range name.FindAllStringSubmatch(list, -1) {
			if m[1] != "completion" && m[1] != "help" { // the library's own
				visit(append(append([]string{}, path...), m[1]))
			}
		}
	}
	visit(nil)
}

// A sender at a terminal: send waits for the result, and its exit code tells which.
func TestSendAndTail(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	b.register(f, "acme")
	at := []string{"--nats", n.URL(), "--cloud", "acme"}
	send := func(args ...string) (string, string, int) {
		return bridgeCommand(t, append(append([]string{"send"}, args...), at...)...)
	}

	out, errOut, code := send("createTask", "title=Prüfung", "targetParentId="+f.demo.Package, "plannedEffort=2.5", "isMilestone=false", "executorId:=null", "--wait")
	if code != 0 || !strings.Contains(out, "createTask applied (200)") || !strings.Contains(out, "trace") {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	task := f.Objects("task")[0]
	if fmt.Sprint(task["title"], task["plannedEffort"], task["executorId"]) != "Prüfung2.5<nil>" {
		t.Errorf("factro has the task %v", task)
	}
	id := task["id"].(string)
	if out, _, code := send("setTaskState", "taskId="+id, "state=closed", "--wait", "--json"); code != 0 || !strings.Contains(out, `"outcome":"applied"`) {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, _, code := send("updateTask", "taskId="+id, "title=zu", "--wait"); code != 3 || !strings.Contains(out, "Task is closed") {
		t.Errorf("a refused command: exit code %d: %s", code, out)
	}
	if out, _, code := send("deleteTask", "taskId="+id, "--dry-run", "--wait"); code != 0 || f.Count("task", nil) != 1 {
		t.Errorf("a dry run: exit code %d: %s; %d tasks", code, out, f.Count("task", nil))
	}
	for _, again := range []bool{false, true} {
		var j struct {
			Subject, ID, Trace string
			Duplicate          bool
		}
		out, _, code := send("setTaskState", "taskId="+id, "state=closed", "--json", "--id", "twice")
		if err := json.Unmarshal([]byte(out), &j); err != nil || code != 0 || j.ID != "twice" || j.Duplicate != again || (j.Trace == "") != again ||
			j.Subject != "factro.command.acme.task.setTaskState" {
			t.Errorf("send --json: exit code %d: %s", code, out)
		}
	}
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultCutAfter, Count: 1}}); err != nil {
		t.Fatal(err)
	}
	if out, _, code := send("createTasks", `items:=[{"title":"ungewiss","targetParentId":"`+f.demo.Package+`"}]`, "--wait"); code != 4 || !strings.Contains(out, "ambiguous") {
		t.Errorf("an ambiguous create: exit code %d: %s", code, out)
	}
	plan := filepath.Join(t.TempDir(), "Plan März.txt")
	writeFile(t, plan, "ein Plan")
	if out, errOut, code := send("createProjectDocument", "projectId="+f.demo.Project, "file=@"+plan, "--wait"); code != 0 {
		t.Errorf("an upload: exit code %d: %s%s", code, out, errOut)
	} else if docs := f.Objects("document"); len(docs) != 1 || docs[0]["title"] != "Plan März.txt" || fmt.Sprint(docs[0]["size"]) != "8" {
		t.Errorf("factro has the documents %v", docs)
	}
	if out, _, code := send("createTask", "title=x", "targetParentId=y", "--id", "fixed"); code != 0 || !strings.Contains(out, "id     fixed") {
		t.Errorf("sent without waiting: exit code %d: %s", code, out)
	}
	if _, errOut, code := bridgeCommand(t, "send", "createTask", "title=x", "targetParentId=y", "--nats", n.URL(), "--cloud", "nobody"); code != 1 || !strings.Contains(errOut, "no response from stream") {
		t.Errorf("a cloud that no bridge serves: exit code %d: %s", code, errOut)
	}
	_, js := n.Connect(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: prefix.CommandStream("asleep"), Subjects: []string{"factro.command.asleep.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := bridgeCommand(t, "send", "createTask", "title=x", "targetParentId=y", "--nats", n.URL(), "--cloud", "asleep", "--wait", "--timeout", "2s"); code != 5 ||
		!strings.Contains(errOut, "is in the stream") || !strings.Contains(errOut, "nobody takes commands of the cloud asleep") {
		t.Errorf("no answer: exit code %d: %s", code, errOut)
	}
	if _, errOut, code := bridgeCommand(t, "send", "createTask", "title=x", "targetParentId=y", "--nats", n.URL(), "--cloud", "acmee", "--wait"); code != 1 ||
		!strings.Contains(errOut, `no bridge serves a cloud "acmee" with the prefix factro here: there is only acme`) {
		t.Errorf("a cloud that is not there: exit code %d: %s", code, errOut)
	}
	if _, errOut, code := bridgeCommand(t, "tail", "events", "--nats", n.URL(), "--cloud", "acmee"); code != 1 || !strings.Contains(errOut, `no bridge serves a cloud "acmee"`) {
		t.Errorf("events of a cloud that is not there: exit code %d: %s", code, errOut)
	}
	if out, errOut, code := bridgeCommand(t, "send", "setTaskState", "taskId="+id, "state=closed", "--nats", n.URL(), "--wait"); code != 0 || strings.Contains(errOut, "nobody") {
		t.Errorf("the only cloud need not be named: exit code %d: %s%s", code, out, errOut)
	}

	for stream, want := range map[string]string{"events": "TaskCreated", "results": "createTask.applied", "dead": "ambiguous"} {
		for _, format := range []string{"--json", "--prefix=factro"} {
			if line := tail(t, want, "tail", stream, "--since", "1h", format, "--nats", n.URL()); !strings.Contains(line, want) {
				t.Errorf("tail %s %s does not show %q", stream, format, want)
			} else if format == "--json" && !json.Valid([]byte(line)) {
				t.Errorf("tail %s --json prints %s", stream, line)
			}
		}
	}
}

// tail runs a command that does not end until it prints a line with want, and returns that line.
func tail(t testing.TB, want string, args ...string) (found string) {
	t.Helper()
	follow(t, func(line string) bool {
		if strings.Contains(line, want) {
			found = line
		}
		return found != ""
	}, args...)
	return found
}

// follow runs a command that does not end, and hands over its lines until enough says that they are.
func follow(t testing.TB, enough func(line string) bool, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	for lines := bufio.NewScanner(out); lines.Scan() && !enough(lines.Text()); {
		continue
	}
}

// The README's first command: it prints the whole round trip, goes on, and stops gracefully. It finds other ports where the
// usual ones are taken, as they are here by its twin.
func TestDev(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first := startDev(t, "the round trip is complete", "--data", data)
	second := startDev(t, "the round trip is complete")
	for _, d := range []*dev{first, second} {
		for _, want := range []string{
			"factro.command.demo.task.createTask", "factro.result.demo.task.createTask.applied", ".TaskCreated", "trace ",
			`{"action":"TaskCreated","context":{"entityId":`,
		} {
			if !strings.Contains(d.text(), want) {
				t.Errorf("the story lacks %q:\n%s", want, d.text())
			}
		}
	}
	if first.nats(t) == second.nats(t) {
		t.Error("two of them say that they listen on the same port")
	}
	// What it prints to be tried works.
	url := first.nats(t)
	if out, errOut, code := bridgeCommand(t, "send", "createProject", "title=Noch eins", "--nats", url, "--wait"); code != 0 {
		t.Errorf("send: exit code %d: %s%s", code, out, errOut)
	}
	waitFor(t, "the further event", func() bool { return strings.Contains(first.text(), ".ProjectCreated") })
	first.stop(t)
	second.stop(t)
	if _, err := os.Stat(filepath.Join(data, "jetstream")); err != nil {
		t.Errorf("--data is not kept: %v", err)
	}

	again := startDev(t, "Ctrl-C ends everything", "--data", data, "--no-demo")
	if strings.Contains(again.text(), "round trip") {
		t.Errorf("--no-demo plays:\n%s", again.text())
	}
	if out := tail(t, "ProjectCreated", "tail", "events", "--since", "1h", "--nats", again.nats(t)); out == "" {
		t.Error("the event of the earlier run is gone")
	}
	again.stop(t)

	// A port that was asked for and is taken is an error, not another port.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, errOut, code := bridgeCommand(t, "dev", "--sim", l.Addr().String()); code != 1 || !strings.Contains(errOut, "--sim") {
		t.Errorf("a taken port: exit code %d: %s", code, errOut)
	}
}

type dev struct {
	cmd    *exec.Cmd
	out    *logBuffer
	err    bytes.Buffer
	exited chan error
}

func startDev(t testing.TB, until string, args ...string) *dev {
	t.Helper()
	return startDevIn(t, t.TempDir(), until, args...)
}

func startDevIn(t testing.TB, dir, until string, args ...string) *dev {
	t.Helper()
	d := &dev{cmd: exec.Command(binary, append([]string{"dev"}, args...)...), out: &logBuffer{}, exited: make(chan error, 1)}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr, d.cmd.Dir = &d.err, dir
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	reached := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(stdout)
		for seen := false; lines.Scan(); {
			d.out.add(lines.Text())
			if !seen && strings.Contains(lines.Text(), until) {
				seen = true
				close(reached)
			}
		}
		d.exited <- d.cmd.Wait()
	}()
	select {
	case <-reached:
	case err := <-d.exited:
		t.Fatalf("dev ended: %v\n%s%s", err, d.text(), d.err.String())
	case <-time.After(patience):
		t.Fatalf("dev did not come to %q\n%s", until, d.text())
	}
	return d
}

func (d *dev) text() string { return d.out.String() }

// nats is where the embedded server listens.
func (d *dev) nats(t testing.TB) string {
	t.Helper()
	const what = "NATS with JetStream"
	for line := range strings.Lines(d.text()) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), what); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("dev does not say where %s is", what)
	return ""
}

func (d *dev) stop(t testing.TB) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.exited:
		if err != nil {
			t.Errorf("dev ended with %v\n%s", err, d.err.String())
		}
	case <-time.After(patience):
		t.Fatal("dev does not stop")
	}
	if d.err.Len() > 0 {
		t.Errorf("dev made noise:\n%s", d.err.String())
	}
}
