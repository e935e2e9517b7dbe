package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every line of SECURITY.md that describes a protection names its tests, and all of them exist.
func TestSecurityNamesItsTests(t *testing.T) {
	t.Parallel()
	const file, heading = "../../SECURITY.md", "| Test |"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`")
	tests, lines, inTable := map[string]string{}, 0, false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
			continue
		case strings.HasSuffix(line, heading):
			inTable = true
			continue
		case !inTable, strings.HasPrefix(line, "|---"):
			continue
		}
		lines++
		cells := strings.Split(strings.Trim(line, "|"), "|")
		found := named.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 4 || len(found) == 0 || len(found) != strings.Count(cells[len(cells)-1], "`")/2 {
			t.Errorf("want four cells, and tests such as `tests/hostile.TestOddIDs` in the last one: %s", line)
		}
		for _, m := range found {
			folder, name := m[1], m[2]
			if _, read := tests[folder]; !read {
				tests[folder] = testFiles(t, filepath.Join("../..", folder))
			}
			if !strings.Contains(tests[folder], "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("%s has no test %s: %s", folder, name, line)
			}
		}
	}
	if lines < 20 {
		t.Errorf("found %d lines only: the search is broken", lines)
	}
}

// testFiles is the text of all tests in a folder.
func testFiles(t testing.TB, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
