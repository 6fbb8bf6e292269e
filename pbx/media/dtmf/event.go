package dtmf

import (
	"errors"
	"strings"
	"time"
)

// Size is the length of an event's payload in octets (RFC 4733 §2.3).
const Size = 4

// keys lists the digits by event code (RFC 4733 §3.2, Table 3).
const keys = "0123456789*#ABCD"

// errShort is for payloads that cannot hold an event.
var errShort = errors.New("telephone event: the payload has fewer than 4 octets")

// Event is one telephone event packet's payload (RFC 4733 §2.3).
type Event struct {
	Code     uint8  // 0..15 are keys
	End      bool   // the key was released
	Volume   uint8  // 0..63, in -dBm0
	Duration uint16 // since the event's RTP timestamp, in timestamp units
}

// Digit returns the key of an event code, false for other events.
func Digit(code uint8) (rune, bool) {
	if int(code) >= len(keys) {
		return 0, false
	}
	return rune(keys[code]), true
}

// Code returns the event code of a key: 0-9 * # A-D, small letters too.
func Code(digit rune) (uint8, bool) {
	if digit >= 'a' && digit <= 'd' {
		digit -= 'a' - 'A'
	}
	i := strings.IndexRune(keys, digit)
	if i < 0 {
		return 0, false
	}
	return uint8(i), true
}

// Parse reads one event. Further octets (RFC 4733 §2.5.1.5 packs several
// events, which no telephone does) are not looked at.
func Parse(payload []byte) (Event, error) {
	if len(payload) < Size {
		return Event{}, errShort
	}
	return Event{
		Code:     payload[0],
		End:      payload[1]&0x80 != 0,
		Volume:   payload[1] & 0x3F,
		Duration: uint16(payload[2])<<8 | uint16(payload[3]),
	}, nil
}

// Put writes the event into the first Size octets of b.
func (e Event) Put(b []byte) {
	_ = b[Size-1]
	b[0], b[1] = e.Code, e.Volume&0x3F
	if e.End {
		b[1] |= 0x80
	}
	b[2], b[3] = byte(e.Duration>>8), byte(e.Duration)
}

// Receiver finds key presses in a stream of event packets: one per press,
// however often its packets are repeated or lost. The zero value is ready.
type Receiver struct {
	seen      bool
	ended     bool
	code      uint8
	timestamp uint32
	at        time.Duration
}

// gap is the pause after which an unfinished press of the same key is taken
// as lost and the next packet as a new press.
const gap = 200 * time.Millisecond

// Take handles one event packet: its RTP timestamp, its marker bit and when it
// came, on any clock that only goes forward. It reports a digit at the first
// packet of each press (RFC 4733 §2.5.2.3: the timestamp tells presses apart).
func (r *Receiver) Take(e Event, timestamp uint32, marker bool, at time.Duration) (rune, bool) {
	digit, ok := Digit(e.Code)
	if !ok {
		return 0, false
	}
	if r.seen && r.same(e, timestamp, marker, at) {
		r.ended = r.ended || e.End
		r.at = at
		return 0, false
	}
	*r = Receiver{seen: true, ended: e.End, code: e.Code, timestamp: timestamp, at: at}
	return digit, true
}

// same reports whether the packet belongs to the press seen last, or to one
// before it.
func (r *Receiver) same(e Event, timestamp uint32, marker bool, at time.Duration) bool {
	if timestamp == r.timestamp {
		return true
	}
	recent := at-r.at < gap
	if int32(timestamp-r.timestamp) < 0 && recent {
		return true // a late packet of an earlier press
	}
	// A long press continues in segments with new timestamps (§2.5.1.3), and
	// some senders count the timestamp up within one press.
	return !r.ended && !marker && e.Code == r.code && recent
}
