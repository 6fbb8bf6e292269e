package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFind: every target of the house is found, with none named anywhere.
func TestFind(t *testing.T) {
	t.Chdir("../..")
	list, err := find("pbx", []string{"pbx/phone"})
	if err != nil {
		t.Fatal(err)
	}
	// The parsers that the network feeds: one that loses its target is noticed.
	for _, want := range []target{
		{"pbx/sipua/gate", "FuzzScan"},
		{"pbx/sipua/gate", "FuzzFramer"},
		{"pbx/sipua/gate", "FuzzBinding"},
		{"pbx/sipua/edge", "FuzzRegister"},
		{"pbx/sipua/txn", "FuzzParse"},
		{"pbx/sipua/message", "FuzzHeaders"},
		{"pbx/sdp", "FuzzAnswer"},
		{"pbx/media/rtpio", "FuzzParse"},
		{"pbx/media/rtpio", "FuzzHandle"},
		{"pbx/media/dtmf", "FuzzEvent"},
		{"pbx/web", "FuzzCallback"},
		{"pbx/works", "FuzzDecodeCallback"},
	} {
		if !slices.Contains(list, want) {
			t.Errorf("%s is not found", want)
		}
	}
	if slices.ContainsFunc(list, func(f target) bool { return strings.HasPrefix(f.dir, "pbx/phone") }) {
		t.Error("a folder that is left out was searched")
	}
	if got := chosen(list, "gate.FuzzScan"); len(got) != 1 {
		t.Errorf("one is chosen, got %v", got)
	}
}

func TestOutOfTime(t *testing.T) {
	for text, want := range map[string]bool{
		"fuzz: elapsed: 9s\n--- FAIL: FuzzX (9.15s)\n    context deadline exceeded\nFAIL\n":                                                            true,
		"--- FAIL: FuzzX (9.15s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:9: context deadline exceeded\n    Failing input written to x\nFAIL\n": false,
		"--- FAIL: FuzzX (9.15s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\nFAIL\n":                                          false,
		"panic: x\n": false,
		"":           false,
	} {
		if got := outOfTime(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestRun: a target that finds nothing passes, one that finds something fails
// the run and is named.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.test/x\n\ngo 1.26\n")
	write("x.go", "package x\n")
	write("x_test.go", `package x

import "testing"

func FuzzGood(f *testing.F) { f.Fuzz(func(*testing.T, []byte) {}) }

func FuzzBad(f *testing.F) {
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, _ []byte) { t.Fatal("found") })
}
`)
	t.Chdir(dir)
	var out strings.Builder
	if err := run(t.Context(), []string{"-root", ".", "-time", "10x", "-only", "Good"}, &out); err == nil {
		t.Error("10x is no duration")
	}
	if err := run(t.Context(), []string{"-root", ".", "-time", "1s", "-only", "Good"}, &out); err != nil || !strings.Contains(out.String(), "execs") {
		t.Errorf("%v: %s", err, &out)
	}
	if err := run(t.Context(), []string{"-root", ".", "-time", "1s"}, &out); err == nil || !strings.Contains(err.Error(), "FuzzBad") || !strings.Contains(err.Error(), "found") {
		t.Errorf("%v: %s", err, &out)
	}
	if err := run(t.Context(), []string{"-root", ".", "-only", "none"}, &out); err == nil {
		t.Error("no target, no error")
	}
}
