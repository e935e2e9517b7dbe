package firsthour

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// README.md lists all rows, each once, and no other.
func TestREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	must(t, err)
	var listed, there []string
	for _, m := range regexp.MustCompile(`(?m)^\| (Test\w+) \| \S`).FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, m[1])
	}
	files, err := filepath.Glob("*_test.go")
	must(t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		must(t, err)
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" && f.Name.Name != t.Name() {
				there = append(there, f.Name.Name)
			}
		}
	}
	slices.Sort(listed)
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Errorf("README.md lists\n%s\nand there are\n%s", strings.Join(listed, " "), strings.Join(there, " "))
	}
}
