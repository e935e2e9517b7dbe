package reference

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

var factroReference = sync.OnceValues(func() (map[string][]byte, error) { return Pages("factro") })

func referenceFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := factroReference()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What is made twice is the same, byte for byte.
func TestReferenceIsDeterministic(t *testing.T) {
	t.Parallel()
	again, err := Pages("factro")
	if err != nil {
		t.Fatal(err)
	}
	files := referenceFiles(t)
	for name, text := range files {
		if !bytes.Equal(text, again[name]) {
			t.Errorf("%s comes out differently", name)
		}
	}
	if len(again) != len(files) {
		t.Errorf("there are %d files, then %d", len(files), len(again))
	}
}

// Every link within the pages leads to a page and a heading that is there once.
func TestLinksOfTheReference(t *testing.T) {
	t.Parallel()
	files := referenceFiles(t)
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	anchors := map[string][]string{}
	for name, text := range files {
		for _, m := range heading.FindAllSubmatch(outsideOfBlocks(text), -1) {
			a := anchor(string(m[1]))
			if slices.Contains(anchors[name], a) {
				t.Errorf("%s has the heading %s twice", name, m[1])
			}
			anchors[name] = append(anchors[name], a)
		}
	}
	link, links := regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`), 0
	for name, text := range files {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			links++
			to := m[1]
			if to == "" {
				to = name
			}
			if outside, is := strings.CutPrefix(to, "../../"); is {
				if _, err := os.Stat(filepath.Join("../../..", outside)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if to == "metrics.md" { // it is made by a running bridge
				continue
			}
			if files[to] == nil || m[2] != "" && !slices.Contains(anchors[to], m[2]) {
				t.Errorf("%s: %s leads nowhere", name, m[0])
			}
		}
	}
	if links < 3*len(factro.Operations()) {
		t.Errorf("found %d links only: the search is broken", links)
	}
}

// outsideOfBlocks is a page without what is shown as code, where # begins a comment.
func outsideOfBlocks(text []byte) []byte {
	return regexp.MustCompile("(?s)```.*?```").ReplaceAll(text, nil)
}

// Each operation has one section with one block of two lines, which a shell takes apart as they are meant: bridge with its
// arguments, nats with the subject and the example.
func TestShellLinesOfTheReference(t *testing.T) {
	t.Parallel()
	files := referenceFiles(t)
	block := regexp.MustCompile("(?s)```sh\n(.*?)```")
	for _, op := range factro.Operations() {
		page := string(files[op.Resource+".md"])
		_, section, found := strings.Cut(page, "\n## "+op.Name+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		blocks := block.FindAllStringSubmatch(section, -1)
		if !found || len(blocks) != 1 || strings.Count(blocks[0][1], "\n") != 2 {
			t.Errorf("%s has no section with one block of two lines:\n%s", op.Name, section)
			continue
		}
		lines := strings.Split(blocks[0][1], "\n")
		verb, nats, subject := "query", "req", events.Prefix("factro").Query("demo", op.Resource, op.Name)
		if op.Writes() {
			verb, nats, subject = "send", "pub", events.Prefix("factro").Command("demo", op.Resource, op.Name)
		}
		if got := shellWords(t, lines[1]); !slices.Equal(got, []string{"nats", nats, subject, string(op.Example())}) {
			t.Errorf("%s: a shell reads %q", op.Name, got)
		}
		got := shellWords(t, lines[0])
		if len(got) != 3+len(members(op.Example())) || !slices.Equal(got[:3], []string{"bridge", verb, op.Name}) {
			t.Errorf("%s: a shell reads %q", op.Name, got)
		}
		for i, m := range members(op.Example()) {
			if !strings.HasPrefix(got[3+i], m.Key+"=") && !strings.HasPrefix(got[3+i], m.Key+":=") {
				t.Errorf("%s: argument %q, want one of %s", op.Name, got[3+i], m.Key)
			}
		}
	}
}

// shellWords has a real shell take a line apart.
func shellWords(t testing.TB, line string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s\\0' "+line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"", "plain", "a b", "Müller's", `"`, `\`, "$HOME", "`ls`", "*", "~", "#", "a\nb", "'", "''"} {
		if got := shellWords(t, quoted(word)); len(got) != 1 || got[0] != word {
			t.Errorf("a shell reads %q as %q", word, got)
		}
	}
}

// Nothing of a description may break a table, or be taken for HTML.
func TestTablesOfTheReference(t *testing.T) {
	t.Parallel()
	cells := regexp.MustCompile(`(^|[^\\])\|`)
	for name, text := range referenceFiles(t) {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		columns := 0
		for line := range strings.Lines(string(outsideOfBlocks(text))) {
			if !strings.HasPrefix(line, "|") {
				columns = 0
			} else if n := len(cells.FindAllString(line, -1)); columns == 0 {
				columns = n
			} else if n != columns {
				t.Errorf("%s: a row of %d cells in a table of %d: %s", name, n, columns, line)
			}
			if outsideOfCode := regexp.MustCompile("`[^`]*`").ReplaceAllString(line, ""); regexp.MustCompile(`(^|[^\\])<[a-zA-Z/!]`).MatchString(outsideOfCode) {
				t.Errorf("%s: this is HTML: %s", name, line)
			}
		}
	}
}
