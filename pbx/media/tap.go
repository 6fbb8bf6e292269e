package media

import "time"

// Side is one of the two directions of a port's audio.
type Side uint8

// The sides of a port.
const (
	Said  Side = iota // what the port's peer says to us
	Heard             // what we send to the port's peer
)

// Format is how the payload of a tapped packet is coded.
type Format uint8

// The formats that a tap may meet.
const (
	FormatOther Format = iota // passed on as it is; nothing here can decode it
	FormatALaw                // G.711, 8 kHz, one octet a sample
	FormatULaw                // G.711, 8 kHz, one octet a sample
	FormatG722                // 16 kHz in two bands, one octet for two samples; its RTP clock is 8 kHz (RFC 3551 §4.5.2)
	FormatOpus                // RFC 6716; its RTP clock is 48 kHz
)

// Tap is told of each audio packet of a port: of each that came from the peer
// and is used, and of each that is sent to the peer, whether it is relayed or
// played. Packets with key presses or comfort noise are not audio: they are
// gaps, to be filled by time.
//
// Audio is called from the goroutines of the media plane, one call of each
// side at a time. It must not block, allocate or keep the payload. timestamp
// is that of RTP in the clock of the format; it begins anywhere, and anew when
// the peer starts another stream. at is a monotonic time of this process.
type Tap interface {
	Audio(side Side, format Format, timestamp uint32, at time.Duration, payload []byte)
}
