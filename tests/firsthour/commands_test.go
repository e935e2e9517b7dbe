package firsthour

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// working is a user with everything running.
func working(t *testing.T) (*user, *running) {
	t.Helper()
	d := newUser(t)
	d.configured("requests_per_minute: 480", "requests_per_minute: 48000")
	d.secrets()
	d.serve()
	d.factro()
	b := d.runs()
	d.ready(http.StatusOK, `"nats":"ok"`)
	return d, b
}

// TestInvalidCommand: mistakes in a command are reported before it is sent, all at once, and nothing is left over.
func TestInvalidCommand(t *testing.T) {
	t.Parallel()
	d, _ := working(t)
	for _, more := range []string{"", " --wait", " --dry-run"} {
		d.types("bridge send createTask titel=Prüfung --config bridge.yaml"+more).exits(2).says(`createTask has no field "titel"`, "title").never("sent ")
	}
	d.types("bridge send createTsk title=x --config bridge.yaml").exits(2).says("createTsk", "bridge contract operations")
	d.types("bridge send setTaskState taskId=$task state=reviw --config bridge.yaml").exits(2).says("state", "review")
	d.types("bridge send setTaskState taskId=$task estate --config bridge.yaml").exits(2).says("estate", "field=value")
	d.types("bridge query getTask --config bridge.yaml").exits(2).says("getTask was not sent", "taskId")
	d.types("bridge query getTask --json --config bridge.yaml").exits(2).says(`"code":"invalid"`, "taskId")
	d.types("bridge query getTask taskId=nowhere --config bridge.yaml").exits(3)
	d.types("bridge dead list --config bridge.yaml").exits(0).says("no dead letters")
}

// TestSend: a command is sent and its result shown, as text and as JSON; the same again does nothing twice.
func TestSend(t *testing.T) {
	t.Parallel()
	d, _ := working(t)
	d.types("bridge send setTaskState taskId=$task state=review --id order-1 --wait --config bridge.yaml").exits(0).says("setTaskState applied", exampleTask)
	var result struct {
		Subject string
		Event   struct{ Data struct{ Outcome string } }
	}
	d.types("bridge send setTaskState taskId=$task state=review --wait --json --config bridge.yaml").exits(0).json(&result)
	if result.Event.Data.Outcome != "applied" || result.Subject != "factro.result.acme.task.setTaskState.applied" {
		t.Errorf("the result is %+v", result)
	}
	var sent map[string]any
	d.types("bridge send setTaskState taskId=$task state=review --json --config bridge.yaml").exits(0).json(&sent)
	d.types("bridge send setTaskState taskId=$task state=review --id order-1 --wait --config bridge.yaml").exits(0).says("applied")
	d.types("bridge query getTask taskId=$task --pretty --config bridge.yaml").exits(0).says("{\n", exampleTask)
	d.types("timeout 2 bridge tail results --since 1h --config bridge.yaml").says("factro.result.acme.task.setTaskState.applied")
}

// TestDeadLetters: nothing is said to be nothing, a dead letter is found by its command's id, and a code that cannot be is refused.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	d, _ := working(t)
	d.types("bridge dead list --config bridge.yaml").exits(0).says("no dead letters")
	d.types("bridge dead list --config bridge.yaml --code unknown").exits(2).says("unknown", "refused", "ambiguous")
	d.types("bridge dead show acme/1 --config bridge.yaml").exits(1).says("acme/1")
	d.types("bridge dead show order-7 --config bridge.yaml").exits(1).says("order-7")
	// A webhook that is no event is kept as one.
	d.webhook("acme", secret, "this is no JSON", http.StatusBadRequest)
	d.await("a dead letter", func() bool {
		return strings.Contains(d.types("bridge dead list --config bridge.yaml").exits(0).out, "acme/1")
	})
	d.types("bridge dead list --config bridge.yaml").exits(0).matches(`^NAME +TIME +OPERATION +CODE `).says("unusable").matches(`acme/1 +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d`)
	d.types("bridge dead list --config bridge.yaml --code unusable --since 1h").exits(0).says("acme/1")
	d.types("bridge dead list --config bridge.yaml --code refused").exits(0).says("no dead letter matches").never("acme/1")
	d.types("bridge dead show acme/1 --config bridge.yaml").exits(0).says("this is no JSON")
}

