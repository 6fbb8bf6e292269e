package rtpio

import (
	"net/netip"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/opus"
	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// settings is the snapshot that packets are judged by: one Apply. It is never
// changed after it was published.
type settings struct {
	stream media.Stream
	law    codec.Law // 0: a format that no table changes
	khz    uint32    // timestamp units in a millisecond
	cipher *cipher   // nil: plain RTP
	epoch  uint64    // rises whenever the peer must be learnt anew
	at     int64     // when it was applied, in nanoseconds
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

// destination is where a port sends to: SDP's address, then the learnt one.
type destination struct {
	rtp    netip.AddrPort
	to     poll.Addr      // rtp, as the kernel takes it
	rtcp   netip.AddrPort // invalid: not known
	learnt bool
	epoch  uint64
}

// offered is the destination by SDP alone.
func (s *settings) offered() *destination {
	d := &destination{epoch: s.epoch}
	if r := s.stream.Remote; learn.Usable(r) {
		d.rtp = netip.AddrPortFrom(r.Addr().Unmap(), r.Port())
		d.to = poll.AddrOf(d.rtp)
		d.rtcp = s.control(d.rtp)
	}
	return d
}

// found is the destination once the source is learnt. RTCP goes where SDP says
// if the host is the same, otherwise to where the peer's RTCP comes from.
func (s *settings) found(source netip.AddrPort) *destination {
	d := &destination{rtp: source, to: poll.AddrOf(source), learnt: true, epoch: s.epoch}
	switch {
	case s.stream.RTCPMux:
		d.rtcp = source
	case source.Addr() == s.stream.Remote.Addr().Unmap():
		d.rtcp = s.control(s.stream.Remote)
	}
	return d
}

// control is the RTCP address that belongs to an RTP address.
func (s *settings) control(rtp netip.AddrPort) netip.AddrPort {
	switch {
	case s.stream.RTCPMux:
		return rtp
	case learn.Usable(s.stream.RemoteRTCP):
		return netip.AddrPortFrom(s.stream.RemoteRTCP.Addr().Unmap(), s.stream.RemoteRTCP.Port())
	case rtp.Port() == 0xFFFF:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(rtp.Addr().Unmap(), rtp.Port()+1)
}
