package interop

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// natsCommand runs the stock nats command and returns all that it printed.
func (s *site) natsCommand(t *testing.T, args ...string) string {
	t.Helper()
	cmd, stdout, stderr := s.program(t, natsBinary, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("nats %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout.String() + stderr.String()
}

func wantAll(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not show %q:\n%s", what, w, text)
		}
	}
}

// Somebody with nothing but the nats command sees events and dead letters with their attributes.
func TestNatsCommandReads(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	const body = `{"id":"d-1","action":"TaskStateChanged","context":{"entityId":"4711","note":"Prüfung"}}`
	s.deliver(t, body)
	wantAll(t, "nats sub", s.natsCommand(t, "sub", "factro.event.demo.task.*.TaskStateChanged", "--all", "--count=1"),
		body, "subject: factro.event.demo.task.4711.TaskStateChanged", "ce-id: d-1", "ce-type: com.factro.TaskStateChanged",
		"ce-subject: task/4711", "Nats-Msg-Id: demo.d-1")

	s.natsCommand(t, "pub", "factro.command.demo.task.createTask", `{"titel":"Prüfung"}`, "-H", "Nats-Msg-Id:wrong")
	if r := s.result(t, "wrong"); r.Outcome != events.Rejected {
		t.Errorf("got the result %+v", r)
	}
	wantAll(t, "nats sub", s.natsCommand(t, "sub", "factro.dead.>", "--all", "--count=1"),
		`{"titel":"Prüfung"}`, "Factro-Dead-Code: invalid", "Factro-Dead-Subject: factro.command.demo.task.createTask")

	wantAll(t, "nats stream ls", s.natsCommand(t, "stream", "ls"), "FACTRO_COMMANDS_DEMO", "FACTRO_DEAD_DEMO", "FACTRO_EVENTS_DEMO", "FACTRO_RESULTS_DEMO")
	wantAll(t, "nats consumer ls", s.natsCommand(t, "consumer", "ls", "FACTRO_COMMANDS_DEMO"), "egress-demo")
}

// The command line in the README does what it says. Its message has no id, so its place in the stream is its id.
func TestNatsCommandOfTheReadme(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := bytes.Cut(readme, []byte("\nnats pub "))
	if line, _, _ = bytes.Cut(line, []byte("\n")); !found {
		t.Fatal("the README shows no line that begins with nats pub")
	}
	shown := regexp.MustCompile(`"targetParentId":"([^"]+)"`).FindSubmatch(line)
	if shown == nil {
		t.Fatalf("the README's line names no package: %s", line)
	}
	shell, stdout, stderr := s.program(t, "sh", "-c",
		filepath.Base(natsBinary)+" pub "+strings.ReplaceAll(string(line), string(shown[1]), s.factro.Demo().Package))
	shell.Env = append(shell.Env, "PATH="+filepath.Dir(natsBinary))
	if err := shell.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", line, err, stdout, stderr)
	}
	if r := s.result(t, "FACTRO_COMMANDS_DEMO:1"); r.Outcome != events.Applied || s.tasks("Prüfung") != 1 {
		t.Errorf("factro has %d tasks, the result is %+v", s.tasks("Prüfung"), r)
	}
}

// A CloudEvent can be typed: its attributes are headers. The result is read with the same command.
func TestNatsCommandSendsAnEvent(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	s.natsCommand(t, "pub", "factro.command.demo.task.createTask", s.newTask("Geprüft"), "--jetstream", "-H", "ce-specversion:1.0",
		"-H", "ce-id:typed", "-H", "ce-source:urn:example:terminal", "-H", "ce-type:com.factro.command.createTask",
		"-H", "ce-correlationid:B%C3%BCro")
	if r := s.result(t, "typed"); r.Outcome != events.Applied || s.tasks("Geprüft") != 1 {
		t.Errorf("factro has %d tasks, the result is %+v", s.tasks("Geprüft"), r)
	}
	wantAll(t, "nats stream get", s.natsCommand(t, "stream", "get", "FACTRO_RESULTS_DEMO", "--last-for", "factro.result.demo.task.createTask.applied"),
		"ce-id: typed.applied", "ce-causationid: typed", "ce-correlationid: B%C3%BCro", `"outcome":"applied"`, `"title":"Geprüft"`)
}
