package codec

import (
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
)

// The encoding names of RFC 3551 and RFC 4733 as they stand in SDP.
const (
	PCMU           = "PCMU"
	PCMA           = "PCMA"
	TelephoneEvent = "telephone-event"
	ComfortNoise   = "CN"
)

// Static payload types (RFC 3551 §6, RFC 3389 §4) and the customary dynamic
// one of telephone events.
const (
	PayloadPCMU           uint8 = 0
	PayloadPCMA           uint8 = 8
	PayloadComfortNoise   uint8 = 13
	PayloadTelephoneEvent uint8 = 101
)

// ClockRate is the RTP clock of every format here, in Hz.
const ClockRate = 8000

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

// Named returns the codec of that name with its static payload type.
func Named(name string) (media.Codec, bool) {
	law, ok := LawOf(name)
	if !ok {
		return media.Codec{}, false
	}
	return law.Codec(), true
}

// Static returns the codec that owns a static payload type.
func Static(payloadType uint8) (media.Codec, bool) {
	switch payloadType {
	case PayloadPCMU:
		return ULaw.Codec(), true
	case PayloadPCMA:
		return ALaw.Codec(), true
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
