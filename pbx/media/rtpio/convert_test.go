package rtpio

import (
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/convert"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// talker is a phone that says a tone in any codec and decodes what it hears,
// frame by frame.
type talker struct {
	*peer
	mouth *voice.Mouth
	ear   *voice.Ear
	hertz float64
	loud  float64
	at    int
	keys  []rune // that it was sent
	take  dtmf.Receiver
	port  *Port

	pressed chan rune // keys of its own, as its port tells them
	ssrcs   map[uint32]uint16
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
	return &talker{
		peer: p, mouth: mouth, ear: ear, hertz: hertz, loud: 8000,
		pressed: make(chan rune, 16), ssrcs: make(map[uint32]uint16),
	}
}

// say sends 20 ms.
func (s *talker) say() {
	s.t.Helper()
	frame := make([]int16, s.mouth.Rate()/50)
	for i := range frame {
		frame[i] = int16(s.loud * math.Sin(2*math.Pi*s.hertz*float64(s.at)/float64(s.mouth.Rate())))
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
		r, err := receive(s.rtp, 2*time.Millisecond) // what is there is read; a deadline that has passed reads nothing
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
	s.ssrcs[r.ssrc] = r.seq
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

// hearing is what somebody must hear.
type hearing interface{ heard() bool }

// wanted is a tone that a talker must hear.
type wanted struct {
	who   *talker
	hertz float64
	last  []int16
}

// heard reports whether the last 300 ms were nearly all the tone.
func (w *wanted) heard() bool {
	w.last = append(w.last, w.who.hear()...)
	window := w.who.ear.Rate() * 3 / 10
	if len(w.last) < window {
		return false
	}
	w.last = w.last[len(w.last)-window:]
	return share(w.last, w.hertz, w.who.ear.Rate()) > 0.95
}

// studio is a bench whose crew works when the test says so: time goes by only
// when everybody is done with what came before.
type studio struct {
	*bench
	crewTicks chan time.Time
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	s := &studio{crewTicks: make(chan time.Time)}
	clock := func() (<-chan time.Time, func()) { return s.crewTicks, func() {} }
	s.bench = newBench(t, Config{Bind: []netip.Addr{loopback4}, Crew: convert.NewCrew(1, clock)})
	s.crew.Add(idle{})
	return s
}

// idle is a job that keeps the crew's worker waiting for ticks.
type idle struct{}

func (idle) Run() bool { return true }

// step lets 20 ms go by for the pacer and the crew. The crew is done with the
// step before, since it takes the tick.
func (s *studio) step() {
	s.tick(1)
	s.settle() // the pacer has asked for what is lacking
	s.crewTicks <- time.Time{}
}

// talk has everybody speak until all that is wanted was heard, for 20 seconds
// of their time at most.
func (s *studio) talk(t *testing.T, talkers []*talker, wants ...hearing) {
	t.Helper()
	for range 1000 {
		for _, w := range talkers {
			was := w.port.Quality().PacketsIn
			w.say()
			until(t, "what is said arrives", func() bool { return w.port.Quality().PacketsIn > was })
		}
		s.step()
		missing := 0
		for _, w := range wants {
			if !w.heard() {
				missing++
			}
		}
		if missing == 0 {
			return
		}
	}
	t.Fatalf("not all of %d tones were heard in 20 s", len(wants))
}

// connect joins two talkers by a port each.
func (s *studio) connect(t *testing.T, x, y *talker) {
	t.Helper()
	for _, w := range []*talker{x, y} {
		w.port = s.port(t, loopback4, media.Notices{})
		w.to = w.port.Local()
		w.port.Apply(w.stream())
	}
	x.port.Hear(y.port)
	y.port.Hear(x.port)
}

// tones are what two talkers must hear of each other.
func tones(x, y *talker) []hearing {
	return []hearing{&wanted{who: x, hertz: y.hertz}, &wanted{who: y, hertz: x.hertz}}
}

func TestPhonesWithoutACommonCodec(t *testing.T) {
	for _, pair := range [][2]string{{codec.PCMA, codec.G722}, {codec.PCMU, codec.Opus}, {codec.G722, codec.Opus}} {
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) {
			b := newStudio(t)
			x, y := newTalker(t, pair[0], 440), newTalker(t, pair[1], 1000)
			b.connect(t, x, y)
			b.talk(t, []*talker{x, y}, tones(x, y)...)
			b.wantJobs(t, 2)
			x.port.Close()
			y.port.Close()
			b.wantJobs(t, 0)
		})
	}
}

// wantJobs fails unless there are soon so many conversions.
func (s *studio) wantJobs(t *testing.T, want int) {
	t.Helper()
	for range 10 {
		s.step()
	}
	if n := s.crew.Jobs() - 1; n != want {
		t.Errorf("%d conversions, want %d", n, want)
	}
}

// TestCommonCodecIsRelayed: what both speak is not touched, whatever it is.
func TestCommonCodecIsRelayed(t *testing.T) {
	for _, name := range []string{codec.G722, codec.Opus} {
		b := newStudio(t)
		x, y := newTalker(t, name, 440), newTalker(t, name, 1000)
		b.connect(t, x, y)
		b.talk(t, []*talker{x, y}, tones(x, y)...)
		b.wantJobs(t, 0)
	}
}

// TestCodecChangesInACall: a re-INVITE that brings a common codec ends the
// conversion, one that takes it away begins another.
func TestCodecChangesInACall(t *testing.T) {
	b := newStudio(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.G722, 1000)
	b.connect(t, x, y)
	b.talk(t, []*talker{x, y}, tones(x, y)...)
	for range 12 { // until nothing of the old codec is on its way
		b.step()
	}
	y.hear()
	law := newTalker(t, codec.PCMU, 700)
	law.rtp, law.rtcp, law.to, law.port = y.rtp, y.rtcp, y.to, y.port
	law.header = y.header
	law.header.payloadType = codec.PayloadPCMU
	y.port.Apply(law.stream())
	b.talk(t, []*talker{x, law}, tones(x, law)...)
	b.wantJobs(t, 0)
}

// TestKeysThroughAConversion: each press arrives once, though the audio around
// it is made anew.
func TestKeysThroughAConversion(t *testing.T) {
	b := newStudio(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.G722, 1000)
	b.connect(t, x, y)
	b.talk(t, []*talker{x, y}, tones(x, y)...)
	for _, digit := range "42" {
		x.press(digit)
		b.talk(t, []*talker{x, y}, tones(x, y)...)
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
		b := newStudio(t)
		x := newTalker(t, name, 440)
		played := make(chan struct{})
		x.port = b.port(t, loopback4, media.Notices{Played: func() { close(played) }})
		x.to = x.port.Local()
		x.port.Apply(x.stream())
		x.port.Play(&sine{hertz: 425, frames: 75})
		b.talk(t, []*talker{x}, &wanted{who: x, hertz: 425})
		for told := false; !told; {
			b.step()
			select {
			case <-played:
				told = true
			default:
			}
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
