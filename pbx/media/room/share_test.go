package room

import (
	"math"
	"testing"

	"github.com/dipcast/dipcast/pbx/media/codec"
)

// residue is the amplitude of what is not the tone, as a share of the tone's,
// in the worst of the last frames.
func (p *phone) residue(frames int, hertz float64) (worst float64) {
	rate := p.ear.Rate()
	for n := rate / 50; frames > 0; frames-- {
		y := p.heard[len(p.heard)-frames*n:][:n]
		var si, co, all float64
		for i, v := range y {
			a, b := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate))
			si, co, all = si+float64(v)*a, co+float64(v)*b, all+float64(v)*float64(v)
		}
		tone := 2 * (si*si + co*co) / float64(n)
		worst = max(worst, math.Sqrt(max(0, all-tone)/max(1, tone)))
	}
	return worst
}

// peak is the loudest sample of the last frames.
func (p *phone) peak(frames int) (worst int) {
	for _, v := range p.heard[len(p.heard)-frames*p.ear.Rate()/50:] {
		worst = max(worst, int(v), -int(v))
	}
	return worst
}

// TestChangesOfEncoderAreNotHeard: a wideband listener begins to speak, falls
// silent and comes back to the scribe in a pause. It hears the same tone all
// the time, and its decoder never stumbles.
func TestChangesOfEncoderAreNotHeard(t *testing.T) {
	const hertz = 1000
	x, y, speaker := newPhone(t, codec.G722, 600, 0), newPhone(t, codec.G722, 0, 0), newPhone(t, codec.G722, hertz, 0)
	w := newTable(t, x, y, speaker)
	shares := func() bool { return x.seat.booth.Load().shares }
	w.talk(3 * rest)
	speaker.loud = 6000
	w.talk(50)
	if !shares() {
		t.Fatal("who has only listened is not sent what all are")
	}
	settled := x.residue(20, hertz)
	x.loud = 6000
	w.talk(20)
	if shares() {
		t.Fatal("who speaks is sent what the others hear")
	}
	if got := x.residue(20, hertz); got > 1.5*settled {
		t.Errorf("when it begins to speak %.4f of what it hears is not the tone, %.4f before", got, settled)
	}
	x.loud = 0
	w.talk(4 * rest) // the tone goes on, so that there is no pause
	if shares() {
		t.Error("the decoder was handed over in the midst of a tone")
	}
	if got := x.residue(20, hertz); got > 1.5*settled {
		t.Errorf("when it falls silent %.4f of what it hears is not the tone, %.4f before", got, settled)
	}
	speaker.loud = 0
	own := 0
	for range 4 * rest {
		if w.talk(1); !shares() {
			own++
		}
	}
	if own < rest || !shares() {
		t.Errorf("it has its own encoder for %d frames of a pause, want %d and a few", own, rest)
	}
	if got := x.peak(2 * rest); got > 20 {
		t.Errorf("the change is heard with %d", got)
	}
	speaker.loud = 6000
	w.talk(50)
	if got := x.residue(20, hertz); got > 1.5*settled {
		t.Errorf("after the pause %.4f of what it hears is not the tone, %.4f before", got, settled)
	}
}
