package codec

import (
	"math"
	"testing"
)

var laws = []Law{ULaw, ALaw}

// TestDecoderValues checks decoder output values that the tables of G.711
// print: the smallest, the ends of segments and the largest, as 16-bit samples.
func TestDecoderValues(t *testing.T) {
	tests := []struct {
		law   Law
		octet byte
		want  int16
	}{
		{ULaw, 0xFF, 0},
		{ULaw, 0x7F, 0},
		{ULaw, 0xFE, 2 * 4},
		{ULaw, 0xF0, 30 * 4},
		{ULaw, 0xEF, 33 * 4},
		{ULaw, 0xE0, 93 * 4},
		{ULaw, 0xCF, 231 * 4},
		{ULaw, 0x8F, 4191 * 4},
		{ULaw, 0x80, 8031 * 4},
		{ULaw, 0x00, -8031 * 4},
		{ALaw, 0xD5, 1 * 8},
		{ALaw, 0x55, -1 * 8},
		{ALaw, 0xC5, 33 * 8},
		{ALaw, 0xF5, 66 * 8},
		{ALaw, 0xAA, 4032 * 8},
		{ALaw, 0x2A, -4032 * 8},
	}
	for _, tt := range tests {
		var got [1]int16
		tt.law.Decode(got[:], []byte{tt.octet})
		if got[0] != tt.want {
			t.Errorf("%v %#02x is %d, want %d", tt.law, tt.octet, got[0], tt.want)
		}
	}
}

func TestEveryOctetComesBack(t *testing.T) {
	for _, law := range laws {
		for i := range 256 {
			octet := byte(i)
			var sample [1]int16
			var back [1]byte
			law.Decode(sample[:], []byte{octet})
			law.Encode(back[:], sample[:])
			want := octet
			if law == ULaw && octet == 0x7F {
				want = 0xFF // minus nothing is nothing
			}
			if back[0] != want {
				t.Errorf("%v: %#02x became %#02x by way of %d", law, octet, back[0], sample[0])
			}
		}
	}
}

// TestEverySampleGoesToItsInterval: a decoder output value is the middle of
// its interval, so a sample is no further away than half a step of its segment
// (G.711 Tables 1 and 2), but for the resolution of the encoder: 14 bits (µ)
// and 13 bits (A).
func TestEverySampleGoesToItsInterval(t *testing.T) {
	for _, law := range laws {
		resolution := map[Law]int{ULaw: 4, ALaw: 8}[law]
		last := -1 << 16
		for s := math.MinInt16; s <= math.MaxInt16; s++ {
			var octet [1]byte
			var value [1]int16
			law.Encode(octet[:], []int16{int16(s)})
			law.Decode(value[:], octet[:])
			half := 4 << (^octet[0] >> 4 & 7)
			if law == ALaw {
				half = 8 << max(0, int((octet[0]^0x55)>>4&7)-1)
			}
			d, largest := abs(int(value[0])-s), abs(int(value[0])) >= 32124
			if d >= half+resolution && !largest {
				t.Fatalf("%v: %d became %d in a step of %d", law, s, value[0], 2*half)
			}
			if int(value[0]) < last {
				t.Fatalf("%v: %d became %d, less than the value of the sample before", law, s, value[0])
			}
			last = int(value[0])
		}
	}
}

func abs(i int) int { return max(i, -i) }

// TestTranscodingIsAsG711Says: of the octets that go to the other law and back
// only those change that G.711 §3.3 lists, and only by one step.
func TestTranscodingIsAsG711Says(t *testing.T) {
	there, back := Transcoder(ULaw, ALaw), Transcoder(ALaw, ULaw)
	for n := range 128 {
		for _, sign := range []byte{0, 0x80} {
			octet := byte(0xFF^n) ^ sign
			want := n
			if n <= 14 && n%2 == 0 {
				want = n + 1
			}
			if got := int(back[there[octet]] ^ sign ^ 0xFF); got != want {
				t.Errorf("µ-law value %d became %d by way of A-law, want %d", n, got, want)
			}
			if (there[octet]^octet)&0x80 != 0 {
				t.Errorf("µ-law %#02x changed its sign", octet)
			}
		}
	}
	changed := map[int]int{26: 25, 28: 27, 30: 29, 32: 31, 45: 46, 47: 48, 63: 64, 80: 79}
	for n := 1; n <= 128; n++ {
		octet := 0xD5 ^ byte(n-1)
		want := n
		if c, ok := changed[n]; ok {
			want = c
		}
		if got := int(there[back[octet]]^0xD5) + 1; got != want {
			t.Errorf("A-law value %d became %d by way of µ-law, want %d", n, got, want)
		}
	}
}

