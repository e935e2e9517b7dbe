package events_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestDependencies: who takes this package into his program can read what comes with it, and can rely on that page.
func TestDependencies(t *testing.T) {
	t.Parallel()
	const self = "github.com/factro-bridge/factro-bridge"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{end}}{{.ImportPath}}", ".", "./payload").Output()
	if err != nil {
		t.Fatal(err)
	}
	own := []string{
		"pkg/events", "pkg/events/attr", "pkg/events/payload", "pkg/events/internal/binding",
		"internal/delivery", "internal/jsontext", "internal/natserr", "internal/percent", // leaves, which import no room of the bridge
	}
	var truth []string
	for line := range strings.Lines(string(out)) {
		module, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !ok: // the standard library
		case module != self:
			truth = append(truth, module)
		case !slices.Contains(own, strings.TrimPrefix(path, self+"/")):
			t.Errorf("it imports %s", path)
		}
	}
	slices.Sort(truth)
	truth = slices.Compact(truth)
	if got := strings.Fields(goPage(t, "text")); !slices.Equal(got, truth) {
		t.Errorf("docs/go.md lists\n%s\nbut it is\n%s", strings.Join(got, "\n"), strings.Join(truth, "\n"))
	}
}

// TestPageCompiles builds the program of the page.
func TestPageCompiles(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(program, []byte(goPage(t, "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", program).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPageRuns runs the program of the page with a bridge that refuses what it sends: no event may keep the next waiting.
func TestPageRuns(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 8)
	_, f := client(t, func(cmd events.Command) []events.Result {
		seen <- cmd.Event.ID()
		return []events.Result{refused}
	})
	if err := answerer(f.b, func(msg *nats.Msg) *nats.Msg {
		if msg.Subject != "factro.query.acme.task.getTask" || string(msg.Data) != `{"taskId":"8d3f6c1e"}` {
			t.Errorf("got the query %s on %s", msg.Data, msg.Subject)
		}
		return &nats.Msg{Data: []byte(`{"id":"8d3f6c1e","taskState":"review"}`)}
	}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, source := filepath.Join(dir, "program"), filepath.Join(dir, "main.go")
	page := strings.Replace(goPage(t, "go"), "nats://127.0.0.1:4222", f.b.s.ClientURL(), 1)
	page = strings.ReplaceAll(page, `"demo"`, `"acme"`) // the cloud of the test's streams
	if err := os.WriteFile(source, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	f.b.waiting(t, "review", 1)
	for _, id := range []string{"1", "2"} {
		f.b.publish(t, "factro.event.acme.task.8d3f6c1e.TaskStateChanged", id)
		if got := <-seen; got != id+".comment" {
			t.Errorf("got the command %s, want that of the event %s", got, id)
		}
	}
}

// goPage returns the block of a language in docs/go.md.
func goPage(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)\n```" + language + "\n(.*?)\n```\n").FindSubmatch(page)
	if m == nil {
		t.Fatalf("docs/go.md has no block of %s", language)
	}
	return string(m[1])
}
