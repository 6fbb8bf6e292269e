package media

import (
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// PortState is what another process needs to go on with a port. It is plain
// data, made to be written as JSON.
//
// A state ages: the longer ago it was saved, the more of it is a guess. What
// is relayed goes on exactly as long as both sides' streams are those of the
// time of saving; counters go on from it.
type PortState struct {
	Saved  time.Time      `json:"saved"` // by the wall clock
	Local  netip.AddrPort `json:"local"` // as told in SDP
	Stream Stream         `json:"stream,omitzero"`
	// Applied: Stream is the outcome of an offer/answer exchange.
	Applied bool `json:"applied,omitempty"`
	// Agreed are the keys that the handshake of Stream.DTLS has brought; zero:
	// none yet.
	Agreed   Crypto         `json:"agreed,omitzero"`
	Peer     netip.AddrPort `json:"peer,omitzero"`     // the learnt source of RTP, or the one that ICE chose; invalid: none yet
	PeerRTCP netip.AddrPort `json:"peerRTCP,omitzero"` // where the peer's reports come from; invalid: none came
	Name     string         `json:"name"`              // canonical name in our reports (RFC 3550 §6.5.1)
	In       Incoming       `json:"in,omitzero"`
	Out      Outgoing       `json:"out"`
	Quality  pbx.Quality    `json:"quality,omitzero"`
}

// Incoming is the stream that comes from a port's peer.
type Incoming struct {
	SSRC    uint32        `json:"ssrc"`
	Highest uint32        `json:"highest"`         // extended sequence number (RFC 3550 §6.4.1)
	Source  uint64        `json:"source"`          // its name towards the ports that hear it; 0: nothing came yet
	Age     time.Duration `json:"age"`             // of the last packet when it was saved
	Index   uint32        `json:"index,omitempty"` // of the newest packet, as SRTP counts them (RFC 3711 §3.3.1); 0: none was counted
}

// Outgoing is the stream that a port sends to its peer.
type Outgoing struct {
	SSRC    uint32        `json:"ssrc"`
	Highest uint32        `json:"highest"` // extended sequence number of the newest packet
	Time    uint32        `json:"time"`    // its timestamp
	Span    uint32        `json:"span"`    // how many timestamp units it covers
	Age     time.Duration `json:"age"`     // how long ago it was sent when it was saved
	Started bool          `json:"started,omitempty"`
	Octets  uint64        `json:"octets"` // of payload so far
	// A packet of the incoming stream named Source is sent on with its
	// sequence number plus SeqAdd and its timestamp plus TimeAdd.
	Source  uint64 `json:"source,omitempty"`
	SeqAdd  uint16 `json:"seqAdd,omitempty"`
	TimeAdd uint32 `json:"timeAdd,omitempty"`
	Index   uint32 `json:"index,omitempty"` // of the newest packet, as SRTP counts them (RFC 3711 §3.3.1); 0: none was counted
}