// TestTranscodingKeepsTheLevel: the direct tables and the way over linear
// samples differ by a step at most.
func TestTranscodingKeepsTheLevel(t *testing.T) {
	for _, from := range laws {
		to := ALaw + ULaw - from
		table := Transcoder(from, to)
		for i := range 256 {
			var in, out [1]int16
			from.Decode(in[:], []byte{byte(i)})
			to.Decode(out[:], []byte{table[i]})
			if d := abs(int(in[0]) - int(out[0])); d > max(16, abs(int(in[0]))/16) {
				t.Errorf("%v %#02x: %d became %d", from, i, in[0], out[0])
			}
		}
	}
}

// TestSignalToNoise: a sine at -10 dB keeps 35 dB or more (G.712 asks for 33).
func TestSignalToNoise(t *testing.T) {
	for _, law := range laws {
		in, out, octets := make([]int16, 8000), make([]int16, 8000), make([]byte, 8000)
		for i := range in {
			in[i] = int16(10362 * math.Sin(2*math.Pi*1020*float64(i)/8000))
		}
		law.Encode(octets, in)
		law.Decode(out, octets)
		var signal, noise float64
		for i := range in {
			d := float64(in[i]) - float64(out[i])
			signal, noise = signal+float64(in[i])*float64(in[i]), noise+d*d
		}
		if db := 10 * math.Log10(signal/noise); db < 35 {
			t.Errorf("%v: %.1f dB, want 35 or more", law, db)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]uint8{"PCMA": 8, "pcma": 8, "PCMU": 0, "Pcmu": 0, "G722": 9, "g722": 9} {
		c, ok := Named(name)
		if !ok || c.PayloadType != want || c.ClockRate != 8000 {
			t.Errorf("%s: %+v %v", name, c, ok)
		}
		if s, ok := Static(want); !ok || s != c {
			t.Errorf("payload type %d: %+v %v, want %+v", want, s, ok, c)
		}
	}
	if c, ok := Named("OPUS"); !ok || c.Name != Opus || c.ClockRate != 48000 {
		t.Errorf("Opus is %+v", c)
	}
	if c, ok := Named("G729"); ok {
		t.Errorf("G729 is %+v", c)
	}
	if c, ok := Static(PayloadOpus); ok {
		t.Errorf("payload type %d is %+v: it is dynamic", PayloadOpus, c)
	}
	if got := Law(0).String(); got != "none" {
		t.Errorf("no law is %q", got)
	}
	for _, c := range laws {
		law, ok := LawOf(c.Codec().Name)
		if !ok || law != c {
			t.Errorf("%v is %v by its name", c, law)
		}
		var sample [1]int16
		if law.Decode(sample[:], []byte{law.Silence()}); abs(int(sample[0])) > 8 {
			t.Errorf("silence of %v is %d", law, sample[0])
		}
	}
}

func TestNothingIsDoneByNoTable(t *testing.T) {
	b := []byte{1, 2, 3}
	Transcoder(ALaw, ALaw).Apply(b)
	Transcoder(0, ALaw).Apply(b)
	if b[0] != 1 || b[1] != 2 || b[2] != 3 {
		t.Errorf("changed to %v", b)
	}
}

func BenchmarkTranscode(b *testing.B) {
	payload, table := make([]byte, 160), Transcoder(ALaw, ULaw)
	for b.Loop() {
		table.Apply(payload)
	}
}

func BenchmarkEncode(b *testing.B) {
	payload, samples := make([]byte, 160), make([]int16, 160)
	for i := range samples {
		samples[i] = int16(i * 200)
	}
	for b.Loop() {
		ALaw.Encode(payload, samples)
	}
}
