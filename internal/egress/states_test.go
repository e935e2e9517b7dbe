package egress

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("update", false, "rewrite docs/commands.md instead of comparing with it")

// states are all states in order.
func states() (all []state) {
	for s := range settled + 1 {
		all = append(all, s)
	}
	return all
}

// TestTransitions: every state has a function and a row, can be reached from the beginning, and can reach the end.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, s := range states() {
		reached := func(from, to state) bool {
			seen := map[state]bool{}
			var walk func(state) bool
			walk = func(at state) bool {
				if at == to {
					return true
				}
				seen[at] = true
				for _, next := range transitions[at] {
					if !seen[next] && walk(next) {
						return true
					}
				}
				return false
			}
			return walk(from)
		}
		if !reached(planning, s) || !reached(s, settled) {
			t.Errorf("%s: reachable from the beginning %t, reaches the end %t", s, reached(planning, s), reached(s, settled))
		}
		if (actions[s] == nil) != (s == settled) || (len(transitions[s]) == 0) != (s == settled) || s.String() == "" {
			t.Errorf("%s: its function, its row or its name is missing", s)
		}
	}
	if len(actions) != int(settled) || len(transitions) != int(settled) || len(stateNames) != int(settled)+1 {
		t.Error("there is a row, a function or a name without a state")
	}
}

// TestFindings: the function of a state can return exactly the findings in its row. So every finding is handled, and every arrow in
// the diagram is possible.
func TestFindings(t *testing.T) {
	t.Parallel()
	p := parsed(t)
	names := map[string]finding{}
	for f := range finding(len(findingNames)) {
		names[p.findings[f]] = f
	}
	for _, s := range states()[:settled] {
		can := map[finding]bool{}
		p.returns(p.actions[s], names, can, map[string]bool{})
		for f := range can {
			if _, handled := transitions[s][f]; !handled {
				t.Errorf("%s can return %q (%s), but has no transition for it", s, f, p.findings[f])
			}
		}
		for f := range transitions[s] {
			if !can[f] {
				t.Errorf("%s has a transition for %q (%s), but never returns it", s, f, p.findings[f])
			}
		}
	}
}

// source is what the tests read from this package's code.
type source struct {
	funcs    map[string]*ast.FuncDecl // those that return a finding
	file     map[string]string        // where they are
	actions  map[state]string
	findings []string // the names of the constants
	about    []string // the comment on each state
}

func parsed(t *testing.T) source {
	t.Helper()
	s := source{funcs: map[string]*ast.FuncDecl{}, file: map[string]string{}, actions: map[state]string{}}
	var constants []string // of the states
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var works *ast.CompositeLit
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if r := d.Type.Results; r != nil && len(r.List) == 1 && isNamed(r.List[0].Type, "finding") {
					s.funcs[d.Name.Name], s.file[d.Name.Name] = d, name
				}
			case *ast.GenDecl:
				for i, spec := range d.Specs {
					v, ok := spec.(*ast.ValueSpec)
					if !ok {
						continue
					}
					first, _ := d.Specs[0].(*ast.ValueSpec)
					switch {
					case d.Tok == token.CONST && isNamed(first.Type, "state"):
						constants = append(constants, v.Names[0].Name)
						s.about = append(s.about, strings.TrimSpace(v.Comment.Text()))
					case d.Tok == token.CONST && isNamed(first.Type, "finding"):
						s.findings = append(s.findings, v.Names[0].Name)
					case i == 0 && v.Names[0].Name == "actions":
						works, _ = v.Values[0].(*ast.CompositeLit)
					}
				}
			}
		}
	}
	for _, e := range works.Elts {
		kv, _ := e.(*ast.KeyValueExpr)
		key, _ := kv.Key.(*ast.Ident)
		method, _ := kv.Value.(*ast.SelectorExpr)
		s.actions[state(slices.Index(constants, key.Name))] = method.Sel.Name
	}
	return s
}

func isNamed(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// returns collects the findings that a function can return: those that it names, and those of the functions that it calls. A goOn
// from such a function does not end it, unless it is returned at once.
func (s source) returns(name string, names map[string]finding, can map[finding]bool, seen map[string]bool) {
	if seen[name] {
		return
	}
	seen[name] = true
	ast.Inspect(s.funcs[name].Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ReturnStmt:
			for _, r := range n.Results {
				if id, ok := r.(*ast.Ident); ok {
					if f, is := names[id.Name]; is {
						can[f] = true
					}
				}
				if callee := called(r); s.funcs[callee] != nil {
					s.returns(callee, names, can, seen)
				}
			}
		case *ast.AssignStmt:
			for _, r := range n.Rhs {
				callee := called(r)
				if s.funcs[callee] == nil {
					continue
				}
				asked := map[finding]bool{}
				s.returns(callee, names, asked, maps.Clone(seen))
				delete(asked, goOn)
				maps.Copy(can, asked)
			}
		}
		return true
	})
}

// called is the name of the function or method that an expression calls.
func called(e ast.Expr) string {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return ""
	}
	if method, ok := call.Fun.(*ast.SelectorExpr); ok {
		return method.Sel.Name
	}
	return ""
}

// TestCommandsPage: docs/commands.md shows the states as they are.
func TestCommandsPage(t *testing.T) {
	t.Parallel()
	const page = "../../docs/commands.md"
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := replaced(t, string(old), "states", table(parsed(t)))
	text = replaced(t, text, "diagram", diagram())
	if text == string(old) {
		return
	}
	if !*rewrite {
		t.Fatal("docs/commands.md is stale; rewrite it: go test ./internal/egress -run TestCommandsPage -update")
	}
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaced puts a generated part between its marks.
func replaced(t *testing.T, page, name, part string) string {
	t.Helper()
	begin, end := "<!-- "+name+": generated -->\n", "<!-- "+name+": end -->"
	before, rest, found := strings.Cut(page, begin)
	_, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("docs/commands.md has no part %s", name)
	}
	return before + begin + "\n" + part + "\n" + end + after
}

// diagram draws the transitions in the language of Mermaid.
func diagram() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "```mermaid\nstateDiagram-v2\n    [*] --> %s\n", planning)
	for _, from := range states() {
		for _, to := range states() {
			var why []string
			for f := range finding(len(findingNames)) {
				if next, ok := transitions[from][f]; ok && next == to {
					why = append(why, f.String())
				}
			}
			if why != nil {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(why, ", "))
			}
		}
	}
	fmt.Fprintf(&b, "    %s --> [*]\n```\n", settled)
	return b.String()
}

// table lists the states with the code that does their work.
func table(s source) string {
	var b bytes.Buffer
	b.WriteString("| State | What it is about | Code |\n|---|---|---|\n")
	for _, at := range states() {
		code := "the bus"
		if at != settled {
			code = fmt.Sprintf("`Worker.%s` in `internal/egress/%s`", s.actions[at], s.file[s.actions[at]])
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", at, s.about[at], code)
	}
	return b.String()
}
