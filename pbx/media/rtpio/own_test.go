package rtpio

import (
	"bytes"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// notices collects what a port tells.
type notices struct {
	digits                  chan rune
	silent, played, arrived chan struct{}
}

func newNotices() (*notices, media.Notices) {
	n := &notices{make(chan rune, 100), make(chan struct{}, 100), make(chan struct{}, 100), make(chan struct{}, 100)}
	return n, media.Notices{
		Digit:   func(d rune) { n.digits <- d },
		Silent:  func() { n.silent <- struct{}{} },
		Played:  func() { n.played <- struct{}{} },
		Arrived: func() { n.arrived <- struct{}{} },
	}
}

func waitFor[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
		panic("not reached")
	}
}

func wantNone[T any](t *testing.T, what string, c <-chan T) {
	t.Helper()
	if len(c) != 0 {
		t.Errorf("%s: %d more than expected", what, len(c))
	}
}

func TestPlayedSourceIsHeardAndEnds(t *testing.T) {
	b := newBench(t, Config{})
	n, tell := newNotices()
	p, a := b.port(t, loopback4, tell), newPeer(t, loopback4, codec.ULaw)
	p.Apply(a.stream())
	p.Play(tone.For(tone.Sine(600, 0.5), 500*time.Millisecond))
	b.tick(26)
	wantTone(t, "the phone hears", a.hear(25), 600)
	waitFor(t, "the end is told", n.played)
	p.Play(tone.Sine(700, 0.5))
	b.tick(2)
	p.Play(tone.Sine(800, 0.5)) // replaces it: nobody is told
	b.tick(2)
	p.Play(nil)
	b.tick(2)
	b.settle()
	wantNone(t, "ends told", n.played)
}

func TestPlayCatchesUpAfterALateTick(t *testing.T) {
	b := newBench(t, Config{})
	p, a := b.port(t, loopback4, media.Notices{}), newPeer(t, loopback4, codec.ULaw)
	p.Apply(a.stream())
	p.Play(tone.Sine(600, 0.5))
	b.clock.advance(2 * frameTime)
	b.tick(1) // the third frame is due
	a.hear(3)
	b.clock.advance(time.Hour)
	b.tick(1) // a machine that slept does not pour out an hour
	b.settle()
	if got := p.Quality().PacketsOut; got != 3+catchUp {
		t.Errorf("%d packets, want %d", got, 3+catchUp)
	}
}

func TestPlayGoesOnWhileNothingCanBeSent(t *testing.T) {
	b := newBench(t, Config{})
	n, tell := newNotices()
	p := b.port(t, loopback4, tell)
	p.Play(tone.For(tone.Silence(), 40*time.Millisecond)) // no Apply yet
	b.tick(3)
	waitFor(t, "the end is told", n.played)
}

func TestSentKeyPress(t *testing.T) {
	b := newBench(t, Config{})
	_, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	frame := bytes.Repeat([]byte{0xD5}, 160)
	a.send(frame)
	before := z.receive()
	b.clock.advance(frameTime)
	if !pb.SendDigit('5', 100*time.Millisecond) || !pb.SendDigit('#', 0) {
		t.Fatal("the key presses were not taken")
	}
	if pb.SendDigit('x', 0) {
		t.Error("x was taken as a key")
	}
	b.tick(20)
	a.send(frame)
	var got []received
	for len(got) == 0 || got[len(got)-1].payloadType != codec.PayloadPCMA {
		got = append(got, z.receive())
	}
	wantDurations := []uint16{160, 320, 480, 640, 800, 800, 800, 160, 320, 320, 320}
	if len(got) != len(wantDurations)+1 {
		t.Fatalf("%d packets, want %d of events and one of audio", len(got), len(wantDurations))
	}
	last := before.header
	for i, want := range wantDurations {
		r := got[i]
		e, err := dtmf.Parse(r.payload)
		if err != nil || r.payloadType != codec.PayloadTelephoneEvent {
			t.Fatalf("packet %d: payload type %d: %v", i, r.payloadType, err)
		}
		wantCode, begin := uint8(5), 0
		if i >= 7 {
			wantCode, begin = 11, 7
		}
		if e.Code != wantCode || e.Duration != want || r.marker != (i == begin) || r.seq != last.seq+1 ||
			r.ssrc != before.ssrc || r.timestamp != got[begin].timestamp {
			t.Errorf("packet %d: %+v %+v", i, r.header, e)
		}
		wantEnd := i >= 4 && i < 7 || i >= 8
		if e.End != wantEnd {
			t.Errorf("packet %d: end %v", i, e.End)
		}
		last = r.header
	}
	audio := got[len(got)-1]
	if audio.seq != last.seq+1 || !audio.marker || int32(audio.timestamp-last.timestamp) < 320 {
		t.Errorf("audio %+v does not go on from %+v", audio.header, last)
	}
}

func TestKeyPressNeedsEvents(t *testing.T) {
	b := newBench(t, Config{})
	p, a := b.port(t, loopback4, media.Notices{}), newPeer(t, loopback4, codec.ALaw)
	if p.SendDigit('1', 0) {
		t.Error("taken before the first exchange")
	}
	s := a.stream()
	s.DTMF = 0
	p.Apply(s)
	if p.SendDigit('1', 0) {
		t.Error("taken by a peer without events")
	}
	p.Apply(a.stream())
	for i := range dtmf.MaxWaiting + 1 {
		if got, want := p.SendDigit('1', 0), i < dtmf.MaxWaiting; got != want {
			t.Fatalf("press %d: taken %v", i, got)
		}
	}
}

