package voice

import "github.com/dipcast/dipcast/pbx/media"

// Mouth encodes one stream. NewMouth makes one.
type Mouth struct {
	encoder encoder
	rate    int
	span    uint32
	payload [400]byte // what 20 ms need in any codec
}

// NewMouth returns a mouth for a codec. The error is of a codec that is not
// known.
func NewMouth(c media.Codec) (*Mouth, error) {
	e, err := newEncoder(c)
	if err != nil {
		return nil, err
	}
	return &Mouth{encoder: e, rate: Rate(c), span: uint32(c.ClockRate / 50)}, nil
}

// Rate returns the rate of what is said, in Hz.
func (m *Mouth) Rate() int { return m.rate }

// Span returns the length of a frame in units of the RTP clock.
func (m *Mouth) Span() uint32 { return m.span }

// Say encodes a frame, Rate()/50 samples, and returns its payload, which is
// valid until the next call; nil if the encoder refuses.
func (m *Mouth) Say(frame []int16) []byte {
	n := m.encoder.encode(m.payload[:], frame)
	if n == 0 {
		return nil
	}
	return m.payload[:n]
}

// Sharing is when a listener may go over from one mouth to another of the same
// codec without hearing it.
type Sharing uint8

const (
	// Never says that the codec remembers too much.
	Never Sharing = iota
	// AtRest says: when both have said nothing for some time. The other way,
	// from a mouth to one that goes on in its place (Follow), is always free.
	AtRest
	// Always says that the codec remembers nothing.
	Always
)

// Sharing tells it of the mouth's codec.
func (m *Mouth) Sharing() Sharing {
	switch m.encoder.(type) {
	case lawCoder:
		return Always
	case *wideEncoder:
		return AtRest
	}
	return Never
}

// Follow makes this mouth go on exactly where another of its codec stands.
// It does nothing for a codec that is shared Never.
func (m *Mouth) Follow(other *Mouth) {
	own, ok := m.encoder.(*wideEncoder)
	if from, same := other.encoder.(*wideEncoder); ok && same {
		*own.e = *from.e
	}
}
