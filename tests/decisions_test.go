package tests

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// The index of the decisions, and the folder of the chapters that contain them, seen from the root of the repository.
const (
	decisionsIndex  = "docs/decisions.md"
	decisionsFolder = "docs/decisions"
)

// decision is a numbered section of a chapter.
type decision struct {
	number int
	title  string
	file   string // the chapter, seen from the root of the repository
	text   string // the section without its heading
}

// row is the decision's row in the index.
func (d decision) row() string {
	target := "decisions/" + filepath.Base(d.file) + "#" + anchor(fmt.Sprintf("%d. %s", d.number, d.title))
	return fmt.Sprintf("| %d | [%s](%s) |", d.number, d.title, target)
}

var (
	pageHeading     = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	decisionHeading = regexp.MustCompile(`^(\d+)\. (.+)$`)
	decisionPart    = regexp.MustCompile(`(?m)^\*\*(\w+)\.\*\*`)
	decisionItem    = regexp.MustCompile(`(?m)^\d+\. .{0,40}`)
	decisionRow     = regexp.MustCompile(`(?m)^\| \d+ \|.*$`)
	// In a comment, the end of a line and the marks of the comment can stand between the word and its number.
	decisionReference = regexp.MustCompile(`(?i)\bdecisions?[\s/*#]+(\d+)((?:(?:\s*,|\s*[-–]|\s+to|\s+and|\s+or)+\s*\d+)*)`)
	number            = regexp.MustCompile(`\d+`)
	pageLink          = regexp.MustCompile(`\[([^\]]*)\]\(([^()\s]+)\)`)
)

// anchor is the fragment under which GitHub shows a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N}_\- ]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// sections returns the decisions of a chapter, in its order.
func sections(file, text string) (found []decision) {
	headings := pageHeading.FindAllStringSubmatchIndex(text, -1)
	for i, h := range headings {
		m := decisionHeading.FindStringSubmatch(text[h[2]:h[3]])
		if m == nil {
			continue
		}
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		n, _ := strconv.Atoi(m[1])
		found = append(found, decision{number: n, title: m[2], file: file, text: text[h[1]:end]})
	}
	return found
}

// numberFaults reports every number from 1 to the highest that is missing or used twice, and every chapter out of order.
func numberFaults(all []decision) (faults []string) {
	files := map[int]string{}
	var last decision
	for _, d := range all {
		if other, used := files[d.number]; used {
			faults = append(faults, fmt.Sprintf("%s: decision %d is in %s already", d.file, d.number, other))
		}
		files[d.number] = d.file
		if d.file == last.file && d.number < last.number {
			faults = append(faults, fmt.Sprintf("%s: decision %d comes after %d", d.file, d.number, last.number))
		}
		last = d
	}
	for n := 1; n <= slices.Max(append(slices.Collect(maps.Keys(files)), 0)); n++ {
		if files[n] == "" {
			faults = append(faults, fmt.Sprintf("there is no decision %d; take the next free number for a new one", n))
		}
	}
	return faults
}

// formFaults reports decisions of a page that are written as items of a list, and those that are in the index itself.
func formFaults(file, text string) (faults []string) {
	for _, item := range decisionItem.FindAllString(text, -1) {
		faults = append(faults, fmt.Sprintf("%s: %q: a decision is a section with a heading, not an item of a list", file, item))
	}
	if file == decisionsIndex {
		for _, d := range sections(file, text) {
			faults = append(faults, fmt.Sprintf("%s: decision %d belongs into a chapter in %s", file, d.number, decisionsFolder))
		}
	}
	return faults
}

// partFaults reports a decision that does not have exactly the three parts, in their order, each with a text.
func partFaults(d decision) (faults []string) {
	parts := decisionPart.FindAllStringSubmatchIndex(d.text, -1)
	var names []string
	for i, p := range parts {
		names = append(names, d.text[p[2]:p[3]])
		end := len(d.text)
		if i+1 < len(parts) {
			end = parts[i+1][0]
		}
		if strings.TrimSpace(d.text[p[1]:end]) == "" {
			faults = append(faults, fmt.Sprintf("%s: decision %d: %s has no text", d.file, d.number, names[i]))
		}
	}
	if want := []string{"Context", "Decision", "Consequence"}; !slices.Equal(names, want) {
		faults = append(faults, fmt.Sprintf("%s: decision %d has the parts %q; it needs %q", d.file, d.number, names, want))
	}
	return faults
}

// referenceFaults reports the numbers that a text gives as decisions and that do not exist.
func referenceFaults(file, text string, highest int) (faults []string) {
	for _, m := range decisionReference.FindAllStringSubmatch(text, -1) {
		for _, digits := range number.FindAllString(m[1]+m[2], -1) {
			if n, err := strconv.Atoi(digits); err != nil || n < 1 || n > highest {
				faults = append(faults, fmt.Sprintf("%s: %q: the decisions end with number %d", file, m[0], highest))
			}
		}
	}
	return faults
}

// linkFaults reports links of a page into the decisions, or from them, whose target does not exist, and links whose words
// name another decision than their target. The anchors are those of the decisions' pages.
func linkFaults(file, text string, anchors map[string][]string, exists func(file string) bool) (faults []string) {
	for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[2], "://") {
			continue
		}
		target, fragment, _ := strings.Cut(m[2], "#")
		page := file
		if target != "" {
			page = filepath.Join(filepath.Dir(file), target)
		}
		known, ours := anchors[page]
		_, from := anchors[file]
		switch named := decisionReference.FindStringSubmatch(m[1]); {
		case ours && fragment != "" && !slices.Contains(known, fragment), from && !ours && !exists(page):
			faults = append(faults, fmt.Sprintf("%s: the link to %s has no target", file, m[2]))
		case !ours && filepath.Dir(page) == decisionsFolder:
			faults = append(faults, fmt.Sprintf("%s: the link to %s has no target", file, m[2]))
		case ours && named != nil && !strings.HasPrefix(fragment, named[1]+"-"):
			faults = append(faults, fmt.Sprintf("%s: the words are %q and the link is to %s", file, m[1], m[2]))
		}
	}
	return faults
}