// pressKey sends a whole event as a phone does.
func (p *peer) pressKey(code uint8) { p.pressKeyThen(code, func() {}) }

// pressKeyThen does something after the event's first packet.
func (p *peer) pressKeyThen(code uint8, then func()) {
	audio := p.header
	p.header.payloadType, p.header.marker = codec.PayloadTelephoneEvent, true
	for i := range 6 {
		e := dtmf.Event{Code: code, Volume: 10, Duration: uint16(160 * min(i+1, 4)), End: i >= 3}
		payload := make([]byte, dtmf.Size)
		e.Put(payload)
		p.send(payload)
		p.header.timestamp = audio.timestamp
		if i == 0 {
			then()
		}
	}
	p.header.payloadType, p.header.timestamp = audio.payloadType, audio.timestamp+640
}

// A key press makes the engine connect the peer with somebody: what is left of
// the press is not for them, the next one is.
func TestTheRestOfAKeyPressIsNotRelayed(t *testing.T) {
	b := newBench(t, Config{})
	n, tell := newNotices()
	a, z := newPeer(t, loopback4, codec.ALaw), newPeer(t, loopback4, codec.ALaw)
	pa, pz := b.port(t, loopback4, tell), b.port(t, loopback4, media.Notices{})
	a.to = pa.Local()
	pa.Apply(a.stream())
	pz.Apply(z.stream())
	a.pressKeyThen(1, func() {
		waitFor(t, "the key press", n.digits)
		pa.Hear(pz)
	})
	a.say(tone.Silence(), 1)
	if r := z.receive(); r.payloadType != codec.PayloadPCMA {
		t.Errorf("payload type %d: the rest of the press was relayed", r.payloadType)
	}
	a.pressKey(2)
	if r := z.receive(); r.payloadType != codec.PayloadTelephoneEvent || r.payload[0] != 2 || !r.marker {
		t.Errorf("the next press: %+v", r.header)
	}
}

func TestReceivedKeyPress(t *testing.T) {
	b := newBench(t, Config{})
	n, tell := newNotices()
	a, z := newPeer(t, loopback4, codec.ALaw), newPeer(t, loopback4, codec.ULaw)
	pa, pz := b.port(t, loopback4, tell), b.port(t, loopback4, media.Notices{})
	a.to = pa.Local()
	pa.Apply(a.stream())
	other := z.stream()
	other.DTMF = 96 // another payload type
	pz.Apply(other)
	pa.Hear(pz)
	a.pressKey(1)
	if d := waitFor(t, "the key press", n.digits); d != '1' {
		t.Errorf("digit %c, want 1", d)
	}
	for i := range 6 {
		if r := z.receive(); r.payloadType != 96 || r.payload[0] != 1 || r.marker != (i == 0) {
			t.Errorf("relayed packet %d: %+v", i, r.header)
		}
	}
	other.DTMF = 0 // now the other side takes none
	pz.Apply(other)
	a.pressKey(10)
	a.say(tone.Silence(), 1)
	if d := waitFor(t, "the second key press", n.digits); d != '*' {
		t.Errorf("digit %c, want *", d)
	}
	if r := z.receive(); r.payloadType != codec.PayloadPCMU {
		t.Errorf("payload type %d: the events were to be swallowed", r.payloadType)
	}
	wantNone(t, "digits", n.digits)
	if q := pa.Quality(); q.LostIn != 0 || q.JitterIn != 0 {
		t.Errorf("quality %+v: events are no loss and no jitter", q)
	}
}

func TestSilenceIsTold(t *testing.T) {
	b := newBench(t, Config{Silence: 5 * time.Second})
	n, tell := newNotices()
	p, a := b.port(t, loopback4, tell), newPeer(t, loopback4, codec.ALaw)
	a.to = p.Local()
	look := func() { b.tick(2 * watchTicks); b.settle() }
	b.clock.advance(time.Minute)
	look()
	wantNone(t, "silence before the first exchange", n.silent)
	p.Apply(a.stream())
	look()
	wantNone(t, "silence right after the exchange", n.silent)
	a.say(tone.Silence(), 1)
	waitFor(t, "the first packet is told", n.arrived)
	b.clock.advance(4 * time.Second)
	look()
	wantNone(t, "silence after four seconds", n.silent)
	b.clock.advance(time.Second)
	look()
	waitFor(t, "silence after five seconds", n.silent)
	b.clock.advance(time.Second)
	look()
	wantNone(t, "silence right after it was told", n.silent)
	b.clock.advance(5 * time.Second)
	look()
	waitFor(t, "silence that lasts is told again", n.silent)
	a.say(tone.Silence(), 1)
	until(t, "audio is back", func() bool { return !p.silent.Load() })
	b.clock.advance(6 * time.Second)
	look()
	waitFor(t, "silence for the second time", n.silent)
	hold := a.stream()
	hold.Direction = media.SendOnly
	p.Apply(hold)
	b.clock.advance(time.Minute)
	look()
	wantNone(t, "silence while nothing is expected", n.silent)
	wantNone(t, "first packets", n.arrived)
}
