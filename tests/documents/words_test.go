package documents

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// finding is a word in a file that should be another one.
type finding struct {
	file, kind, word, better string
	line                     int
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s %q: write %s", f.file, f.line, f.kind, f.word, f.better)
}

// No document, comment, message or name has a word of words.txt, unless exceptions.txt has it.
func TestWords(t *testing.T) {
	t.Parallel()
	c, allowed := newChecker(rules(t)), exceptions(t)
	used := map[string]int{}
	checked := 0
	for _, file := range files(t) {
		if !isOurs(file) {
			continue
		}
		checked++
		for _, f := range c.findings(t, file, read(t, file)) {
			if i := slices.IndexFunc(allowed, func(e exception) bool { return e.fits(f) }); i >= 0 {
				used[allowed[i].line]++
			} else {
				t.Error(f)
			}
		}
	}
	for _, e := range allowed {
		if used[e.line] == 0 {
			t.Errorf("exceptions.txt: nothing needs %q any more: take the line out", e.line)
		}
	}
	t.Logf("%d files are checked", checked)
}

func (e exception) fits(f finding) bool {
	return below(f.file, e.path) && e.kind == f.kind && e.word == strings.ToLower(f.word)
}

// isOurs leaves out what others wrote, data of tests, German documents, and the lists of this test.
func isOurs(file string) bool {
	for _, part := range []string{"testdata/", "docs/de/", "tests/documents/"} {
		if strings.Contains(file, part) {
			return false
		}
	}
	return filepath.Base(file) != "LICENSE"
}

// checker looks for words.
type checker struct{ sentences, names, allowed search }

func newChecker(rules []rule) checker {
	return checker{searchFor(rules, prose), searchFor(rules, name), searchFor(rules, allow)}
}

func (c checker) findings(t testing.TB, file, text string) []finding {
	t.Helper()
	var found []finding
	sentences := c.allowed.all.ReplaceAllStringFunc(proseOf(t, file, text), hide)
	c.sentences.find(sentences, func(from, to int, better string) {
		word := strings.Join(strings.Fields(sentences[from:to]), " ")
		found = append(found, finding{file, prose, word, better, 1 + strings.Count(sentences[:from], "\n")})
	})
	if filepath.Ext(file) == ".go" {
		for n, line := range declared(t, file, text) {
			c.names.find(wordsOf(n), func(_, _ int, better string) {
				found = append(found, finding{file, name, n, better, line})
			})
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return a.line - b.line })
	return found
}

// What the search finds and what it leaves alone.
func TestFindings(t *testing.T) {
	t.Parallel()
	checks := newChecker([]rule{
		{prose, "whom", "who"}, {prose, "in hand", "in flight"}, {name, "(heed|parcels?)", "another name"}, {allow, "to whom", "usual"},
	})
	for what, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"a document":               {"a.md", "Nobody knows\nwhom.", []string{`a.md:2: prose "whom": write who`}},
		"over a line end":          {"a.md", "What is in\nhand.", []string{`a.md:1: prose "in hand": write in flight`}},
		"code in a document":       {"a.md", "`whom`\n\n```sh\nwhom\n```\n[x](whom.md)", nil},
		"a phrase that is right":   {"a.md", "To whom?", nil},
		"a part of a word":         {"a.md", "whomever", nil},
		"a comment":                {"a.go", "package a\n\n// What is in\n// hand.\nvar x int", []string{`a.go:3: prose "in hand": write in flight`}},
		"a message":                {"a.go", "package a\n\nvar x = \"for whom\"", []string{`a.go:3: prose "whom": write who`}},
		"a word of a protocol":     {"a.go", "package a\n\nvar x = \"whom\"", nil},
		"a string of a test":       {"a_test.go", "package a\n\nvar x = \"for whom\"", nil},
		"two comments":             {"a.go", "package a\n\n// in\nvar x int\n\n// hand\nvar y int", nil},
		"a name":                   {"a.go", "package a\n\nfunc HeedAll(sentParcels int) {}", []string{`a.go:3: name "HeedAll": write another name`, `a.go:3: name "sentParcels": write another name`}},
		"a short variable":         {"a.go", "package a\n\nfunc f() { for parcel := range 3 { _ = parcel } }", []string{`a.go:3: name "parcel": write another name`}},
		"a name that is only used": {"a.go", "package a\n\nvar x = b.Parcel", nil},
		"the name of a file":       {"heed.go", "package a", []string{`heed.go:1: name "heed": write another name`}},
		"a configuration":          {"a.yaml", "# for whom\nx: 1", []string{`a.yaml:1: prose "whom": write who`}},
	} {
		var got []string
		for _, f := range checks.findings(t, c.file, c.text) {
			got = append(got, f.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", what, got, c.want)
		}
	}
}
