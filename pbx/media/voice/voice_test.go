package voice

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

func codecs(t testing.TB) []media.Codec {
	t.Helper()
	var out []media.Codec
	for _, name := range []string{codec.PCMA, codec.PCMU, codec.G722, codec.Opus} {
		c, ok := codec.Named(name)
		if !ok {
			t.Fatal(name)
		}
		out = append(out, c)
	}
	return out
}

func pair(t testing.TB, c media.Codec, s Settings) (*Mouth, *Ear) {
	t.Helper()
	m, err := NewMouth(c)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEar(c, s)
	if err != nil {
		t.Fatal(err)
	}
	if m.Rate() != e.Rate() {
		t.Fatalf("said at %d Hz, heard at %d", m.Rate(), e.Rate())
	}
	return m, e
}

// speaker says a tone in packets of 20 ms.
type speaker struct {
	m     *Mouth
	hertz float64
	at    int
	p     Packet
}

func (s *speaker) packet() *Packet {
	frame := make([]int16, s.m.Rate()/50)
	for i := range frame {
		frame[i] = int16(8000 * math.Sin(2*math.Pi*s.hertz*float64(s.at)/float64(s.m.Rate())))
		s.at++
	}
	s.p.Seq++
	s.p.Timestamp += s.m.Span()
	s.p.Payload = s.m.Say(frame)
	return &s.p
}

// share is the part of a signal's power that a tone has, 0..1.
func share(y []int16, hertz float64, rate int) float64 {
	var s, c, all float64
	for i, v := range y {
		si, co := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate))
		s, c, all = s+float64(v)*si, c+float64(v)*co, all+float64(v)*float64(v)
	}
	if all == 0 {
		return 0
	}
	return 2 * (s*s + c*c) / (all * float64(len(y)))
}

