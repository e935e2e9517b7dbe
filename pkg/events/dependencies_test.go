package events_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependencies: who takes this package into his program can read what comes with it, and can rely on that page.
func TestDependencies(t *testing.T) {
	t.Parallel()
	const self = "github.com/factro-bridge/factro-bridge"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{end}}{{.ImportPath}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	var truth []string
	for line := range strings.Lines(string(out)) {
		module, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !ok: // the standard library
		case module != self:
			truth = append(truth, module)
		case path != self+"/pkg/events":
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
