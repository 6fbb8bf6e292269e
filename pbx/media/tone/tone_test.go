package tone

import (
	"math"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

// read returns the samples of some time, and whether the source went on.
func read(s media.Source, d time.Duration) ([]int16, bool) {
	out := make([]int16, samples(d))
	for at := 0; at < len(out); at += 160 {
		if !s.Read(out[at:min(at+160, len(out))]) {
			return out[:at], false
		}
	}
	return out, true
}

func loud(s []int16) bool {
	for _, v := range s {
		if v > 100 || v < -100 {
			return true
		}
	}
	return false
}

func TestSine(t *testing.T) {
	s, _ := read(Sine(1000, 0.5), time.Second)
	if got := Share(s, 1000); got < 0.999 {
		t.Errorf("share of 1000 Hz is %.4f", got)
	}
	if got := Share(s, 440, 1100); got > 0.001 {
		t.Errorf("share of other tones is %.4f", got)
	}
	if got := Level(s, 1000); math.Abs(got-0.5) > 0.005 {
		t.Errorf("level %.3f, want 0.5", got)
	}
}

func TestDetectNothing(t *testing.T) {
	silence, _ := read(Silence(), time.Second)
	for name, s := range map[string][]int16{"no samples": nil, "silence": silence} {
		if got := Share(s, 440); got != 0 {
			t.Errorf("%s: share %.3f", name, got)
		}
		if got := Level(s, 440); got != 0 {
			t.Errorf("%s: level %.3f", name, got)
		}
	}
}

// TestCountries looks at what a caller hears in the first second and after it.
func TestCountries(t *testing.T) {
	tests := []struct {
		name    string
		source  media.Source
		tones   []float64
		on, off time.Duration // the first of each
	}{
		{"ringback KR", Ringback("kr"), []float64{440, 480}, time.Second, 2 * time.Second},
		{"ringback JP", Ringback("JP"), []float64{400, 384, 416}, time.Second, 2 * time.Second},
		{"ringback US", Ringback("US"), []float64{440, 480}, 2 * time.Second, 4 * time.Second},
		{"ringback GB", Ringback("GB"), []float64{400, 450}, 400 * ms, 200 * ms},
		{"ringback TW", Ringback("TW"), []float64{450}, time.Second, 4 * time.Second},
		{"ringback DE", Ringback("DE"), []float64{425}, time.Second, 4 * time.Second},
		{"ringback nowhere", Ringback(""), []float64{425}, time.Second, 4 * time.Second},
		{"busy KR", Busy("KR"), []float64{480, 620}, 500 * ms, 500 * ms},
		{"busy JP", Busy("JP"), []float64{400}, 500 * ms, 500 * ms},
		{"busy GB", Busy("GB"), []float64{400}, 375 * ms, 375 * ms},
		{"busy CN", Busy("CN"), []float64{450}, 350 * ms, 350 * ms},
		{"busy FR", Busy("FR"), []float64{425}, 500 * ms, 500 * ms},
		{"hold", Hold(), []float64{425}, 150 * ms, 150 * ms},
		{"confirm", Confirm(), []float64{660}, 160 * ms, 60 * ms},
		{"unavailable", Unavailable("KR"), []float64{950}, 330 * ms, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, more := read(tt.source, 8*time.Second)
			if !more {
				t.Fatal("ended")
			}
			on, off := all[:samples(tt.on)], all[samples(tt.on):samples(tt.on+tt.off)]
			if got := Share(on, tt.tones...); got < 0.98 {
				t.Errorf("share of %v in the first %v is %.3f", tt.tones, tt.on, got)
			}
			if loud(off) {
				t.Errorf("not silent for %v after it", tt.off)
			}
			if !loud(all[samples(tt.on+tt.off):]) {
				t.Error("silent ever after")
			}
		})
	}
}

func TestUnavailableEndsInBusy(t *testing.T) {
	all, _ := read(Unavailable("KR"), 10*time.Second)
	begin := samples(3*330*ms + 1000*ms)
	if got := Share(all[begin:begin+samples(500*ms)], 480, 620); got < 0.95 {
		t.Errorf("share of busy tone is %.3f", got)
	}
}

func TestPatternEnds(t *testing.T) {
	s := Pattern(0.5, false, Step{Tones: []float64{500}, For: 30 * ms})
	got, _ := read(s, 40*ms)
	if len(got) != 320 || !loud(got[160:240]) || loud(got[240:]) {
		t.Errorf("%d samples; want 30 ms of tone and 10 ms of silence", len(got))
	}
	if s.Read(make([]int16, 160)) {
		t.Error("went on after the end")
	}
}

func TestForEnds(t *testing.T) {
	if got, more := read(For(Sine(500, 0.5), time.Second), 2*time.Second); more || len(got) != 8000 {
		t.Errorf("%d samples, more %v; want 8000 and the end", len(got), more)
	}
}

func TestSumIsClipped(t *testing.T) {
	s, _ := read(Pattern(1, true, Step{Tones: []float64{1000, 1000}}), 100*ms)
	for i, v := range s {
		if v == math.MinInt16 {
			t.Fatalf("sample %d went over", i)
		}
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	frame := make([]int16, 160)
	for name, s := range map[string]media.Source{"ringback": Ringback("JP"), "chain": Unavailable("KR"), "limited": For(Hold(), time.Hour)} {
		if n := testing.AllocsPerRun(1000, func() { s.Read(frame) }); n != 0 {
			t.Errorf("%s: %v allocations per frame", name, n)
		}
	}
}

func BenchmarkRingback(b *testing.B) {
	s, frame := Ringback("KR"), make([]int16, 160)
	for b.Loop() {
		s.Read(frame)
	}
}
