package pbxtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media/audiofile"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// toneLevel is loud enough to dominate and far from clipping.
const toneLevel = 0.4

// Tone returns a tone's 8 kHz samples.
func Tone(hz float64, length time.Duration) []int16 {
	samples := make([]int16, int(length*codec.ClockRate/time.Second))
	tone.Sine(hz, toneLevel).Read(samples)
	return samples
}

// WriteTone writes a tone as a WAV file into the test's temporary folder and
// returns its path.
func WriteTone(tb testing.TB, hz float64, length time.Duration) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "tone.wav")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := audiofile.Write(f, audiofile.NewSound(Tone(hz, length)), audiofile.PCM16); err != nil {
		tb.Fatal(err)
	}
	return path
}

// WriteRawTone writes a tone as headerless G.711, as sipp's rtp_stream wants
// it, and returns its path.
func WriteRawTone(tb testing.TB, law codec.Law, hz float64, length time.Duration) string {
	tb.Helper()
	samples := Tone(hz, length)
	b := make([]byte, len(samples))
	law.Encode(b, samples)
	path := filepath.Join(tb.TempDir(), "tone.raw")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// BestShare returns the largest share of the energy that the frequency has in
// any stretch of that length of the WAV file: 1 for a clean tone. A recording
// has ringing, silence and clicks around what is to be proven.
func BestShare(tb testing.TB, path string, hz float64, stretch time.Duration) float64 {
	tb.Helper()
	s, err := audiofile.Read(path)
	if err != nil {
		tb.Fatal(err)
	}
	return bestShare(s.Samples(), hz, stretch)
}

func bestShare(samples []int16, hz float64, stretch time.Duration) float64 {
	best, n := 0.0, int(stretch*codec.ClockRate/time.Second)
	for from := 0; from+n <= len(samples); from += n / 4 {
		best = max(best, tone.Share(samples[from:from+n], hz))
	}
	return best
}
