package convert

import (
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/resample"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// maxFrame is the most samples that 20 ms have at the rates of voices.
const maxFrame = 320

// Line takes one stream of payloads from one codec to another. NewLine makes
// one.
type Line struct {
	ear *voice.Ear
	out out
	in  [maxFrame]int16
}

// NewLine returns a line between two codecs. The error names one that is not
// known.
func NewLine(from, to media.Codec) (*Line, error) {
	ear, err := voice.NewEar(from, voice.Settings{})
	if err != nil {
		return nil, err
	}
	o, err := newOut(ear.Rate(), to)
	if err != nil {
		return nil, err
	}
	return &Line{ear: ear, out: o}, nil
}

// Put takes a packet, whose payload it copies. It may be called while Frame
// runs. It reports false when packets come faster than time goes by.
func (l *Line) Put(p *voice.Packet) bool { return l.ear.Put(p) }

// Frame returns the payload of the next 20 ms, nil while the peer says nothing.
// It is valid until the next call.
func (l *Line) Frame() []byte {
	frame := l.in[:l.ear.Rate()/50]
	if !l.ear.Hear(frame) {
		return nil
	}
	return l.out.say(frame)
}

// Span is the length of a frame in units of the outgoing RTP clock.
func (l *Line) Span() uint32 { return l.out.mouth.Span() }

// Player takes a source to a codec. NewPlayer makes one.
type Player struct {
	source media.Source
	out    out
	in     [maxFrame]int16
}

// sourceRate is the rate of a media.Source in Hz.
const sourceRate = 8000

// NewPlayer returns a player. The error names a codec that is not known.
func NewPlayer(s media.Source, to media.Codec) (*Player, error) {
	o, err := newOut(sourceRate, to)
	if err != nil {
		return nil, err
	}
	return &Player{source: s, out: o}, nil
}

// Frame returns the payload of the next 20 ms; more is false when the source
// is over.
func (p *Player) Frame() (payload []byte, more bool) {
	frame := p.in[:sourceRate/50]
	if !p.source.Read(frame) {
		return nil, false
	}
	return p.out.say(frame), true
}

// Span is the length of a frame in units of the outgoing RTP clock.
func (p *Player) Span() uint32 { return p.out.mouth.Span() }

// out is the end that lines and players have in common.
type out struct {
	mouth *voice.Mouth
	rate  *resample.Resampler // nil: nothing to change
	frame [maxFrame]int16
}

func newOut(from int, to media.Codec) (o out, err error) {
	if o.mouth, err = voice.NewMouth(to); err != nil {
		return out{}, err
	}
	if o.mouth.Rate() != from {
		o.rate, err = resample.New(from, o.mouth.Rate())
	}
	return o, err
}

func (o *out) say(frame []int16) []byte {
	if o.rate != nil {
		frame = o.frame[:resample.Do(o.rate, o.frame[:], frame)]
	}
	return o.mouth.Say(frame)
}
