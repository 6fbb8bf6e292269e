package codec

import (
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
)

// The encoding names of RFC 3551, RFC 7587 and RFC 4733 as they stand in SDP.
const (
	PCMU           = "PCMU"
	PCMA           = "PCMA"
	G722           = "G722"
	Opus           = "opus"
	TelephoneEvent = "telephone-event"
)

// Static payload types (RFC 3551 §6, RFC 3389 §4) and the customary dynamic
// ones of Opus and of telephone events.
const (
	PayloadPCMU           uint8 = 0
	PayloadPCMA           uint8 = 8
	PayloadG722           uint8 = 9
	PayloadComfortNoise   uint8 = 13
	PayloadTelephoneEvent uint8 = 101
	PayloadOpus           uint8 = 107
)

// ClockRate is the RTP clock of every format here but Opus, in Hz. That of
// G.722 is 8000 although it is 16 kHz audio (RFC 3551 §4.5.2).
const ClockRate = 8000

// OpusClockRate is the RTP clock of Opus in Hz, whatever is in the packets.
const OpusClockRate = 48000

// FrameSamples is the number of samples in 20 ms.
const FrameSamples = ClockRate / 50

// Law is one of the two companding laws of G.711. The zero value is none.
type Law uint8

// The laws of G.711.
const (
	ULaw Law = iota + 1
	ALaw
)

// LawOf returns the law of an encoding name, case-insensitively (RFC 4855 §3).
func LawOf(name string) (Law, bool) {
	switch {
	case strings.EqualFold(name, PCMU):
		return ULaw, true
	case strings.EqualFold(name, PCMA):
		return ALaw, true
	}
	return 0, false
}

// Named returns the codec of that name, case-insensitively, with its customary
// payload type.
func Named(name string) (media.Codec, bool) {
	if law, ok := LawOf(name); ok {
		return law.Codec(), true
	}
	switch {
	case strings.EqualFold(name, G722):
		return media.Codec{Name: G722, PayloadType: PayloadG722, ClockRate: ClockRate}, true
	case strings.EqualFold(name, Opus):
		return media.Codec{Name: Opus, PayloadType: PayloadOpus, ClockRate: OpusClockRate}, true
	}
	return media.Codec{}, false
}

// Static returns the codec that owns a static payload type.
func Static(payloadType uint8) (media.Codec, bool) {
	switch payloadType {
	case PayloadPCMU:
		return ULaw.Codec(), true
	case PayloadPCMA:
		return ALaw.Codec(), true
	case PayloadG722:
		return Named(G722)
	}
	return media.Codec{}, false
}

// Codec returns the law's name, static payload type and clock rate.
func (l Law) Codec() media.Codec {
	switch l {
	case ULaw:
		return media.Codec{Name: PCMU, PayloadType: PayloadPCMU, ClockRate: ClockRate}
	case ALaw:
		return media.Codec{Name: PCMA, PayloadType: PayloadPCMA, ClockRate: ClockRate}
	}
	return media.Codec{}
}

// String returns the encoding name.
func (l Law) String() string {
	if n := l.Codec().Name; n != "" {
		return n
	}
	return "none"
}

// Silence returns the octet that stands for no sound.
func (l Law) Silence() byte {
	if l == ALaw {
		return 0xD5
	}
	return 0xFF
}

// Format is how a tap names audio of a law, or of the codec of that name.
func Format(law Law, name string) media.Format {
	switch {
	case law == ALaw:
		return media.FormatALaw
	case law == ULaw:
		return media.FormatULaw
	case strings.EqualFold(name, G722):
		return media.FormatG722
	case strings.EqualFold(name, Opus):
		return media.FormatOpus
	}
	return media.FormatOther
}
