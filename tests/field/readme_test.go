package field

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// leastRows is how many situations the table has at least.
const leastRows = 80

// README.md names rows that are there, says of each where it comes from, and leaves out no test.
func TestREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	must(t, err)
	tests, texts := source(t)
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || !strings.HasPrefix(strings.TrimSpace(cells[0]), "Test") {
			continue
		}
		rows++
		test, row, _ := strings.Cut(strings.TrimSpace(cells[0]), "/")
		if _, there := tests[test]; !there {
			t.Errorf("there is no %s", test)
		}
		tests[test] = true
		if row != "" && !texts[row] {
			t.Errorf("%s has no row %q", test, row)
		}
		if !regexp.MustCompile(`\[[\w.-]+/[\w.-]+#\d+\]\(https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+\)|our own`).MatchString(cells[2]) {
			t.Errorf("%s/%s does not say where it comes from: %s", test, row, cells[2])
		}
	}
	if rows < leastRows {
		t.Errorf("%d rows, want at least %d", rows, leastRows)
	}
	for test, named := range tests {
		if !named && test != t.Name() && test != "TestMain" {
			t.Errorf("README.md does not name %s", test)
		}
	}
}

// source returns the tests of this folder, and all texts and numbers that its programs hold.
func source(t *testing.T) (tests, texts map[string]bool) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	must(t, err)
	tests, texts = map[string]bool{}, map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if strings.HasPrefix(n.Name.Name, "Test") {
					tests[n.Name.Name] = false
				}
			case *ast.BasicLit:
				text := n.Value
				if unquoted, err := strconv.Unquote(text); err == nil {
					text = unquoted
				}
				texts[text] = true
			}
			return true
		})
	}
	return tests, texts
}
