package documents

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The kinds of rules: for sentences, for names, and for phrases that are right.
const (
	prose = "prose"
	name  = "name"
	allow = "allow"
)

// hidden takes the place of what is not prose, byte by byte, so that a position stays what it is. It is no part of a word
// and no white space, so that no phrase reaches over it.
const hidden = '\x00'

// proseOf returns the text of a file with everything hidden that people do not read as sentences. It is empty for a file
// that has none.
func proseOf(t testing.TB, file, text string) string {
	t.Helper()
	switch filepath.Ext(file) {
	case ".md":
		return markdownProse(text)
	case ".go":
		return goProse(t, file, text)
	case ".yaml", ".yml", ".conf", ".service", ".tmpl", ".tpl", ".txt":
		return text
	case "":
		if base := filepath.Base(file); base == "Makefile" || base == "Dockerfile" || strings.HasPrefix(text, "#!") {
			return text
		}
	}
	return ""
}

var (
	fence      = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	codeSpan   = regexp.MustCompile("(?s)`[^`]*`")
	linkTarget = regexp.MustCompile(`\]\([^)\s]*\)`)
)

func markdownProse(text string) string {
	for _, code := range []*regexp.Regexp{fence, codeSpan, linkTarget} {
		text = code.ReplaceAllStringFunc(text, hide)
	}
	return text
}

// hide hides all but line ends.
func hide(s string) string {
	return string(hideBytes([]byte(s)))
}

func hideBytes(text []byte) []byte {
	for i, c := range text {
		if c != '\n' {
			text[i] = hidden
		}
	}
	return text
}

// goProse shows the comments of a Go file and, but for tests, the sentences among its strings: log messages, errors, help.
func goProse(t testing.TB, file, text string) string {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	shown := []byte(text)
	for i, c := range shown {
		if c != '\n' && c != ' ' && c != '\t' {
			shown[i] = hidden
		}
	}
	show := func(from token.Pos, s string) { copy(shown[set.Position(from).Offset:], s) }
	for _, group := range parsed.Comments {
		for _, c := range group.List {
			show(c.Pos(), strings.Replace(c.Text, "//", "  ", 1))
		}
	}
	if strings.HasSuffix(file, "_test.go") {
		return string(shown)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && f.Tag != nil {
			return false // a tag is no sentence, and what else is in a field has no strings
		}
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING && strings.Contains(s.Value, " ") {
			show(s.Pos(), s.Value)
		}
		return true
	})
	return string(shown)
}

// declared are the names that a Go file declares, with their lines. The name of the file is one of them.
func declared(t testing.TB, file, text string) map[string]int {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{strings.TrimSuffix(filepath.Base(file), ".go"): 1}
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id != nil && names[id.Name] == 0 {
				names[id.Name] = set.Position(id.Pos()).Line
			}
		}
	}
	add(parsed.Name)
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(n.Name)
		case *ast.TypeSpec:
			add(n.Name)
		case *ast.ValueSpec:
			add(n.Names...)
		case *ast.Field:
			add(n.Names...)
		case *ast.ImportSpec:
			add(n.Name)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				add(identsOf(n.Lhs...)...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				add(identsOf(n.Key, n.Value)...)
			}
		}
		return true
	})
	return names
}

func identsOf(expressions ...ast.Expr) []*ast.Ident {
	var ids []*ast.Ident
	for _, e := range expressions {
		if id, ok := e.(*ast.Ident); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

var (
	beforeCapital = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	afterAcronym  = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// wordsOf takes a name apart: "publishAcked" is "publish Acked", and "HTTPServer_x" is "HTTP Server x".
func wordsOf(name string) string {
	name = beforeCapital.ReplaceAllString(name, "$1 $2")
	name = afterAcronym.ReplaceAllString(name, "$1 $2")
	return strings.NewReplacer("_", " ", "-", " ", ".", " ").Replace(name)
}