func TestEveryCodecCarriesTones(t *testing.T) {
	for _, c := range codecs(t) {
		t.Run(c.Name, func(t *testing.T) {
			m, e := pair(t, c, Settings{})
			say := speaker{m: m, hertz: 1000}
			frame := make([]int16, e.Rate()/50)
			var heard []int16
			for i := range 50 {
				e.Put(say.packet())
				if ok := e.Hear(frame); ok != (i > 0) {
					t.Fatalf("frame %d: heard is %v", i, ok)
				}
				heard = append(heard, frame...)
			}
			if got := share(heard[len(heard)/2:], 1000, e.Rate()); got < 0.95 {
				t.Errorf("%.3f of the power is in the tone", got)
			}
			if n := e.Counts(); n.Played != 49 || n.Lost != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

// TestLoss: a lost packet is filled in, a long break dies away.
func TestLoss(t *testing.T) {
	for _, c := range codecs(t) {
		t.Run(c.Name, func(t *testing.T) {
			m, e := pair(t, c, Settings{})
			say := speaker{m: m, hertz: 500}
			frame := make([]int16, e.Rate()/50)
			for range 20 {
				e.Put(say.packet())
				e.Hear(frame)
			}
			say.packet() // is lost
			e.Put(say.packet())
			e.Hear(frame)
			e.Hear(frame)
			if got := share(frame, 500, e.Rate()); got < 0.5 {
				t.Errorf("a lost packet: %.2f of the power is in the tone", got)
			}
			for range 20 {
				e.Hear(frame)
			}
			if e.Hear(frame) || share(frame, 500, e.Rate()) != 0 {
				t.Error("the peer is heard long after its last packet")
			}
		})
	}
}

// TestFixed: for a modem a gap is a gap of its own length.
func TestFixed(t *testing.T) {
	m, e := pair(t, codecs(t)[0], Settings{Fixed: true})
	say := speaker{m: m, hertz: 500}
	frame := make([]int16, 160)
	for range 5 {
		e.Put(say.packet())
		e.Hear(frame)
	}
	say.packet()
	e.Put(say.packet())
	e.Hear(frame)
	e.Hear(frame)
	for i, v := range frame {
		if v != 0 {
			t.Fatalf("sample %d of a lost packet is %d", i, v)
		}
	}
}

// TestEitherLaw: a peer may change between the laws of G.711 without a word.
func TestEitherLaw(t *testing.T) {
	c := codecs(t)
	_, e := pair(t, c[0], Settings{})
	m, _ := pair(t, c[1], Settings{})
	say := speaker{m: m, hertz: 1000, p: Packet{Law: codec.ULaw}}
	frame := make([]int16, 160)
	for range 20 {
		e.Put(say.packet())
		e.Hear(frame)
	}
	if got := share(frame, 1000, 8000); got < 0.95 {
		t.Errorf("%.3f of the power is in the tone", got)
	}
}

// TestOtherStream: the stream of another phone begins anew.
func TestOtherStream(t *testing.T) {
	m, e := pair(t, codecs(t)[0], Settings{})
	say := speaker{m: m, hertz: 1000, p: Packet{Source: 1, Timestamp: 4_000_000_000}}
	frame := make([]int16, 160)
	for range 5 {
		e.Put(say.packet())
		e.Hear(frame)
	}
	say.p.Source, say.p.Seq, say.p.Timestamp = 2, 7, 1000
	heard := 0
	for range 5 {
		e.Put(say.packet())
		if e.Hear(frame) {
			heard++
		}
	}
	if heard != 4 || e.Counts().Late != 0 {
		t.Errorf("%d of 5 frames of the other stream, %+v", heard, e.Counts())
	}
}

// TestLongPackets: 60 ms of µ-law are three frames.
func TestLongPackets(t *testing.T) {
	m, e := pair(t, codecs(t)[1], Settings{})
	frame, long := make([]int16, 160), make([]byte, 0, 480)
	say := speaker{m: m, hertz: 1000}
	heard := 0
	for i := range 20 {
		long = long[:0]
		for range 3 {
			long = append(long, say.packet().Payload...)
		}
		e.Put(&Packet{Seq: uint16(i), Timestamp: uint32(i * 480), Payload: long})
		for range 3 {
			if e.Hear(frame) {
				heard++
			}
		}
	}
	if heard < 55 || share(frame, 1000, 8000) < 0.95 {
		t.Errorf("%d of 60 frames; %.2f of the power is in the tone", heard, share(frame, 1000, 8000))
	}
}

func TestNobodyHears(t *testing.T) {
	m, e := pair(t, codecs(t)[0], Settings{})
	say := speaker{m: m}
	for range places {
		if !e.Put(say.packet()) {
			t.Fatal("a packet had no place")
		}
	}
	if e.Put(say.packet()) {
		t.Error("more packets than there are places")
	}
	e.Hear(make([]int16, 160))
	if !e.Put(say.packet()) {
		t.Error("no place after the others were heard")
	}
	if e.Put(&Packet{Payload: make([]byte, maxPayload+1)}) {
		t.Error("a giant was taken")
	}
}

func TestUnknownCodec(t *testing.T) {
	c := media.Codec{Name: "G729", ClockRate: 8000}
	if _, err := NewEar(c, Settings{}); err == nil {
		t.Error("an ear for G729")
	}
	if _, err := NewMouth(c); err == nil {
		t.Error("a mouth for G729")
	}
	if Rate(c) != 0 {
		t.Error("G729 has a rate")
	}
}

// TestTwoGoroutines has packets put and heard at once, for the race detector.
func TestTwoGoroutines(t *testing.T) {
	m, e := pair(t, codecs(t)[0], Settings{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		say := speaker{m: m, hertz: 1000}
		for range 5000 {
			e.Put(say.packet())
		}
	}()
	frame := make([]int16, 160)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		e.Hear(frame)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	for _, c := range codecs(t) {
		m, e := pair(t, c, Settings{Max: time.Second})
		frame := make([]int16, e.Rate()/50)
		p := Packet{}
		step := func() {
			p.Seq++
			p.Timestamp += m.Span()
			p.Payload = m.Say(frame)
			e.Put(&p)
			e.Hear(frame)
		}
		for range 100 {
			step()
		}
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%s: %v allocations in a frame", c.Name, n)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, c := range codecs(b) {
		b.Run(fmt.Sprint(c.Name), func(b *testing.B) {
			m, e := pair(b, c, Settings{})
			frame, p := make([]int16, e.Rate()/50), Packet{}
			for b.Loop() {
				p.Seq++
				p.Timestamp += m.Span()
				p.Payload = m.Say(frame)
				e.Put(&p)
				e.Hear(frame)
			}
		})
	}
}
