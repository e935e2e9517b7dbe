// Package size checks the size of packages, files and types.
package size

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mostLines limits the lines that somebody has to read at once, without tests and generated files. A folder's own row comes
// first, then that of the nearest folder above it.
var mostLines = map[string]int{
	"cmd":                 50, // main only starts the command line
	"internal":            2000,
	"internal/bus":        1500,
	"internal/sim/tenant": 4000, // factro's objects are one state with one lock
	"pkg":                 2000,
}

const (
	bus           = "internal/bus"
	mostFileLines = 300
	mostMethods   = 25
)

// TestSizes: no package, file or type is larger than one can read at once.
func TestSizes(t *testing.T) {
	t.Parallel()
	packages, methods := map[string]int{}, map[string]int{}
	files := token.NewFileSet()
	for _, root := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join("..", "..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			path, err = filepath.Rel(filepath.Join("..", ".."), path)
			if err != nil {
				return err
			}
			folder := filepath.ToSlash(filepath.Dir(path))
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv != nil {
					methods[folder+"."+receiver(fn)]++
				}
			}
			if ast.IsGenerated(f) {
				return nil
			}
			lines := files.Position(f.FileEnd).Line
			packages[folder] += lines
			if inBus(folder) && lines > mostFileLines {
				t.Errorf("%s has %d lines, more than %d", path, lines, mostFileLines)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(packages) < 20 {
		t.Fatalf("only %d packages were found", len(packages))
	}
	for folder, lines := range packages {
		if limit := limitOf(folder); lines > limit {
			t.Errorf("%s has %d lines, more than %d", folder, lines, limit)
		}
	}
	for name, n := range methods {
		if inBus(name) && n > mostMethods {
			t.Errorf("%s has %d methods, more than %d", name, n, mostMethods)
		}
	}
}

func inBus(name string) bool {
	return name == bus || strings.HasPrefix(name, bus+"/") || strings.HasPrefix(name, bus+".")
}

// limitOf is the limit of the nearest folder that has one.
func limitOf(folder string) int {
	for {
		if limit, ok := mostLines[folder]; ok {
			return limit
		}
		above := strings.LastIndexByte(folder, '/')
		if above < 0 {
			return 0
		}
		folder = folder[:above]
	}
}

// receiver is the name of a method's type.
func receiver(fn *ast.FuncDecl) string {
	name := fmt.Sprint(fn.Recv.List[0].Type)
	if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
		name = fmt.Sprint(star.X)
	}
	return slices.Concat(strings.SplitN(name, "[", 2))[0]
}