// TestTimes: all flags take the same times, and what a command has printed can be given back to it.
func TestTimes(t *testing.T) {
	t.Parallel()
	d, _ := working(t)
	d.webhook("acme", secret, event("1"), http.StatusAccepted)
	for _, since := range []string{"1h", "90m", "7d", "2026-03-01", "2026-03-01T12:00:00Z"} {
		d.types("timeout 2 bridge tail events --since " + since + " --config bridge.yaml").says("TaskStateChanged")
		d.types("bridge dead list --since " + since + " --config bridge.yaml").exits(0)
		d.types("bridge reconcile --dry-run --since "+since+" --config bridge.yaml").never("parse", "wrong time")
	}
	printed, _, _ := strings.Cut(d.types("timeout 2 bridge tail events --since 1h --config bridge.yaml").out, " ")
	d.types("timeout 2 bridge tail events --since " + printed + " --config bridge.yaml").says("TaskStateChanged")
	for _, line := range []string{"timeout 5 bridge tail events", "bridge dead list", "bridge reconcile --dry-run"} {
		d.types(line+" --since yesterday --config bridge.yaml").exits(2).says("yesterday", "2h", "2026-03-01")
		d.types(line + " --since 2099-01-01 --config bridge.yaml").exits(2).says("future")
	}
}

// TestReconcile: what is missing is listed, no more than 20 of it unless all is asked for, and the summary comes last.
func TestReconcile(t *testing.T) {
	t.Parallel()
	d, b := working(t)
	d.types("bridge reconcile --dry-run --config bridge.yaml").exits(0).says("missing").matches(`^acme: 20\S+ to 20\S+; events of younger records may still come$`)
	// What happens at factro while the bridge is away is missing, once it is older than the grace.
	b.Kill()
	d.edit("grace: 5m", "grace: 1s", "every: 10m", "every: 24h")
	d.types(`curl --silent -X POST http://$factro/_sim/webhooks -d '{"url":"http://$webhooks/webhooks/acme","action":"*","header":"X-Bridge-Key","value":"` + secret + `"}'`).exits(0)
	d.types(`for i in $(seq 25); do curl --silent -X POST http://$factro/_sim/fire -d '{"action":"TaskStateChanged","entityId":"$task"}'; done`).exits(0)
	var s *said
	d.await("25 are missing", func() bool {
		s = d.types("bridge reconcile --dry-run --since 1h --config bridge.yaml")
		return regexp.MustCompile(`(?m)^ +missing +25$`).MatchString(s.out)
	})
	s.exits(6)
	lines := strings.Split(strings.TrimSpace(s.out), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "missing") || !strings.Contains(last, "25") {
		t.Errorf("the last line is %q", last)
	}
	if n := strings.Count(s.out, "Z  TaskStateChanged"); n != 20 {
		t.Errorf("%d are listed, want 20:\n%s", n, s.out)
	}
	s = d.types("bridge reconcile --dry-run --since 1h --all --config bridge.yaml").exits(6)
	if n := strings.Count(s.out, "Z  TaskStateChanged"); n != 25 {
		t.Errorf("with --all %d are listed, want 25", n)
	}
}

// TestContract: what programs in other languages are made of comes out of the program.
func TestContract(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.types("bridge contract operations").exits(0).says("createTask")
	d.types("bridge contract operations createTask").exits(0).says("title", "targetParentId")
	d.types("bridge contract asyncapi > asyncapi.yaml").exits(0)
	if !strings.HasPrefix(d.read("asyncapi.yaml"), "asyncapi: ") {
		t.Error("it prints no AsyncAPI")
	}
	d.types("bridge contract asyncapi --resource task > task.yaml").exits(0)
	if whole, part := len(d.read("asyncapi.yaml")), len(d.read("task.yaml")); part > whole/3 {
		t.Errorf("the part about tasks has %d bytes of %d", part, whole)
	}
	d.types("bridge contract asyncapi --resource tusk").exits(2).says("tusk", "task")
	d.types("bridge contract schema").exits(0).says("command.createTask", "answer.getTask")
	var schema map[string]any
	d.types("bridge contract schema command.createTask").exits(0).json(&schema)
	for key := range schema {
		if strings.HasPrefix(key, "x-") {
			t.Errorf("a strict validator refuses the keyword %s", key)
		}
	}
}

// TestCompletion: the shell completes operations and their fields, and clouds.
func TestCompletion(t *testing.T) {
	t.Parallel()
	d, _ := working(t)
	for shell, want := range map[string]string{"bash": "complete ", "zsh": "#compdef bridge", "fish": "complete -c bridge"} {
		d.types("bridge completion " + shell).exits(0).says(want)
	}
	d.types("bridge __complete send createTas").exits(0).says("createTask")
	d.types("bridge __complete send createTask ti").exits(0).says("title=")
	d.types("bridge __complete query --config bridge.yaml listProjects --cloud ''").exits(0).matches(`^acme\b`)
	d.types("bridge __complete dead list --code am").exits(0).says("ambiguous")
	d.types("bridge __complete sim --fault ''").exits(0).says("latency")
	d.webhook("acme", secret, "this is no JSON", http.StatusBadRequest)
	d.await("a dead letter is completed", func() bool {
		return strings.Contains(d.types("bridge __complete dead show --config bridge.yaml ''").out, "acme/1")
	})
}
