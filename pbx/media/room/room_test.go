package room

import (
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/convert"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// phone is a member's leg with its phone: it says a tone, and decodes what it
// is sent.
type phone struct {
	t     testing.TB
	codec media.Codec
	mouth *voice.Mouth
	ear   *voice.Ear
	seat  *Seat

	hertz, loud float64 // of what it says; loud 0: nothing at all
	at          int
	frame       [maxFrame]int16
	law         codec.Law    // of what it says; 0: its codec's
	sent        voice.Packet // the last one
	got         voice.Packet
	heard       []int16
	payload     []byte // the last one that came
}

func named(t testing.TB, name string) media.Codec {
	t.Helper()
	c, ok := codec.Named(name)
	if !ok {
		t.Fatal(name)
	}
	return c
}

func newPhone(t testing.TB, name string, hertz, loud float64) *phone {
	t.Helper()
	p := &phone{t: t, hertz: hertz, loud: loud}
	p.speaks(named(t, name))
	return p
}

// speaks makes a codec the one that is settled.
func (p *phone) speaks(c media.Codec) {
	p.t.Helper()
	var err error
	p.codec = c
	if p.mouth, err = voice.NewMouth(c); err == nil {
		p.ear, err = voice.NewEar(c, voice.Settings{})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.heard = nil
}

// Codec implements Line.
func (p *phone) Codec() (media.Codec, bool) { return p.codec, p.codec.Name != "" }

// Emit implements Line.
func (p *phone) Emit(packet []byte, span uint32) {
	p.got.Seq++
	p.got.Timestamp += span
	p.payload = packet[Headroom:]
	p.got.Payload = p.payload
	p.ear.Put(&p.got)
}

// say sends 20 ms.
func (p *phone) say() {
	if p.loud == 0 {
		return
	}
	frame := p.frame[:p.mouth.Rate()/50]
	for i := range frame {
		frame[i] = int16(p.loud * math.Sin(2*math.Pi*p.hertz*float64(p.at)/float64(p.mouth.Rate())))
		p.at++
	}
	p.sent.Seq++
	p.sent.Timestamp += p.mouth.Span()
	p.sent.Payload, p.sent.Law = p.mouth.Say(frame), p.law
	if law, ok := codec.LawOf(p.codec.Name); ok {
		p.sent.Law = law
	}
	p.seat.Put(p.codec, &p.sent)
}

// hear decodes the next 20 ms.
func (p *phone) hear() {
	frame := make([]int16, p.ear.Rate()/50)
	p.ear.Hear(frame)
	p.heard = append(p.heard, frame...)
}

// level is the amplitude of a tone in the last half second of what was heard.
func (p *phone) level(hertz float64) float64 {
	rate := p.ear.Rate()
	y := p.heard[max(0, len(p.heard)-rate/2):]
	var si, co float64
	for i, v := range y {
		a, b := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate))
		si, co = si+float64(v)*a, co+float64(v)*b
	}
	return 2 * math.Hypot(si, co) / float64(max(1, len(y)))
}

// table is a room whose frames are made when the test says so.
type table struct {
	*Room
	phones []*phone
}

func newTable(t testing.TB, phones ...*phone) *table {
	t.Helper()
	crew := convert.NewCrew(1, func() (<-chan time.Time, func()) { return nil, func() {} })
	t.Cleanup(crew.Close)
	w := &table{Room: New(crew, slog.New(slog.DiscardHandler))}
	w.join(phones...)
	return w
}

func (w *table) join(phones ...*phone) {
	for _, p := range phones {
		p.seat = w.Join(p)
	}
	w.phones = append(w.phones, phones...)
}

// talk lets so many frames go by.
func (w *table) talk(frames int) {
	for range frames {
		for _, p := range w.phones {
			p.say()
		}
		w.Run()
		for _, p := range w.phones {
			p.hear()
		}
	}
}

// hears fails unless the phone hears those tones and not the others.
func (p *phone) hears(who string, tones map[float64]bool) {
	p.t.Helper()
	for hertz, want := range tones {
		if got := p.level(hertz); (got > 2000) != want || !want && got > 200 {
			p.t.Errorf("%s (%s) hears %.0f Hz with %.0f, want it: %v", who, p.codec.Name, hertz, got, want)
		}
	}
}

func TestEachHearsAllOthers(t *testing.T) {
	var phones []*phone
	for i, name := range []string{codec.PCMA, codec.PCMU, codec.G722, codec.G722, codec.Opus} {
		phones = append(phones, newPhone(t, name, 300+200*float64(i), 5000))
	}
	w := newTable(t, phones...)
	w.talk(45)
	for i, p := range phones {
		tones := make(map[float64]bool)
		for j, other := range phones {
			tones[other.hertz] = i != j
		}
		p.hears("a member", tones)
	}
	if n := w.Size(); n != 5 {
		t.Errorf("%d members, want 5", n)
	}
}

func TestMutedLeftClosed(t *testing.T) {
	a, b, c := newPhone(t, codec.PCMA, 500, 5000), newPhone(t, codec.G722, 700, 5000), newPhone(t, codec.PCMU, 0, 0)
	w := newTable(t, a, b, c)
	b.seat.Mute(true)
	w.talk(45)
	c.hears("a listener", map[float64]bool{500: true, 700: false})
	b.hears("who is muted", map[float64]bool{500: true, 700: false})
	b.seat.Mute(false)
	w.talk(45)
	c.hears("a listener", map[float64]bool{500: true, 700: true})
	a.seat.Leave()
	packets := a.got.Seq
	w.talk(45)
	c.hears("a listener", map[float64]bool{500: false, 700: true})
	if a.got.Seq != packets || w.Size() != 2 {
		t.Errorf("who has left was sent %d packets; %d members", a.got.Seq-packets, w.Size())
	}
	w.Close()
	if w.Run() || w.Size() != 0 || w.Join(a).Taken() {
		t.Error("a closed room goes on")
	}
}

