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
