package documents

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// widest is how long a line of a document may be. Tables and code are as long as they need to be.
const widest = 100

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	blobURL = regexp.MustCompile(`https://github\.com/factro-bridge/factro-bridge/blob/main/([A-Za-z0-9_./-]+[A-Za-z0-9_-])`)
)

// Each link from one file of the repository to another leads to a file that is there, and to a heading in it.
func TestLinks(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, file := range files(t) {
		if strings.Contains(file, "testdata/") {
			continue
		}
		text := read(t, file)
		if !strings.Contains(text, "/blob/main/") && filepath.Ext(file) != ".md" {
			continue
		}
		for _, m := range blobURL.FindAllStringSubmatch(text, -1) {
			checked++
			wantTarget(t, file, m[1], "")
		}
		if filepath.Ext(file) != ".md" {
			continue
		}
		text = codeSpan.ReplaceAllStringFunc(fence.ReplaceAllStringFunc(text, hide), hide)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			checked++
			target, anchor, _ := strings.Cut(m[1], "#")
			to := file
			if target != "" {
				to = path.Join(path.Dir(file), target)
			}
			wantTarget(t, file, to, anchor)
		}
	}
	t.Logf("%d links", checked)
	if checked < 300 {
		t.Errorf("found %d links only: the search is broken", checked)
	}
}

func wantTarget(t testing.TB, file, to, anchor string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, to)); err != nil {
		t.Errorf("%s links to %s, which is not there", file, to)
		return
	}
	if anchor != "" && !slices.Contains(anchors(read(t, to)), anchor) {
		t.Errorf("%s links to %s#%s, and there is no such heading", file, to, anchor)
	}
}

// anchors are the names that GitHub gives the headings of a document.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllStringFunc(text, hide), -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, m[1]))
	}
	return all
}

// The lines of documents fit on a screen beside something else.
func TestLines(t *testing.T) {
	t.Parallel()
	for _, file := range files(t) {
		// The pages of the resources are generated out of descriptions whose length is not known.
		generated := path.Dir(file) == "docs/reference" && !slices.Contains([]string{"README.md", "subjects.md"}, path.Base(file))
		if filepath.Ext(file) != ".md" || strings.Contains(file, "testdata/") || generated {
			continue
		}
		n := 0
		for line := range strings.Lines(fence.ReplaceAllStringFunc(read(t, file), hide)) {
			n++
			line = strings.TrimSuffix(line, "\n")
			if w := utf8.RuneCountInString(line); w > widest && breakable(line) {
				t.Errorf("%s:%d: the line has %d characters, want at most %d", file, n, w, widest)
			}
		}
	}
}

// breakable says whether a line can be two: it is text, and has a blank behind its indentation and its mark of a list.
func breakable(line string) bool {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "|") || strings.ContainsRune(line, hidden) {
		return false
	}
	line = strings.TrimLeft(codeSpan.ReplaceAllStringFunc(line, hide), "-0123456789. ")
	return strings.Contains(line, " ")
}

// Each page of docs says at once what it is for, and at its end where to go next.
func TestPages(t *testing.T) {
	t.Parallel()
	pages := 0
	for _, file := range files(t) {
		next := map[string]string{
			"docs": "Where to go next", "docs/decisions": "Where to go next", "docs/de": "Wie es weitergeht",
		}[path.Dir(file)]
		if filepath.Ext(file) != ".md" || next == "" {
			continue
		}
		pages++
		lines := strings.Split(read(t, file), "\n")
		if len(lines) < 3 || !strings.HasPrefix(lines[0], "# ") || lines[1] != "" || !startsSentence(lines[2]) {
			t.Errorf("%s does not begin with a title and a sentence that says what the page is for", file)
		}
		text := fence.ReplaceAllStringFunc(strings.Join(lines, "\n"), hide)
		_, last, found := strings.Cut(text, "\n## "+next+"\n")
		if !found || strings.Contains(last, "\n## ") || !link.MatchString(last) {
			t.Errorf("%s does not end with a section %q that has links", file, next)
		}
	}
	if pages < 5 {
		t.Errorf("found %d pages only: the search is broken", pages)
	}
}

func startsSentence(line string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(line, "`*[\"„"))
	return unicode.IsLetter(r)
}
