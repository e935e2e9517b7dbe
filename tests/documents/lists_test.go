package documents

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the folder of the repository.
const root = "../.."

// rule is a line of words.txt.
type rule struct {
	kind       string // prose, name or allow
	expression string // with a blank for any white space
	better     string
}

// search finds the words of all rules of a kind at once: one search for each rule takes three times as long.
type search struct {
	all   *regexp.Regexp
	each  []*regexp.Regexp
	rules []rule
}

func searchFor(rules []rule, kind string) search {
	var s search
	var expressions []string
	for _, r := range rules {
		if r.kind == kind {
			s.rules = append(s.rules, r)
			s.each = append(s.each, wholeWords(r.expression))
			expressions = append(expressions, r.expression)
		}
	}
	if len(expressions) == 0 {
		expressions = []string{`\z\A.`} // finds nothing
	}
	s.all = wholeWords(strings.Join(expressions, "|"))
	return s
}

func wholeWords(expression string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:` + strings.ReplaceAll(expression, " ", `\s+`) + `)\b`)
}

// find calls found with each place in the text, and the better words.
func (s search) find(text string, found func(from, to int, better string)) {
	for _, at := range s.all.FindAllStringIndex(text, -1) {
		for i, words := range s.each {
			if words.MatchString(text[at[0]:at[1]]) {
				found(at[0], at[1], s.rules[i].better)
				break
			}
		}
	}
}

// exception is a line of exceptions.txt: where a word is right.
type exception struct {
	line, path, kind, word string
}

func rules(t testing.TB) []rule {
	t.Helper()
	var all []rule
	for _, line := range entries(t, "words.txt") {
		kind, expression, _ := strings.Cut(line.left, " ")
		if kind != prose && kind != name && kind != allow {
			t.Fatalf("words.txt: %q begins with %q, want %s, %s or %s", line.text, kind, prose, name, allow)
		}
		all = append(all, rule{kind: kind, expression: strings.TrimSpace(expression), better: line.right})
	}
	return all
}

func exceptions(t testing.TB) []exception {
	t.Helper()
	var all []exception
	for _, line := range entries(t, "exceptions.txt") {
		fields := strings.Fields(line.left)
		if len(fields) < 3 {
			t.Fatalf("exceptions.txt: %q, want a path, a kind and a word before =>", line.text)
		}
		all = append(all, exception{line: line.text, path: fields[0], kind: fields[1], word: strings.ToLower(strings.Join(fields[2:], " "))})
	}
	return all
}

// entry is a line of a list, taken apart at "=>". Both sides have to be there: a rule has a better word, an exception a reason.
type entry struct{ text, left, right string }

func entries(t testing.TB, file string) []entry {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		left, right, _ := strings.Cut(line, "=>")
		e := entry{text: line, left: strings.TrimSpace(left), right: strings.TrimSpace(right)}
		if e.left == "" || e.right == "" {
			t.Fatalf("%s: %q has nothing before or behind =>", file, line)
		}
		all = append(all, e)
	}
	return all
}

// below says whether a file is the path, or in the directory of that name. A path that ends with "/*" has no directories below it.
func below(file, path string) bool {
	if dir, ok := strings.CutSuffix(path, "/*"); ok {
		return filepath.Dir(file) == dir
	}
	return file == path || strings.HasPrefix(file, strings.TrimSuffix(path, "/")+"/")
}

// files returns the files of the repository that are ours to read, tracked or about to be, by their paths from its root.
func files(t testing.TB) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var all []string
	for file := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if info, err := os.Stat(filepath.Join(root, file)); err == nil && info.Mode().IsRegular() {
			all = append(all, file)
		}
	}
	if len(all) < 100 {
		t.Fatalf("git ls-files: %d files only", len(all))
	}
	return all
}

// read returns a file of the repository.
func read(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
