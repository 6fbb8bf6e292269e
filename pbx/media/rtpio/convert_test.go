package rtpio

import (
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// talker is a phone that says a tone in any codec and decodes what it hears,
// in real time: the workers that convert have clocks of their own.
type talker struct {
	*peer
	mouth *voice.Mouth
	ear   *voice.Ear
	hertz float64
	at    int
	keys  []rune
	take  dtmf.Receiver
}

func newTalker(t *testing.T, name string, hertz float64) *talker {
	t.Helper()
	c, ok := codec.Named(name)
	if !ok {
		t.Fatal(name)
	}
	mouth, err := voice.NewMouth(c)
	if err != nil {
		t.Fatal(err)
	}
	ear, err := voice.NewEar(c, voice.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, loopback4, codec.ALaw)
	p.codec, p.header.payloadType = c, c.PayloadType
	return &talker{peer: p, mouth: mouth, ear: ear, hertz: hertz}
}

// say sends 20 ms.
func (s *talker) say() {
	s.t.Helper()
	frame := make([]int16, s.mouth.Rate()/50)
	for i := range frame {
		frame[i] = int16(8000 * math.Sin(2*math.Pi*s.hertz*float64(s.at)/float64(s.mouth.Rate())))
		s.at++
	}
	payload := s.mouth.Say(frame)
	b := make([]byte, headerSize, headerSize+len(payload))
	s.header.put(b)
	s.header.seq++
	s.header.timestamp += s.mouth.Span()
	s.sendRaw(append(b, payload...))
}

// hear takes what has come and returns the next 20 ms.
func (s *talker) hear() []int16 {
	for {
		r, err := receive(s.rtp, time.Microsecond)
		if err != nil {
			break
		}
		s.file(r)
	}
	frame := make([]int16, s.ear.Rate()/50)
	s.ear.Hear(frame)
	return frame
}

func (s *talker) file(r received) {
	switch r.payloadType {
	case codec.PayloadTelephoneEvent:
		e, err := dtmf.Parse(r.payload)
		if err != nil {
			s.t.Fatal(err)
		}
		if digit, pressed := s.take.Take(e, r.timestamp, r.marker, 0); pressed {
			s.keys = append(s.keys, digit)
		}
	case s.codec.PayloadType:
		s.ear.Put(&voice.Packet{Seq: r.seq, Timestamp: r.timestamp, Payload: r.payload})
	default:
		s.t.Errorf("payload type %d for a phone that speaks %s", r.payloadType, s.codec.Name)
	}
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

// ear waits until a talker has heard the tone for half a second.
type wanted struct {
	who   *talker
	hertz float64
	last  []int16
}

func (w *wanted) heard() bool {
	w.last = append(w.last, w.who.hear()...)
	window := w.who.ear.Rate() / 2
	if len(w.last) < window {
		return false
	}
	w.last = w.last[len(w.last)-window:]
	return share(w.last, w.hertz, w.who.ear.Rate()) > 0.95
}

// talk has everybody speak every 20 ms until all that is wanted was heard.
func talk(t *testing.T, each func(), wants ...*wanted) {
	t.Helper()
	ticks := time.NewTicker(frameTime)
	defer ticks.Stop()
	deadline := time.After(patience)
	for missing := len(wants); missing > 0; {
		select {
		case <-ticks.C:
		case <-deadline:
			t.Fatalf("%d of %d tones were not heard within %v", missing, len(wants), patience)
		}
		each()
		missing = 0
		for _, w := range wants {
			if !w.heard() {
				missing++
			}
		}
	}
}

// realPool is a pool by the clock of the machine.
func realPool(t *testing.T) *bench {
	t.Helper()
	pool, err := NewPool(Config{Bind: []netip.Addr{loopback4}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &bench{Pool: pool}
}

// connect joins two talkers by a port each.
func connect(t *testing.T, b *bench, x, y *talker) (px, py *Port) {
	t.Helper()
	px, py = b.port(t, loopback4, media.Notices{}), b.port(t, loopback4, media.Notices{})
	x.to, y.to = px.Local(), py.Local()
	px.Apply(x.stream())
	py.Apply(y.stream())
	px.Hear(py)
	py.Hear(px)
	return px, py
}

func TestPhonesWithoutACommonCodec(t *testing.T) {
	for _, pair := range [][2]string{{codec.PCMA, codec.G722}, {codec.PCMU, codec.Opus}, {codec.G722, codec.Opus}} {
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) {
			b := realPool(t)
			x, y := newTalker(t, pair[0], 440), newTalker(t, pair[1], 1000)
			px, py := connect(t, b, x, y)
			talk(t, func() { x.say(); y.say() }, &wanted{who: x, hertz: 1000}, &wanted{who: y, hertz: 440})
			if n := b.crew.Jobs(); n != 2 {
				t.Errorf("%d conversions, want 2", n)
			}
			px.Close()
			py.Close()
			until(t, "conversions of a call that is over end", func() bool { return b.crew.Jobs() == 0 })
		})
	}
}

// TestCommonCodecIsRelayed: what both speak is not touched, whatever it is.
func TestCommonCodecIsRelayed(t *testing.T) {
	for _, name := range []string{codec.G722, codec.Opus} {
		b := realPool(t)
		x, y := newTalker(t, name, 440), newTalker(t, name, 1000)
		connect(t, b, x, y)
		talk(t, func() { x.say(); y.say() }, &wanted{who: x, hertz: 1000}, &wanted{who: y, hertz: 440})
		if n := b.crew.Jobs(); n != 0 {
			t.Errorf("%s: %d conversions, want none", name, n)
		}
	}
}

// TestCodecChangesInACall: a re-INVITE that brings a common codec ends the
// conversion, one that takes it away begins another.
func TestCodecChangesInACall(t *testing.T) {
	b := realPool(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.G722, 1000)
	_, py := connect(t, b, x, y)
	talk(t, func() { x.say(); y.say() }, &wanted{who: x, hertz: 1000}, &wanted{who: y, hertz: 440})
	law := newTalker(t, codec.PCMU, 700)
	law.rtp, law.rtcp, law.to = y.rtp, y.rtcp, y.to
	law.header = y.header
	law.header.payloadType = codec.PayloadPCMU
	py.Apply(law.stream())
	talk(t, func() { x.say(); law.say() }, &wanted{who: x, hertz: 700}, &wanted{who: law, hertz: 440})
	until(t, "conversions that are not needed end", func() bool { return b.crew.Jobs() == 0 })
}

// TestKeysThroughAConversion: each press arrives once, though the audio around
// it is made anew.
func TestKeysThroughAConversion(t *testing.T) {
	b := realPool(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.G722, 1000)
	connect(t, b, x, y)
	talk(t, func() { x.say(); y.say() }, &wanted{who: x, hertz: 1000}, &wanted{who: y, hertz: 440})
	for _, digit := range "42" {
		x.press(digit)
		talk(t, func() { x.say(); y.say() }, &wanted{who: y, hertz: 440})
	}
	if string(y.keys) != "42" {
		t.Errorf("keys %q arrived, want 42", string(y.keys))
	}
}

// press sends a key press of 100 ms at once.
func (s *talker) press(digit rune) {
	s.t.Helper()
	code, ok := dtmf.Code(digit)
	if !ok {
		s.t.Fatal(errors.New("no such key"))
	}
	h := s.header
	h.payloadType, h.marker = codec.PayloadTelephoneEvent, true
	for i := 1; i <= 7; i++ {
		b := make([]byte, headerSize+dtmf.Size)
		h.put(b)
		dtmf.Event{Code: code, Volume: 10, Duration: uint16(min(i, 5) * 160), End: i >= 5}.Put(b[headerSize:])
		s.sendRaw(b)
		h.seq++
		h.marker = false
	}
	s.header.seq = h.seq
	s.header.timestamp += 5 * 160
}

// TestSoundsForEveryCodec plays to phones whose codec costs more than a table.
func TestSoundsForEveryCodec(t *testing.T) {
	for _, name := range []string{codec.G722, codec.Opus, codec.PCMA} {
		b := realPool(t)
		x := newTalker(t, name, 440)
		played := make(chan struct{})
		p := b.port(t, loopback4, media.Notices{Played: func() { close(played) }})
		x.to = p.Local()
		p.Apply(x.stream())
		p.Play(&sine{hertz: 425, frames: 75})
		talk(t, x.say, &wanted{who: x, hertz: 425})
		select {
		case <-played:
		case <-time.After(patience):
			t.Errorf("%s: the end of the sound was not told", name)
		}
	}
}

// sine is a source of one tone that ends.
type sine struct {
	hertz      float64
	at, frames int
}

func (s *sine) Read(frame []int16) bool {
	if s.frames == 0 {
		return false
	}
	s.frames--
	for i := range frame {
		frame[i] = int16(8000 * math.Sin(2*math.Pi*s.hertz*float64(s.at)/8000))
		s.at++
	}
	return true
}
