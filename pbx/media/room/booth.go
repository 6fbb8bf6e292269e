package room

import (
	"slices"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/resample"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// maxFrame is the most samples that 20 ms have at the rates of voices.
const maxFrame = 320

// maxPayload is the largest payload that is made, with what a cipher adds.
const maxPayload = 400

// rest is how many frames of silence bring two encoders together.
const rest = 25

// booth is a member's ear and mouth, as the codecs of its leg want them. It
// implements mix.Voice.
type booth struct {
	seat    *Seat
	in, out media.Codec
	laws    bool // in is G.711 of either law
	ear     *voice.Ear
	mouth   *voice.Mouth
	scribe  *scribe // nil: the codec cannot be shared
	shares  bool    // the member hears the scribe; the mouth is out of use
	calm    int     // frames of silence in a row
	packet  [Headroom + maxPayload]byte

	// Where the peer sends another rate than it is sent:
	rate  *resample.Resampler // nil: it does not
	heard [maxFrame]int16
}

// newBooth makes a booth; what the one before it sends goes on if it can.
func newBooth(s *Seat, in, out media.Codec, old *booth) (*booth, error) {
	b := &booth{seat: s, in: in, out: out}
	_, b.laws = codec.LawOf(in.Name)
	var err error
	if b.ear, err = voice.NewEar(in, voice.Settings{}); err != nil {
		return nil, err
	}
	if old != nil && old.out == out {
		b.mouth, b.scribe, b.shares, b.calm = old.mouth, old.scribe, old.shares, old.calm
	} else if b.mouth, err = voice.NewMouth(out); err == nil && b.mouth.Sharing() != voice.Never {
		b.scribe, err = s.room.scribe(out)
	}
	if err == nil && b.ear.Rate() != b.mouth.Rate() {
		b.rate, err = resample.New(b.ear.Rate(), b.mouth.Rate())
	}
	return b, err
}

// understands reports whether the ear is one for the packet.
func (b *booth) understands(settled media.Codec, law codec.Law) bool {
	if law != 0 {
		return b.laws
	}
	return !b.laws && b.in == settled
}

// Rate implements mix.Voice.
func (b *booth) Rate() int { return b.mouth.Rate() }

// Hear implements mix.Voice.
func (b *booth) Hear(frame []int16) bool {
	var said bool
	if b.rate == nil {
		said = b.ear.Hear(frame)
	} else {
		heard := b.heard[:b.ear.Rate()/50]
		said = b.ear.Hear(heard)
		resample.Do(b.rate, frame, heard)
	}
	return said && !b.seat.muted.Load()
}

// Say implements mix.Voice.
func (b *booth) Say(frame []int16, common bool) {
	payload := b.code(frame, common)
	if payload == nil {
		return
	}
	b.seat.line.Emit(b.packet[:Headroom+copy(b.packet[Headroom:], payload)], b.mouth.Span())
}

// code encodes a frame, by the scribe if that may be.
func (b *booth) code(frame []int16, common bool) []byte {
	now := b.seat.room.frame
	if b.calm++; !silent(frame) {
		b.calm = 0
	}
	if common && (b.shares || b.mayShare(now)) {
		b.shares = true
		return b.scribe.say(frame, now)
	}
	if b.shares {
		b.shares = false
		b.mouth.Follow(b.scribe.before(now))
	}
	return b.mouth.Say(frame)
}

// mayShare reports whether the member would not notice to hear the scribe from
// now on. One that nobody hears goes on in the place of this mouth.
func (b *booth) mayShare(now uint64) bool {
	switch b.mouth.Sharing() {
	case voice.Always:
		return true
	case voice.AtRest:
		return b.scribe.adopt(b.mouth, now) || b.calm >= rest && b.scribe.calm >= rest
	}
	return false
}

func silent(frame []int16) bool {
	return !slices.ContainsFunc(frame, func(v int16) bool { return v != 0 })
}