// Every decision exists once, has its three parts and its row in the index, and every reference to one, in whatever text of
// the repository, leads somewhere. Comments and documents refer to decisions by number.
func TestDecisions(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("..", decisionsFolder, "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no chapters of decisions are found: %v", err)
	}
	var all []decision
	var faults []string
	anchors := map[string][]string{}
	for _, page := range append(pages, filepath.Join("..", decisionsIndex)) {
		text := readText(t, page)
		page = strings.TrimPrefix(page, "../")
		for _, h := range pageHeading.FindAllStringSubmatch(text, -1) {
			anchors[page] = append(anchors[page], anchor(h[1]))
		}
		all = append(all, sections(page, text)...)
		faults = append(faults, formFaults(page, text)...)
	}
	faults = append(faults, numberFaults(all)...)
	rows := decisionRow.FindAllString(readText(t, filepath.Join("..", decisionsIndex)), -1)
	highest := 0
	for _, d := range all {
		faults = append(faults, partFaults(d)...)
		highest = max(highest, d.number)
		if !slices.Contains(rows, d.row()) {
			faults = append(faults, fmt.Sprintf("%s has no row for decision %d: %s", decisionsIndex, d.number, d.row()))
		}
	}
	if len(rows) != len(all) {
		faults = append(faults, fmt.Sprintf("%s has %d rows for %d decisions", decisionsIndex, len(rows), len(all)))
	}
	exists := func(file string) bool { _, err := os.Stat(filepath.Join("..", file)); return err == nil }
	for file, text := range repositoryTexts(t) {
		faults = append(faults, referenceFaults(file, text, highest)...)
		if filepath.Ext(file) == ".md" {
			faults = append(faults, linkFaults(file, text, anchors, exists)...)
		}
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

// The checks find what they are for.
func TestDecisionChecks(t *testing.T) {
	t.Parallel()
	const good = "**Context.** Why.\n\n**Decision.** What.\n\n**Consequence.** Price.\n"
	chapter := func(text string) []decision { return sections("docs/decisions/a.md", text) }
	anchors := map[string][]string{"docs/decisions/a.md": {"1-first", "2-second"}}
	links := func(text string) []string {
		return linkFaults("docs/b.md", text, anchors, func(string) bool { return true })
	}
	two := chapter("# A\n\n## 1. First\n\n" + good + "\n## 2. Second\n\n" + good)
	word := "decision" // apart from its number, so that this file has no such reference
	for name, got := range map[string][]string{
		"a number twice":     numberFaults(chapter("## 1. First\n" + good + "## 1. Second\n" + good)),
		"a missing number":   numberFaults(chapter("## 1. First\n" + good + "## 3. Third\n" + good)),
		"out of order":       numberFaults(chapter("## 2. Second\n" + good + "## 1. First\n" + good)),
		"an item of a list":  formFaults("docs/decisions/a.md", "3. **Third.** Why.\n"),
		"in the index":       formFaults(decisionsIndex, "## 3. Third\n"+good),
		"a missing part":     partFaults(chapter("## 1. First\n**Context.** Why.\n\n**Decision.** What.\n")[0]),
		"an empty part":      partFaults(chapter("## 1. First\n" + strings.Replace(good, "Price.", "", 1))[0]),
		"a reference":        referenceFaults("a.go", "see "+word+" 3", 2),
		"a wrapped one":      referenceFaults("a.go", "// see "+word+"\n\t// 3 for why", 2),
		"the end of a range": referenceFaults("a.go", word+"s 1 to 3", 2),
		"in a list":          referenceFaults("a.go", word+"s 1, 2 and 3", 2),
		"an anchor":          links("[x](decisions/a.md#3-third)"),
		"a page":             links("[x](decisions/c.md)"),
		"another number":     links("[" + word + " 1](decisions/a.md#2-second)"),
	} {
		if len(got) != 1 {
			t.Errorf("%s: the faults are %q, want one", name, got)
		}
	}
	for name, got := range map[string][]string{
		"numbers": numberFaults(two), "parts": partFaults(two[1]), "form": formFaults(decisionsIndex, two[0].row()),
		"references": referenceFaults("a.go", word+"s 1 and 2. 3 others", 2),
		"links":      links("[" + word + " 1](decisions/a.md#1-first), [d](decisions/a.md), [e](https://example.com/decisions/c.md)"),
	} {
		if len(got) != 0 {
			t.Errorf("%s: the faults are %q, want none", name, got)
		}
	}
	if got, want := two[0].row(), "| 1 | [First](decisions/a.md#1-first) |"; got != want {
		t.Errorf("the row is %q, want %q", got, want)
	}
	if got, want := anchor("99. Check `OTEL_…`: not /livez's"), "99-check-otel_-not-livezs"; got != want {
		t.Errorf("the anchor is %q, want %q", got, want)
	}
}

// repositoryTexts are the texts of the repository that people write, by their files, seen from its root.
func repositoryTexts(t testing.TB) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name := entry.Name(); name == ".git" || name == "node_modules" || name == "testdata" {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil && utf8.Valid(content) && !bytes.ContainsRune(content, 0) {
			texts[strings.TrimPrefix(filepath.ToSlash(path), "../")] = string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func readText(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
