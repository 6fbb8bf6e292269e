package rtpio

import (
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtls"
	"github.com/dipcast/dipcast/pbx/media/opus"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// settings is the snapshot that packets are judged by: one Apply. It is never
// changed after it was published.
type settings struct {
	stream media.Stream
	law    codec.Law // 0: a format that no table changes
	khz    uint32    // timestamp units in a millisecond
	cipher *srtp.Cipher
	shake  *dtls.Association // nil: the keys, if any, are SDP's
	epoch  uint64            // rises whenever the peer must be learnt anew
	at     int64             // when it was applied, in nanoseconds
}

// khz is the clock of a codec in timestamp units for a millisecond.
func khz(c media.Codec) uint32 { return uint32(max(c.ClockRate, codec.ClockRate) / 1000) }

// kind is what a payload type stands for.
type kind uint8

const (
	otherKind kind = iota
	audioKind
	eventKind
	noiseKind // comfort noise (RFC 3389)
)

// format is the kind of a packet and, for audio, its law.
type format struct {
	kind kind
	law  codec.Law
	name string
	khz  uint32 // the clock of audio, in timestamp units for a millisecond
}

// format reads a payload type. Both laws are taken under their static types
// whatever was settled: a peer may send any format that both sides named
// (RFC 3264 §6.1).
func (s *settings) format(payloadType uint8) format {
	switch {
	case payloadType == s.stream.Codec.PayloadType:
		return format{kind: audioKind, law: s.law, name: s.stream.Codec.Name, khz: s.khz}
	case s.stream.DTMF != 0 && payloadType == s.stream.DTMF:
		return format{kind: eventKind}
	case payloadType == codec.PayloadPCMU:
		return format{kind: audioKind, law: codec.ULaw, khz: codec.ClockRate / 1000}
	case payloadType == codec.PayloadPCMA:
		return format{kind: audioKind, law: codec.ALaw, khz: codec.ClockRate / 1000}
	case payloadType == codec.PayloadComfortNoise:
		return format{kind: noiseKind}
	}
	return format{}
}

// span is how many timestamp units of audio are in a payload of the settled
// codec or of G.711.
func (s *settings) span(f format, payload []byte) uint32 {
	if f.law == 0 && s.khz == codec.OpusClockRate/1000 {
		return opus.Span(payload)
	}
	return uint32(len(payload))
}

// takes reports whether audio of the format can be sent by these settings, as
// it is or through a table.
func (s *settings) takes(f format) bool {
	if f.law == 0 || s.law == 0 {
		return f.law == s.law && strings.EqualFold(f.name, s.stream.Codec.Name)
	}
	return true
}
