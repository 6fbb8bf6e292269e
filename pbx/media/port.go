package media

import (
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// Direction is the media direction of a stream as seen from us (RFC 3264 §5.1).
type Direction int

// The directions of a stream. The zero value sends and receives.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

// Sends reports whether we may send in this direction.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives reports whether we expect media in this direction.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

// Codec is one negotiated payload format.
type Codec struct {
	Name        string // "PCMA", "PCMU" (package codec has the list)
	PayloadType uint8  // 0..127
	ClockRate   int    // Hz
}

// Stream is what one offer/answer exchange settled for a leg's audio.
type Stream struct {
	// Remote is the peer's RTP address from SDP. An invalid or unspecified
	// address means that none is known yet: the port sends nothing until it
	// has learnt the source (symmetric RTP).
	Remote     netip.AddrPort
	RemoteRTCP netip.AddrPort // invalid: Remote's port + 1, or Remote with RTCPMux
	RTCPMux    bool           // RFC 5761
	Codec      Codec          // what we send; what the peer sends by the same name
	// DTMF is the payload type of telephone-event/8000 (RFC 4733), 0 = none.
	DTMF      uint8
	Ptime     time.Duration // packet time that the peer asks for, 0 = 20 ms
	Direction Direction
	// Signalling is the host that the peer's signalling comes from, invalid if
	// not known. Media from it is believed sooner than media from anywhere.
	Signalling netip.Addr
	// Crypto are the keys of SRTP; the zero value is plain RTP. With DTLS there
	// are none: nothing passes before the handshake has brought some.
	Crypto Crypto
	DTLS   DTLS `json:"DTLS,omitzero"`
	// ICE: media goes to and comes from sources that the peer's checks have
	// validated, whatever Remote says.
	ICE ICE `json:"ICE,omitzero"`
	// TrustSource: the signalling came from the public address in SDP itself
	// (a trunk, a phone without NAT), so a packet from another host is not
	// accepted even as the first one.
	TrustSource bool
}

// Notices are what a port tells its leg. They are called from the media
// plane's goroutines and must return at once; nil ones are skipped.
type Notices struct {
	Digit   func(digit rune) // one per key press: 0-9 * # A-D
	Silent  func()           // no RTP for the time set at allocation, while media is expected; told again every few seconds until RTP comes
	Played  func()           // a source handed to Play came to its end by itself
	Arrived func()           // the first RTP packet came from the peer
	Keyed   func()           // a handshake has brought keys, which Save tells from now on
}

// Source is audio to play: 8 kHz mono 16-bit samples.
type Source interface {
	// Read fills frame (160 samples at 20 ms) and reports false when the
	// audio is over. It must not block or allocate.
	Read(frame []int16) bool
}

// Port is the media end of one leg. Its methods may be called from any
// goroutine, never block on the network and are ignored after Close.
type Port interface {
	// Local returns the address for our SDP: the advertised address and the
	// RTP port; RTCP is the next port.
	Local() netip.AddrPort
	// Apply takes the outcome of an offer/answer exchange; it may be called
	// again for each re-INVITE. A changed Remote makes the port learn anew.
	Apply(Stream)
	// Hear sends what this port's peer says to `to`, transcoded where the two
	// differ; nil stops it. It replaces the target of an earlier call.
	// Two people talk after a.Hear(b) and b.Hear(a).
	Hear(to Port)
	// Play sends the source to this port's peer in place of what other ports
	// send it, until it ends, Play(nil) or Close.
	Play(Source)
	// SendDigit sends one key press of the given length as RFC 4733 events.
	// It reports false if the peer takes none (the leg then uses INFO).
	SendDigit(digit rune, length time.Duration) bool
	// TakesKeys reports whether the peer takes RFC 4733 events now: what
	// another port hears of them is then relayed to it.
	TakesKeys() bool
	// Tap copies the audio of both directions to t from now on; nil stops it.
	// It replaces the tap before.
	Tap(t Tap)
	// Quality returns the counters so far.
	Quality() pbx.Quality
	// Save returns what another process needs to go on with this port. It is
	// cheap enough to be called every second and also works after Close.
	Save() PortState
	// Hold leaves the port's sockets with the parent process, if there is one:
	// when this process dies, packets wait in them for the one that restores
	// the port. Once is enough; Close takes them back.
	Hold()
	// Close frees the ports; they rest before they are used again.
	Close()
}

// Allocator hands out ports.
type Allocator interface {
	// Allocate returns a port on the address family of `peer` (an invalid
	// address means IPv4 first). Errors: no ports left.
	Allocate(peer netip.Addr, n Notices) (Port, error)
	// Restore returns the port that was saved, by this process or another: the
	// same numbers, its peer still locked, its outgoing stream going on where
	// it was, never behind. Whom it hears and what it plays must be told
	// again. Errors: the numbers are in use, no address of that family.
	Restore(s PortState, n Notices) (Port, error)
	// Room opens a room, which costs nothing while it is empty.
	Room() Room
}

// Room joins ports: each member's peer hears all the others and not itself.
// Its methods may be called from any goroutine and never block; ports of other
// makers are ignored. A port is in one room at a time.
//
// As long as a port is a member, Hear has no effect, either way: it goes on
// with the audio when the port has left. Play goes before the room, key
// presses of members are told and not heard by the others.
type Room interface {
	// Join makes a port a member, and takes it out of the room that it was in.
	Join(Port)
	// Leave ends that, as does the port's Close.
	Leave(Port)
	// Mute keeps what a member says out of the room, or no longer. Who joins
	// is not muted.
	Mute(p Port, on bool)
	// Close sends everybody out, for good.
	Close()
}
