package documents

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// The page about the architecture names each package, beside its parent or by its whole path, and no other one.
func TestPackages(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(read(t, "docs/architecture.md"), "\n## All packages\n")
	if !found {
		t.Fatal("docs/architecture.md has no section with all packages")
	}
	section, _, _ := strings.Cut(rest, "\n## ")
	var named []string
	parent := ""
	for _, span := range codeSpan.FindAllString(section, -1) {
		name := strings.Trim(span, "`")
		switch {
		case name == "pkg/events/internal": // it has no code of its own
			parent = name
			continue
		case strings.Contains(name, "/"):
			parent = name
		default:
			name = parent + "/" + name
		}
		named = append(named, name)
	}
	have := packages(t)
	for _, name := range have {
		if !slices.Contains(named, name) {
			t.Errorf("docs/architecture.md does not name %s", name)
		}
	}
	for _, name := range named {
		if !slices.Contains(have, name) {
			t.Errorf("docs/architecture.md names %s, which is no package", name)
		}
	}
}

// packages are the directories below internal and pkg that have Go files.
func packages(t *testing.T) (all []string) {
	t.Helper()
	for _, file := range files(t) {
		top, _, _ := strings.Cut(file, "/")
		if dir := path.Dir(file); (top == "internal" || top == "pkg") && path.Ext(file) == ".go" && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	if len(all) < 50 {
		t.Fatalf("found %d packages only: the search is broken", len(all))
	}
	return all
}
