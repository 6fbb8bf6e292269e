package resample

import (
	"fmt"
	"math"
	"testing"
)

func ways() [][2]int {
	return [][2]int{{8000, 16000}, {16000, 8000}, {8000, 48000}, {48000, 8000}, {16000, 48000}, {48000, 16000}, {8000, 8000}}
}

func tone(rate int, hertz float64) []int16 {
	out := make([]int16, rate)
	for i := range out {
		out[i] = int16(math.Round(10000 * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate))))
	}
	return out
}

// run filters frame by frame.
func run(t *testing.T, from, to int, in []int16) []int16 {
	t.Helper()
	r, err := New(from, to)
	if err != nil {
		t.Fatal(err)
	}
	frame, out := make([]int16, to/50), []int16(nil)
	for ; len(in) >= from/50; in = in[from/50:] {
		if n := Do(r, frame, in[:from/50]); n != to/50 {
			t.Fatalf("%d samples of 20 ms at %d Hz", n, to)
		}
		out = append(out, frame...)
	}
	return out
}

func TestTonesPass(t *testing.T) {
	for _, way := range ways() {
		for _, hertz := range []float64{300, 1000, 3000, 3400} {
			t.Run(fmt.Sprint(way, hertz), func(t *testing.T) {
				out := run(t, way[0], way[1], tone(way[0], hertz))
				level, snr := measure(out[len(out)/4:], hertz, way[1])
				if math.Abs(level-10000) > 100 || snr < 70 {
					t.Errorf("level %.0f, want 10000; %.1f dB above the rest, want 70", level, snr)
				}
			})
		}
	}
}

// TestAliases: what the lower rate cannot carry must not come back as another
// tone.
func TestAliases(t *testing.T) {
	for _, tc := range []struct {
		from, to int
		hertz    float64
	}{{16000, 8000, 5000}, {16000, 8000, 7000}, {48000, 8000, 6000}, {48000, 8000, 20000}, {48000, 16000, 10000}} {
		out := run(t, tc.from, tc.to, tone(tc.from, tc.hertz))
		var peak int16
		for _, v := range out[len(out)/4:] {
			peak = max(peak, v, -v)
		}
		if peak > 10 { // 60 dB down
			t.Errorf("%v Hz from %d to %d Hz: comes through with %d of 10000", tc.hertz, tc.from, tc.to, peak)
		}
	}
}

// measure returns a tone's amplitude and by how much it stands above the rest.
func measure(y []int16, hertz float64, rate int) (amplitude, snr float64) {
	var s, c float64
	at := func(i int) (float64, float64) { return math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate)) }
	for i, v := range y {
		si, co := at(i)
		s, c = s+float64(v)*si, c+float64(v)*co
	}
	n := float64(len(y))
	s, c = 2*s/n, 2*c/n
	var tone, rest float64
	for i, v := range y {
		si, co := at(i)
		w := s*si + c*co
		tone += w * w
		rest += (float64(v) - w) * (float64(v) - w)
	}
	return math.Hypot(s, c), 10 * math.Log10(tone/rest)
}

// TestFramesJoin: how the audio is cut changes nothing.
func TestFramesJoin(t *testing.T) {
	for _, way := range ways() {
		in := tone(way[0], 1234)
		whole, err := New(way[0], way[1])
		if err != nil {
			t.Fatal(err)
		}
		want := make([]int16, way[1])
		if n := Do(whole, want, in); n != way[1] {
			t.Fatalf("%v: %d samples of a second", way, n)
		}
		got := run(t, way[0], way[1], in)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v: sample %d is %d in frames and %d in one piece", way, i, got[i], want[i])
			}
		}
	}
}

func TestSumsAreCutOff(t *testing.T) {
	r, err := New(8000, 16000)
	if err != nil {
		t.Fatal(err)
	}
	in, out := make([]int32, 800), make([]int32, 1600)
	for i := range in {
		in[i] = 100_000
	}
	Do(r, out, in)
	if out[800] != math.MaxInt16 {
		t.Errorf("the sum 100000 became %d", out[800])
	}
}

func TestUnknownRates(t *testing.T) {
	if _, err := New(8000, 44100); err == nil {
		t.Error("44100 Hz was taken")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	r, err := New(48000, 8000)
	if err != nil {
		t.Fatal(err)
	}
	in, out := make([]int16, 960), make([]int16, 160)
	if n := testing.AllocsPerRun(100, func() { Do(r, out, in) }); n != 0 {
		t.Errorf("%v allocations in a frame", n)
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, way := range ways() {
		b.Run(fmt.Sprint(way), func(b *testing.B) {
			r, err := New(way[0], way[1])
			if err != nil {
				b.Fatal(err)
			}
			in, out := make([]int16, way[0]/50), make([]int16, way[1]/50)
			for b.Loop() {
				Do(r, out, in)
			}
		})
	}
}
