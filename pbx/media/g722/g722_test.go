package g722

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"
)

// signal is ten seconds that a coder must live through: a sweep over the whole
// band, noise, silence, square waves and single clicks. It is made of integers
// alone, so that it is the same everywhere, and is nowhere so loud that the
// decoder's output is clipped: there spandsp 0.0.6 wraps round.
func signal() []int16 {
	const seconds = 10
	out := make([]int16, seconds*SampleRate)
	x, phase := uint32(1), uint32(0)
	for i := range out {
		x = x*1664525 + 1013904223
		noise := int16(x >> 16)
		phase += uint32(i%(2*SampleRate)) << 16 // rises from 0 to 8 kHz in two seconds
		saw := int16(phase >> 16)
		switch i / SampleRate {
		case 0, 1:
			out[i] = saw / 3
		case 2:
			out[i] = noise / 3
		case 3:
			out[i] = 0
		case 4:
			out[i] = noise >> 8
		case 5, 6:
			out[i] = saw/4 + noise>>4
		case 7:
			out[i] = int16(-9000 + 18000*(i/40%2))
		case 8:
			if i%1000 == 0 {
				out[i] = 20000
			}
		default:
			out[i] = noise >> 3
		}
	}
	return out
}

// The sums are of what spandsp 0.0.6 (g722_encode, g722_decode at 64 kbit/s)
// makes of the same input: signal for the encoder, its octets for the decoder.
const (
	encodedSum = "f71982de0642875f284b26f9510094e028661fdbd298b3bbb167bd62563a3fa3"
	decodedSum = "54b009a629d8158f90930bfde13f6040920f08e94940c1992326aea709dc39c3"
)

func TestSameBitsAsAnotherCoder(t *testing.T) {
	in := signal()
	octets := make([]byte, len(in)/2)
	if n := NewEncoder().Encode(octets, in); n != len(octets) {
		t.Fatalf("%d octets, want %d", n, len(octets))
	}
	if got := sum(octets); got != encodedSum {
		t.Errorf("encoder: %s, want %s", got, encodedSum)
	}
	if got := sum(decodeAll(octets)); got != decodedSum {
		t.Errorf("decoder: %s, want %s", got, decodedSum)
	}
}

func noise() []byte {
	out, x := make([]byte, 1<<16), uint32(7)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = byte(x >> 24)
	}
	return out
}

// decodeAll decodes packet by packet and returns little-endian samples.
func decodeAll(octets []byte) []byte {
	d, frame := NewDecoder(), make([]int16, 320)
	var out []byte
	for len(octets) > 0 {
		n := d.Decode(frame, octets[:min(160, len(octets))])
		octets = octets[n/2:]
		for _, v := range frame[:n] {
			out = binary.LittleEndian.AppendUint16(out, uint16(v))
		}
	}
	return out
}

// TestLoudIsClipped: what is too loud is cut off, it does not turn over.
func TestLoudIsClipped(t *testing.T) {
	in := make([]int16, SampleRate)
	for i := range in {
		in[i] = int16(math.Copysign(32767, math.Sin(2*math.Pi*500*float64(i)/SampleRate)))
	}
	octets, out := make([]byte, len(in)/2), make([]int16, len(in))
	NewEncoder().Encode(octets, in)
	NewDecoder().Decode(out, octets)
	const delay = 22 // samples, of both filters
	for i, v := range out[8000:] {
		if at := (8000 + i - delay) % 16; at > 3 && at < 13 && int(v)*int(in[8000+i-delay]) < 0 {
			t.Fatalf("sample %d is %d where %d was said", 8000+i, v, in[8000+i-delay])
		}
	}
}

// TestAnyOctet: a decoder must bear whatever comes, and recover from it.
func TestAnyOctet(t *testing.T) {
	d, frame := NewDecoder(), make([]int16, 320)
	for octets := noise(); len(octets) >= 160; octets = octets[160:] {
		d.Decode(frame, octets)
	}
	silence := make([]byte, SampleRate/2)
	NewEncoder().Encode(silence, make([]int16, SampleRate))
	out := make([]int16, SampleRate)
	d.Decode(out, silence)
	for i, v := range out[SampleRate/2:] {
		if v > 100 || v < -100 {
			t.Fatalf("sample %d of silence is %d", SampleRate/2+i, v)
		}
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// TestTones asks what a listener asks: a tone comes out as the same tone, in
// the band that a narrow codec has not as well.
func TestTones(t *testing.T) {
	for _, tc := range []struct {
		hertz float64
		snr   float64 // least, in dB
	}{{400, 30}, {1000, 30}, {3000, 25}, {5000, 12}, {6800, 12}} {
		in := make([]int16, SampleRate)
		for i := range in {
			in[i] = int16(8000 * math.Sin(2*math.Pi*tc.hertz*float64(i)/SampleRate))
		}
		octets, out := make([]byte, len(in)/2), make([]int16, len(in))
		NewEncoder().Encode(octets, in)
		NewDecoder().Decode(out, octets)
		level, snr := measure(out[len(out)/2:], tc.hertz)
		if math.Abs(level-8000) > 800 || snr < tc.snr {
			t.Errorf("%v Hz: level %.0f, want 8000; %.1f dB above the rest, want %v", tc.hertz, level, snr, tc.snr)
		}
	}
}

// measure returns a tone's amplitude and by how much it stands above the rest.
func measure(y []int16, hertz float64) (amplitude, snr float64) {
	var s, c float64
	at := func(i int) (float64, float64) { return math.Sincos(2 * math.Pi * hertz * float64(i) / SampleRate) }
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

func TestShortSlices(t *testing.T) {
	for _, tc := range []struct{ dst, src, want int }{{0, 4, 0}, {2, 1, 0}, {2, 5, 2}, {1, 320, 1}} {
		if n := NewEncoder().Encode(make([]byte, tc.dst), make([]int16, tc.src)); n != tc.want {
			t.Errorf("%d samples into %d octets: %d, want %d", tc.src, tc.dst, n, tc.want)
		}
	}
	for _, tc := range []struct{ dst, src, want int }{{0, 4, 0}, {1, 1, 0}, {5, 3, 4}, {320, 1, 2}} {
		if n := NewDecoder().Decode(make([]int16, tc.dst), make([]byte, tc.src)); n != tc.want {
			t.Errorf("%d octets into %d samples: %d, want %d", tc.src, tc.dst, n, tc.want)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	e, d := NewEncoder(), NewDecoder()
	samples, octets := make([]int16, 320), make([]byte, 160)
	if n := testing.AllocsPerRun(100, func() {
		e.Encode(octets, samples)
		d.Decode(samples, octets)
	}); n != 0 {
		t.Errorf("%v allocations in a frame", n)
	}
}

func BenchmarkEncode20ms(b *testing.B) {
	e, in, out := NewEncoder(), signal()[:320], make([]byte, 160)
	for b.Loop() {
		e.Encode(out, in)
	}
}

func BenchmarkDecode20ms(b *testing.B) {
	d, in, out := NewDecoder(), noise()[:160], make([]int16, 320)
	for b.Loop() {
		d.Decode(out, in)
	}
}
