package load

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
	"testing/synctest"
)

func TestTending(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name  string
		live  uint64
		limit int64
		want  int
	}{
		{"a small heap", 8 * mib, math.MaxInt64, 400},
		{"a larger one", 24 * mib, math.MaxInt64, 200},
		{"one beyond the room", 100 * mib, math.MaxInt64, 100},
		{"nothing known", 0, 0, 400},
		{"a small limit", 8 * mib, 128 * mib, 200},
		{"a tiny limit", 8 * mib, 32 * mib, 100},
		{"in steps", 25 * mib, math.MaxInt64, 175},
	} {
		g := tending{percent: usualPercent}
		if got, collect := g.next(tt.live, busyRate, tt.limit); got != tt.want || collect {
			t.Errorf("%s: %d %%, collect %t; want %d %%, false", tt.name, got, collect, tt.want)
		}
	}
}

// TestGarbageIsCollectedOnceWhenItIsCalm and not while it is only quieter for a
// moment.
func TestGarbageIsCollectedOnceWhenItIsCalm(t *testing.T) {
	g := tending{percent: usualPercent}
	step := func(made uint64, wantPercent int, wantCollect bool) {
		t.Helper()
		if p, c := g.next(1<<20, made, 0); p != wantPercent || c != wantCollect {
			t.Errorf("%d %%, collect %t; want %d %%, %t", p, c, wantPercent, wantCollect)
		}
	}
	for range 2 * calmAfter {
		step(0, usualPercent, false)
	}
	for range 2 {
		step(busyRate, mostPercent, false)
		step(0, mostPercent, false)
	}
	for range calmAfter - 2 {
		step(busyRate-1, mostPercent, false)
	}
	step(0, usualPercent, true)
	for range 2 * calmAfter {
		step(0, usualPercent, false)
	}
}

// TestWhatSomebodyChoseStays, and what TendGarbage has set ends with it.
func TestWhatSomebodyChoseStays(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(250))
	TendGarbage(t.Context()) // returns
	if got := debug.SetGCPercent(usualPercent); got != 250 {
		t.Errorf("250 %% became %d %%", got)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); TendGarbage(ctx) }()
		synctest.Wait()
		stop()
		<-done
	})
	if got := debug.SetGCPercent(usualPercent); got != usualPercent {
		t.Errorf("%d %% is left", got)
	}
}
