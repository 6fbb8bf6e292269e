package rtpio

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/convert"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// seated gives each talker a port and a seat in a new room.
func (s *studio) seated(t *testing.T, talkers ...*talker) media.Room {
	t.Helper()
	room := s.Room()
	t.Cleanup(room.Close)
	for _, w := range talkers {
		w.port = s.port(t, loopback4, media.Notices{Digit: func(digit rune) { w.pressed <- digit }})
		w.to = w.port.Local()
		w.port.Apply(w.stream())
		room.Join(w.port)
	}
	return room
}

// mixture are the tones that a talker must hear, and those that it must not.
type mixture struct {
	who         *talker
	hear, never []float64
	last        []int16
}

// all are what everybody in a room must hear: the others.
func all(talkers ...*talker) (list []hearing) {
	for _, w := range talkers {
		m := &mixture{who: w, never: []float64{w.hertz}}
		for _, other := range talkers {
			if other != w {
				m.hear = append(m.hear, other.hertz)
			}
		}
		list = append(list, m)
	}
	return list
}

// heard reports whether the last 300 ms were so.
func (m *mixture) heard() bool {
	m.last = append(m.last, m.who.hear()...)
	rate := m.who.ear.Rate()
	window := rate * 3 / 10
	if len(m.last) < window {
		return false
	}
	m.last = m.last[len(m.last)-window:]
	for _, hertz := range m.hear {
		if amplitude(m.last, hertz, rate) < 2000 {
			return false
		}
	}
	for _, hertz := range m.never {
		if amplitude(m.last, hertz, rate) > 200 {
			return false
		}
	}
	return true
}

// amplitude is that of a tone in a signal.
func amplitude(y []int16, hertz float64, rate int) float64 {
	var si, co float64
	for i, v := range y {
		a, b := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate))
		si, co = si+float64(v)*a, co+float64(v)*b
	}
	return 2 * math.Hypot(si, co) / float64(len(y))
}

// five are phones of every kind, each with a tone of its own.
func five(t *testing.T) []*talker {
	t.Helper()
	var list []*talker
	for i, name := range []string{codec.PCMA, codec.PCMU, codec.G722, codec.G722, codec.Opus} {
		w := newTalker(t, name, 300+200*float64(i))
		w.loud = 5000
		list = append(list, w)
	}
	return list
}

func TestRoomOfAllKinds(t *testing.T) {
	b := newStudio(t)
	phones := five(t)
	b.seated(t, phones...)
	b.talk(t, phones, all(phones...)...)
	b.wantJobs(t, 1)
	if want := fmt.Sprintf("%v ─ learn ─ count ─ keys ─ ear ─► room of 5", phones[0].port.Local()); phones[0].port.String() != want {
		t.Errorf("drawn as %q, want %q", phones[0].port.String(), want)
	}
	for _, w := range phones {
		w.port.Close()
	}
	b.wantJobs(t, 0)
}

// TestMembersComeAndGo while the others talk: one leaves for a call of two, and
// comes back.
func TestMembersComeAndGo(t *testing.T) {
	b := newStudio(t)
	phones := five(t)
	room := b.seated(t, phones...)
	guest, stay := phones[0], phones[1:]
	b.talk(t, phones, all(phones...)...)

	friend := newTalker(t, codec.PCMA, 1900)
	friend.port = b.port(t, loopback4, media.Notices{})
	friend.to = friend.port.Local()
	friend.port.Apply(friend.stream())
	friend.port.Hear(guest.port) // which takes effect when the guest has left
	guest.port.Hear(friend.port)
	everybody := append([]*talker{friend}, phones...)
	b.talk(t, everybody, all(phones...)...)

	room.Leave(guest.port)
	b.talk(t, everybody, append(all(stay...), tones(guest, friend)...)...)
	b.wantJobs(t, 1)
	room.Join(guest.port)
	b.talk(t, everybody, all(phones...)...)
	guest.port.Close()
	b.talk(t, stay, all(stay...)...)

	room.Close()
	room.Join(stay[0].port)
	for _, w := range stay {
		if w.port.seat.Load() != nil {
			t.Errorf("%v is still in the room", w.port)
		}
	}
	x, y := stay[0], stay[1]
	x.port.Hear(y.port)
	y.port.Hear(x.port)
	b.talk(t, stay, tones(x, y)...)
}

func TestMuted(t *testing.T) {
	b := newStudio(t)
	x, y, z := newTalker(t, codec.PCMA, 300), newTalker(t, codec.G722, 500), newTalker(t, codec.PCMU, 700)
	phones := []*talker{x, y, z}
	room := b.seated(t, phones...)
	room.Mute(y.port, true)
	b.talk(t, phones, &mixture{who: x, hear: []float64{700}, never: []float64{300, 500}}, &mixture{who: y, hear: []float64{300, 700}, never: []float64{500}})
	if want := fmt.Sprintf("%v ─ learn ─ count ─ keys ─ muted ─ ear ─► room of 3", y.port.Local()); y.port.String() != want {
		t.Errorf("drawn as %q, want %q", y.port.String(), want)
	}
	room.Mute(y.port, false)
	b.talk(t, phones, all(phones...)...)
}

