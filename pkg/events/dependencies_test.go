package events_test

import (
	"go/ast"
	"go/parser"
	"go/token"
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
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{end}}{{.ImportPath}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	own := []string{
		"pkg/events", "pkg/events/attr", "pkg/events/change", "pkg/events/fresh", "pkg/events/gap", "pkg/events/notbefore", "pkg/events/notice", "pkg/events/payload", "pkg/events/status",
		"pkg/events/internal/await", "pkg/events/internal/binding", "pkg/events/internal/command", "pkg/events/internal/send",
		"pkg/events/internal/stored", "pkg/events/internal/subject", "pkg/events/internal/subscription", "pkg/events/internal/tracing",
		"pkg/events/internal/watch",
		"internal/delivery", "internal/identity", "internal/jsontext", "internal/natserr", "internal/percent", // leaves, which import no room of the bridge
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
	page := strings.Replace(goPage(t, "go"), "nats://127.0.0.1:4222", f.b.URL(), 1)
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

// exported returns the names that a package exports on its first level, without methods and fields.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			for _, name := range declaredNames(declared) {
				if name.IsExported() {
					names[name.Name] = true
				}
			}
		}
	}
	return names
}

func declaredNames(declared ast.Decl) (names []*ast.Ident) {
	switch d := declared.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name)
			case *ast.ValueSpec:
				names = append(names, s.Names...)
			}
		}
	}
	return names
}

// TestFewNames: a reader sees the whole of the package. What belongs to one subject goes into a package below it.
func TestFewNames(t *testing.T) {
	t.Parallel()
	if names := exported(t, "."); len(names) >= 100 {
		t.Errorf("there are %d exported names, want fewer than 100", len(names))
	}
}

// TestPageOfNames: of the names in the page's table the old ones are gone, and the new ones are there.
func TestPageOfNames(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]map[string]bool{"events": exported(t, ".")}
	for _, name := range []string{"attr", "gap", "payload", "status"} {
		have[name] = exported(t, name)
	}
	rows := 0
	for _, row := range regexp.MustCompile(`(?m)^\| (.*`+"`"+`events\..*) \| (.*) \|$`).FindAllSubmatch(page, -1) {
		rows++
		for i, column := range row[1:] {
			for _, name := range regexp.MustCompile("`([a-z]+)\\.([A-Z][A-Za-z]*)`").FindAllSubmatch(column, -1) {
				if isThere := have[string(name[1])][string(name[2])]; isThere != (i == 1) {
					t.Errorf("%s.%s is there: %t, in the row %s", name[1], name[2], isThere, row[0])
				}
			}
		}
	}
	if rows < 15 {
		t.Errorf("the table has %d rows", rows)
	}
}
