package hack

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a reader can hold in the head in one sitting, in lines.
const (
	maxFunction  = 80
	maxFile      = 600
	maxTypesFile = 800  // the CRD types are mostly field docs
	maxTestFile  = 1000 // tables are long and flat
	maxPackage   = 2500 // hand-written, without tests
)

func TestSizes(t *testing.T) {
	packages := make(map[string]int)
	for _, file := range goFiles(t) {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if head, _, _ := bytes.Cut(src, []byte("\npackage ")); bytes.Contains(head, []byte("Code generated")) {
			continue
		}
		lines := bytes.Count(src, []byte("\n"))
		limit := maxFile
		switch {
		case strings.HasSuffix(file, "_test.go"):
			limit = maxTestFile
		case strings.HasSuffix(file, "_types.go"):
			limit = maxTypesFile
		}
		if lines > limit {
			t.Errorf("%s has %d lines: at most %d; split it by topic", file, lines, limit)
		}
		if !strings.HasSuffix(file, "_test.go") {
			packages[filepath.Dir(file)] += lines
		}
		for _, long := range longFunctions(t, file, src) {
			t.Error(long)
		}
	}
	for dir, lines := range packages {
		if lines > maxPackage {
			t.Errorf("package %s has %d lines: at most %d; take a part out", dir, lines, maxPackage)
		}
	}
}

// TestNothingGlobalIsMutable: what everybody can write nobody can reason about.
// A package keeps no map, slice, pointer or channel but errors, compiled
// patterns, embedded files and values that are made once by sync.
func TestNothingGlobalIsMutable(t *testing.T) {
	for _, file := range goFiles(t) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			vars, ok := d.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, s := range vars.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if name.Name != "_" && (i < len(spec.Values) && mutable(spec.Values[i]) || len(spec.Values) == 0 && mutableType(spec.Type)) {
						t.Errorf("%s: %s is global and can be changed: make it a function or hand it in", set.Position(name.Pos()), name.Name)
					}
				}
			}
		}
	}
}

// mutable reports whether a variable that begins as e can be changed by who
// holds it.
func mutable(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		return mutableType(e.Type)
	case *ast.UnaryExpr:
		c, ok := e.X.(*ast.CompositeLit)
		return ok && fmt.Sprint(c.Type) != "Error" // pbx.ErrGone and its like
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.Ident:
			return f.Name == "make" || f.Name == "new"
		case *ast.SelectorExpr:
			return fmt.Sprint(f.X) == "strings" || fmt.Sprint(f.X) == "slices" || fmt.Sprint(f.X) == "maps"
		}
	}
	return false
}

func mutableType(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.MapType, *ast.ChanType, *ast.StarExpr:
		return true
	case *ast.ArrayType:
		return e.Len == nil // a slice
	}
	return false
}

func longFunctions(t *testing.T, file string, src []byte) (list []string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
		if strings.HasSuffix(file, "_test.go") {
			n -= tableRows(set, f)
		}
		if n > maxFunction {
			list = append(list, fmt.Sprintf("%s: %s has %d lines: at most %d", set.Position(f.Pos()), f.Name.Name, n, maxFunction))
		}
	}
	return list
}

// tableRows is how many lines of a test are the rows of its table: they are
// data, which is read row by row.
func tableRows(set *token.FileSet, f *ast.FuncDecl) (lines int) {
	ast.Inspect(f, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if rows, ok := table.Type.(*ast.ArrayType); !ok || rows.Len != nil {
			return true
		}
		lines += set.Position(table.Rbrace).Line - set.Position(table.Lbrace).Line
		return false
	})
	return lines
}

// goFiles lists the tracked and the new Go files, generated ones and test
// data left out.
func goFiles(t *testing.T) (files []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-co", "--exclude-standard", "*.go")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if strings.Contains(name, "zz_generated") || strings.Contains(name, "testdata/") {
			continue
		}
		if path := filepath.Join("..", name); fileExists(path) {
			files = append(files, path)
		}
	}
	if len(files) == 0 {
		t.Fatal("no Go files found: the limits would guard nothing")
	}
	return files
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
