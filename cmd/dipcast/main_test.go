package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/keeper"
)

func TestProgramName(t *testing.T) {
	for argv0, want := range map[string]string{
		"dipcast": "dipcast", "/usr/local/bin/dipcast": "dipcast", "": "dipcast",
		"kubectl-dipcast": "kubectl dipcast", "/home/x/.krew/bin/kubectl-dipcast": "kubectl dipcast", "kubectl-dipcast.exe": "kubectl dipcast",
	} {
		if got := programName(argv0); got != want {
			t.Errorf("%q: %q, want %q", argv0, got, want)
		}
	}
}

func TestUsageNamesTheProgram(t *testing.T) {
	for _, program := range []string{"dipcast", "kubectl dipcast"} {
		for _, args := range [][]string{{"help"}, {"nonsense"}, {}, {"status", "-h"}, {"drain"}} {
			var out, errs bytes.Buffer
			code := run(t.Context(), keeper.Alone(), program, args, nil, &out, &errs)
			if text := out.String() + errs.String(); !strings.Contains(text, program+" ") {
				t.Errorf("%s %q: exit %d\n%s", program, args, code, text)
			}
		}
	}
}
