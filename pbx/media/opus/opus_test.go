package opus

import (
	"math"
	"testing"
)

func TestSpan(t *testing.T) {
	for _, tc := range []struct {
		name   string
		packet []byte
		want   uint32
	}{
		{"nothing", nil, 0},
		{"SILK, 10 ms", []byte{0 << 3, 1}, 480},
		{"SILK, 60 ms", []byte{3 << 3, 1}, 2880},
		{"SILK, two of 20 ms", []byte{1<<3 | 1, 1, 1}, 1920},
		{"hybrid, 20 ms", []byte{13 << 3}, 960},
		{"CELT, 2.5 ms", []byte{16 << 3}, 120},
		{"CELT, 20 ms", []byte{31 << 3}, 960},
		{"six of 20 ms are the most", []byte{31<<3 | 3, 6}, 5760},
		{"seven of 20 ms", []byte{31<<3 | 3, 7}, 0},
		{"no count", []byte{31<<3 | 3}, 0},
		{"a count of none", []byte{31<<3 | 3, 0}, 0},
		{"too long", make([]byte, maxPacket+1), 0},
	} {
		if got := Span(tc.packet); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func pair(t *testing.T) (*Encoder, *Decoder) {
	t.Helper()
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

func tone(hertz float64, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(8000 * math.Sin(2*math.Pi*hertz*float64(i)/SampleRate))
	}
	return out
}

// power is the share of a signal's power that a tone has, 0..1.
func power(y []int16, hertz float64) float64 {
	var s, c, all float64
	for i, v := range y {
		si, co := math.Sincos(2 * math.Pi * hertz * float64(i) / SampleRate)
		s, c, all = s+float64(v)*si, c+float64(v)*co, all+float64(v)*float64(v)
	}
	return 2 * (s*s + c*c) / (all * float64(len(y)))
}

func TestTones(t *testing.T) {
	for _, hertz := range []float64{440, 1000, 3000, 5500} {
		e, d := pair(t)
		in, packet, frame := tone(hertz, SampleRate), make([]byte, 400), make([]int16, MaxSamples)
		var out []int16
		for ; len(in) >= 320; in = in[320:] {
			n, err := e.Encode(packet, in[:320])
			if err != nil || Span(packet[:n]) != 960 {
				t.Fatalf("a packet of %d octets, span %d, %v", n, Span(packet[:n]), err)
			}
			m, err := d.Decode(frame, packet[:n])
			if err != nil || m != 320 {
				t.Fatalf("%d samples, %v", m, err)
			}
			out = append(out, frame[:m]...)
		}
		if share := power(out[SampleRate/2:], hertz); share < 0.9 {
			t.Errorf("%v Hz: %.2f of the power is in the tone", hertz, share)
		}
	}
}

// TestLostPacket: the tone goes on through a lost packet, which silence would
// not.
func TestLostPacket(t *testing.T) {
	e, d := pair(t)
	in, packet, frame := tone(440, SampleRate), make([]byte, 400), make([]int16, MaxSamples)
	for i := range 25 {
		n, err := e.Encode(packet, in[i*320:][:320])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode(frame, packet[:n]); err != nil {
			t.Fatal(err)
		}
	}
	n, err := d.Conceal(frame)
	if err != nil || n != 320 {
		t.Fatalf("%d samples, %v", n, err)
	}
	if share := power(frame[:n], 440); share < 0.5 {
		t.Errorf("%.2f of the power is in the tone", share)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	e, d := pair(t)
	in, packet, frame := tone(440, 320), make([]byte, 400), make([]int16, MaxSamples)
	if n := testing.AllocsPerRun(50, func() {
		n, _ := e.Encode(packet, in)
		_, _ = d.Decode(frame, packet[:n])
	}); n != 0 {
		t.Errorf("%v allocations in a frame", n)
	}
}

func FuzzDecode(f *testing.F) {
	e, err := NewEncoder()
	if err != nil {
		f.Fatal(err)
	}
	packet := make([]byte, 400)
	n, err := e.Encode(packet, tone(440, 320))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet[:n])
	f.Add([]byte{0xFF, 6, 1, 2, 3})
	d, err := NewDecoder()
	if err != nil {
		f.Fatal(err)
	}
	frame := make([]int16, MaxSamples)
	f.Fuzz(func(t *testing.T, packet []byte) {
		n, err := d.Decode(frame, packet)
		if err == nil && uint32(n)*3 != Span(packet) {
			t.Errorf("%d samples of a packet that spans %d", n, Span(packet))
		}
	})
}

func BenchmarkEncode20ms(b *testing.B) {
	e, err := NewEncoder()
	if err != nil {
		b.Fatal(err)
	}
	in, packet := tone(440, 320), make([]byte, 400)
	for b.Loop() {
		_, _ = e.Encode(packet, in)
	}
}
