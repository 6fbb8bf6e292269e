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
	maxTestFile  = 1200 // tables are long and flat
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
		if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > maxFunction {
			list = append(list, fmt.Sprintf("%s: %s has %d lines: at most %d", set.Position(f.Pos()), f.Name.Name, n, maxFunction))
		}
	}
	return list
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
