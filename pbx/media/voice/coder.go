package voice

import (
	"fmt"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/g722"
	"github.com/dipcast/dipcast/pbx/media/opus"
)

// decoder turns one payload into samples. It is told of G.711 packets by their
// law, since a peer may change between the two.
type decoder interface {
	// span is how much audio is in a payload, in units of the RTP clock; 0: it
	// is none.
	span(payload []byte) uint32
	// decode writes the samples of a payload and returns how many; 0: it is none.
	decode(dst []int16, law codec.Law, payload []byte) int
	// conceal writes what may stand for lost audio and returns how many
	// samples, at most len(dst); 0: the decoder has no idea.
	conceal(dst []int16) int
}

// encoder turns one frame into a payload.
type encoder interface {
	encode(dst []byte, frame []int16) int
}

// Rate returns the rate of a codec's audio in Hz, 0 for one that is not known.
func Rate(c media.Codec) int {
	switch {
	case strings.EqualFold(c.Name, codec.G722):
		return g722.SampleRate
	case strings.EqualFold(c.Name, codec.Opus):
		return opus.SampleRate
	}
	if _, ok := codec.LawOf(c.Name); ok {
		return codec.ClockRate
	}
	return 0
}

func newDecoder(c media.Codec) (decoder, error) {
	switch {
	case strings.EqualFold(c.Name, codec.G722):
		return &wideDecoder{g722.NewDecoder()}, nil
	case strings.EqualFold(c.Name, codec.Opus):
		d, err := opus.NewDecoder()
		return &opusDecoder{d}, err
	}
	if law, ok := codec.LawOf(c.Name); ok {
		return lawCoder(law), nil
	}
	return nil, unknown(c)
}

func newEncoder(c media.Codec) (encoder, error) {
	switch {
	case strings.EqualFold(c.Name, codec.G722):
		return &wideEncoder{g722.NewEncoder()}, nil
	case strings.EqualFold(c.Name, codec.Opus):
		e, err := opus.NewEncoder()
		return &opusEncoder{e}, err
	}
	if law, ok := codec.LawOf(c.Name); ok {
		return lawCoder(law), nil
	}
	return nil, unknown(c)
}

func unknown(c media.Codec) error {
	return fmt.Errorf("codec %q: cannot be decoded: want PCMA, PCMU, G722 or opus", c.Name)
}

// lawCoder is G.711, which has no state.
type lawCoder codec.Law

func (c lawCoder) span(payload []byte) uint32 { return uint32(len(payload)) }

func (c lawCoder) decode(dst []int16, law codec.Law, payload []byte) int {
	if law == 0 {
		law = codec.Law(c)
	}
	return law.Decode(dst, payload)
}

func (c lawCoder) conceal([]int16) int { return 0 }

func (c lawCoder) encode(dst []byte, frame []int16) int { return codec.Law(c).Encode(dst, frame) }

type wideDecoder struct{ d *g722.Decoder }

func (w *wideDecoder) span(payload []byte) uint32 { return uint32(len(payload)) }

func (w *wideDecoder) decode(dst []int16, law codec.Law, payload []byte) int {
	if law != 0 {
		return 0
	}
	return w.d.Decode(dst, payload)
}

func (w *wideDecoder) conceal([]int16) int { return 0 }

type wideEncoder struct{ e *g722.Encoder }

func (w *wideEncoder) encode(dst []byte, frame []int16) int { return w.e.Encode(dst, frame) }

type opusDecoder struct{ d *opus.Decoder }

func (o *opusDecoder) span(payload []byte) uint32 { return opus.Span(payload) }

func (o *opusDecoder) decode(dst []int16, law codec.Law, payload []byte) int {
	if law != 0 {
		return 0
	}
	n, err := o.d.Decode(dst, payload)
	if err != nil {
		return 0
	}
	return n
}

func (o *opusDecoder) conceal(dst []int16) int {
	n, err := o.d.Conceal(dst)
	if err != nil {
		return 0
	}
	return n
}

type opusEncoder struct{ e *opus.Encoder }

func (o *opusEncoder) encode(dst []byte, frame []int16) int {
	n, err := o.e.Encode(dst, frame)
	if err != nil {
		return 0
	}
	return n
}
