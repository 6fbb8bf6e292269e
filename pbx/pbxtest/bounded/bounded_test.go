package bounded

import (
	"strings"
	"testing"
)

// recorded takes the place of a test that shall fail.
type recorded struct {
	testing.TB
	failed bool
}

func (r *recorded) Helper()               {}
func (r *recorded) Fatalf(string, ...any) { r.failed = true }

func TestRun(t *testing.T) {
	var kept []string
	for _, tc := range []struct {
		input, allocate int
		fails           bool
	}{
		{0, 0, false},
		{100, 1000, false},
		{0, 8 << 20, true},
		{100, 8 << 20, true},
		{64 << 10, 8 << 20, false},
	} {
		r := &recorded{TB: t}
		Run(r, tc.input, func() { kept = append(kept, strings.Repeat("x", tc.allocate)) })
		if r.failed != tc.fails {
			t.Errorf("%d bytes for an input of %d: fails is %v", tc.allocate, tc.input, r.failed)
		}
	}
	if len(kept) != 5 {
		t.Error(len(kept))
	}
}