// TestOpensAgain: a room that everybody has left is a job no more, until
// somebody comes.
func TestOpensAgain(t *testing.T) {
	a := newPhone(t, codec.PCMA, 500, 5000)
	w := newTable(t, a)
	w.talk(3)
	a.seat.Leave()
	if w.Run() {
		t.Error("an empty room goes on")
	}
	was := w.crew.Jobs()
	b, c := newPhone(t, codec.PCMA, 500, 5000), newPhone(t, codec.PCMA, 0, 0)
	w.phones = nil
	w.join(b, c)
	if got := w.crew.Jobs() - was; got != 1 {
		t.Errorf("%d jobs more, want 1", got)
	}
	w.talk(45)
	c.hears("who came", map[float64]bool{500: true})
}

// TestCodecsChange: a re-INVITE brings another codec, and a peer may send
// G.711 whatever was settled.
func TestCodecsChange(t *testing.T) {
	a, b := newPhone(t, codec.PCMA, 500, 5000), newPhone(t, codec.PCMA, 700, 5000)
	w := newTable(t, a, b)
	w.talk(45)
	b.speaks(named(t, codec.G722))
	w.talk(45)
	b.hears("who speaks G.722 now", map[float64]bool{500: true, 700: false})
	a.hears("the other", map[float64]bool{500: false, 700: true})
	var err error
	if b.mouth, err = voice.NewMouth(named(t, codec.PCMU)); err != nil {
		t.Fatal(err)
	}
	b.law = codec.ULaw
	w.talk(45)
	b.hears("who is sent G.722", map[float64]bool{500: true, 700: false})
	a.hears("who is sent what came as G.711", map[float64]bool{500: false, 700: true})
}

// TestUnknownCodec: the others do not notice a member that cannot be served,
// and it is tried once.
func TestUnknownCodec(t *testing.T) {
	a, b, c := newPhone(t, codec.PCMA, 500, 5000), newPhone(t, codec.PCMA, 0, 0), newPhone(t, codec.PCMA, 0, 0)
	c.codec = media.Codec{Name: "G729", ClockRate: 8000}
	var lines counter
	w := newTable(t, a, b, c)
	w.log = slog.New(slog.NewTextHandler(&lines, nil))
	w.talk(45)
	b.hears("another member", map[float64]bool{500: true})
	if lines.n != 1 || c.got.Seq != 0 {
		t.Errorf("%d lines in the log, want 1; it was sent %d packets", lines.n, c.got.Seq)
	}
}

// counter counts lines.
type counter struct{ n int }

func (c *counter) Write(b []byte) (int, error) { c.n++; return len(b), nil }

// TestCommonIsEncodedOnce: all who say nothing are sent the very same octets,
// the others their own.
func TestCommonIsEncodedOnce(t *testing.T) {
	for _, name := range []string{codec.PCMA, codec.G722} {
		speaker, x, y := newPhone(t, name, 500, 5000), newPhone(t, name, 0, 0), newPhone(t, name, 0, 0)
		w := newTable(t, x, y, speaker)
		speaker.loud = 0
		w.talk(2 * rest) // a pause brings the listeners together
		speaker.loud = 5000
		for range 40 {
			w.talk(1)
			if b := x.seat.booth.Load(); !b.shares || string(x.payload) != string(y.payload) {
				t.Fatalf("%s: two listeners are not sent the same", name)
			}
		}
		if speaker.seat.booth.Load().shares {
			t.Errorf("%s: who speaks is sent what the others hear", name)
		}
		x.hears("a listener", map[float64]bool{500: true})
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var phones []*phone
	for i := range 6 {
		p := newPhone(t, []string{codec.PCMA, codec.PCMU, codec.G722}[i%3], 500, 0)
		phones = append(phones, p)
	}
	w := newTable(t, phones...)
	w.talk(2 * rest)
	for _, p := range phones[:3] {
		p.loud = 5000
	}
	step := func() {
		for _, p := range phones {
			p.say()
		}
		w.Run()
	}
	for range 2 * rest {
		step()
	}
	if n := testing.AllocsPerRun(50, step); n != 0 {
		t.Errorf("%v allocations in a frame", n)
	}
}

// TestManyHands has members come, go and speak from several goroutines while
// the crew runs the room, for the race detector.
func TestManyHands(t *testing.T) {
	ticks := make(chan time.Time)
	crew := convert.NewCrew(2, func() (<-chan time.Time, func()) { return ticks, func() {} })
	defer crew.Close()
	r := New(crew, slog.New(slog.DiscardHandler))
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range 4 {
		p := newPhone(t, []string{codec.PCMA, codec.G722}[i%2], 500, 5000)
		wg.Go(func() {
			for range 20 {
				p.seat = r.Join(silence{p.codec})
				for range 10 {
					p.say()
				}
				p.seat.Mute(true)
				r.Size()
				p.seat.Leave()
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case ticks <- time.Time{}:
		}
	}
	if n := r.Size(); n != 0 {
		t.Errorf("%d members are left", n)
	}
}

// silence is a leg that hears nothing.
type silence struct{ codec media.Codec }

func (s silence) Codec() (media.Codec, bool) { return s.codec, true }
func (s silence) Emit([]byte, uint32)        {}