// TestKeysInARoom: who presses a key tells us, and nobody else.
func TestKeysInARoom(t *testing.T) {
	b := newStudio(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.PCMU, 1000)
	b.seated(t, x, y)
	b.talk(t, []*talker{x, y}, all(x, y)...)
	for _, digit := range "42" {
		x.press(digit)
		b.talk(t, []*talker{x, y}, all(x, y)...)
		if got := <-x.pressed; got != digit {
			t.Errorf("key %c was told, want %c", got, digit)
		}
	}
	if len(x.pressed) > 0 || len(y.keys) > 0 {
		t.Errorf("%d keys too many were told, %q were heard by the other", len(x.pressed), string(y.keys))
	}
}

// TestSoundsInARoom: what is played to one is heard by that one alone, and the
// room again afterwards.
func TestSoundsInARoom(t *testing.T) {
	b := newStudio(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.G722, 1000)
	b.seated(t, x, y)
	b.talk(t, []*talker{x, y}, all(x, y)...)
	y.port.Play(&sine{hertz: 600, frames: 100})
	b.talk(t, []*talker{x, y}, &wanted{who: y, hertz: 600}, &mixture{who: x, hear: []float64{1000}, never: []float64{600}})
	b.talk(t, []*talker{x, y}, all(x, y)...)
}

// TestTapOfAMember: what it says and what it hears of the room, each by itself.
func TestTapOfAMember(t *testing.T) {
	b := newStudio(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.G722, 1000)
	b.seated(t, x, y)
	b.talk(t, []*talker{x, y}, all(x, y)...)
	var l listener
	x.port.Tap(&l)
	for l.count(media.Heard) < 25 || l.count(media.Said) < 25 {
		b.talk(t, []*talker{x, y}, &wanted{who: x, hertz: 1000})
	}
	wantTone(t, "what is said", l.samples(media.Said), 440)
	wantTone(t, "what is heard", l.samples(media.Heard), 1000)
}

// TestEncryptedMember: SRTP on its way in and out, plain RTP for the others.
func TestEncryptedMember(t *testing.T) {
	b := newStudio(t)
	secret, plain := newSecretive(t, 1, codec.ALaw), newTalker(t, codec.PCMU, 1000)
	room := b.seated(t, plain)
	p := b.port(t, loopback4, media.Notices{})
	secret.to = p.Local()
	p.Apply(secret.stream())
	room.Join(p)
	source, hears := tone.Sine(440, 0.2), &mixture{who: plain, hear: []float64{440}, never: []float64{1000}}
	for n := 0; !hears.heard() || n < 50; n++ {
		if n == 1000 {
			t.Fatal("the plain phone does not hear the encrypted one")
		}
		was := p.Quality().PacketsIn
		secret.say(source, 1)
		until(t, "what is said arrives", func() bool { return p.Quality().PacketsIn > was })
		was = plain.port.Quality().PacketsIn
		plain.say()
		until(t, "what is said arrives", func() bool { return plain.port.Quality().PacketsIn > was })
		b.step()
	}
	secret.hear(25)
	wantTone(t, "the encrypted phone", secret.hear(20), 1000)
}

// TestMemberIsSaved: its port goes on in another process, in a room that is
// made of the ports again; its stream goes on where it was.
func TestMemberIsSaved(t *testing.T) {
	b := newStudio(t)
	x, y := newTalker(t, codec.PCMA, 440), newTalker(t, codec.G722, 1000)
	b.seated(t, x, y)
	b.talk(t, []*talker{x, y}, all(x, y)...)
	states := []media.PortState{overJSON(t, x.port.Save()), overJSON(t, y.port.Save())}
	b.Close()

	next := newStudio(t)
	room := next.Room()
	for i, w := range []*talker{x, y} {
		p, err := next.Restore(states[i], media.Notices{})
		if err != nil {
			t.Fatal(err)
		}
		w.port = p.(*Port)
		room.Join(p)
	}
	next.talk(t, []*talker{x, y}, all(x, y)...)
	if got := x.ssrcs[states[0].Out.SSRC]; len(x.ssrcs) != 1 || int16(got-uint16(states[0].Out.Highest)) <= 0 {
		t.Errorf("the streams %v were heard, want one that goes on after %d", x.ssrcs, uint16(states[0].Out.Highest))
	}
}

// TestFramesOfARoomAllocateNothing: from the socket of a speaker to that of a
// listener.
func TestFramesOfARoomAllocateNothing(t *testing.T) {
	still := func() (<-chan time.Time, func()) { return nil, func() {} }
	b := newBench(t, Config{Crew: convert.NewCrew(1, still)})
	h := newHandler(t, b, codec.ULaw)
	for i := range h.packet[headerSize:] {
		h.packet[headerSize+i] = byte(i) // not silence
	}
	room := b.Room().(gathering)
	room.Join(h.port)
	room.Join(h.out)
	step := func() {
		h.once()
		room.Run()
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations in a frame", n)
	}
	if n := h.out.Quality().PacketsOut; n < 700 {
		t.Errorf("%d packets were sent, want 700", n)
	}
}
