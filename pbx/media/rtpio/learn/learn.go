// Package learn decides which source of RTP is a leg's peer.
//
// The signalling says where the peer should be; behind a NAT it is elsewhere.
// A source is believed once it has shown enough, the less the better it fits
// what the signalling said, and then no other is. A Learner belongs to one
// goroutine; it knows nothing of sockets.
package learn

import (
	"math"
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

// rank says how much speaks for a source of RTP being the peer.
type rank uint8

// The ranks, least first. A source never displaces one of its own rank or a
// higher one; so each Apply can make the lock move twice at most, and always
// towards what the signalling said.
const (
	refused rank = iota // must not be learnt
	unknown             // some host: a peer behind a NAT that signalling does not share
	host                // the host of SDP or of the signalling, another port: a NAT
	exact               // address and port as in SDP
)

// proof is what a source of each rank must show before it is locked: so many
// packets in sequence over so much time. An attacker who sprays a range of
// ports (rtpbleed) would have to hit one port ten times in sequence within
// the moments before the real peer is heard, and is still displaced by a peer
// that comes from where the signalling said.
var proof = [...]struct {
	packets int
	over    time.Duration
}{
	refused: {1 << 30, 0},
	unknown: {10, 150 * time.Millisecond},
	host:    {3, 0},
	exact:   {1, 0},
}

// takeover is how many packets a better source needs once another is locked.
const takeover = 3

// Steady is how long a source that only fits the signalling must have been the
// peer until nobody waits any more for a better one, as long as it speaks.
const Steady = 5 * time.Second

// Quiet is how long a source may say nothing until all must be heard again: it
// may have moved, or is to be displaced.
const Quiet = time.Second

// stale is when an unfinished candidate is forgotten.
const stale = int64(2 * time.Second)

// Learner decides which source is the peer. It belongs to the goroutine that
// reads the socket.
type Learner struct {
	remote     netip.AddrPort
	signalling netip.Addr
	trust      bool

	locked     netip.AddrPort // invalid: not yet
	rank       rank
	candidates [6]candidate
}

// candidate is a source that is being proven.
type candidate struct {
	from  netip.AddrPort
	rank  rank
	ssrc  uint32
	seq   uint16
	count int
	first int64
	last  int64
}

// New starts anew for what an offer/answer exchange settled.
func New(s *media.Stream) Learner {
	remote := netip.AddrPortFrom(s.Remote.Addr().Unmap(), s.Remote.Port())
	return Learner{remote: remote, signalling: s.Signalling.Unmap(), trust: s.TrustSource && Usable(remote)}
}

// Verdict is what a packet's source is worth.
type Verdict uint8

// What a source may be worth.
const (
	Foreign  Verdict = iota // not the peer
	Learning                // perhaps the peer
	Locked                  // the peer
	Moved                   // the peer, since this packet
)

// Take judges one well-formed packet. now is in nanoseconds.
func (l *Learner) Take(from netip.AddrPort, ssrc uint32, seq uint16, now int64) Verdict {
	if from == l.locked {
		return Locked
	}
	r := l.judge(from)
	if r == refused || r <= l.rank {
		return Foreign
	}
	need := proof[r]
	if l.rank != refused {
		need.packets = max(need.packets, takeover)
	}
	c := l.find(from, r, now)
	if c == nil {
		return Foreign
	}
	c.take(ssrc, seq, now)
	if c.count < need.packets || now-c.first < int64(need.over) {
		return Learning
	}
	l.locked, l.rank = from, r
	l.candidates = [len(l.candidates)]candidate{}
	return Moved
}

// judge ranks a source by what the signalling said.
func (l *Learner) judge(from netip.AddrPort) rank {
	switch {
	case from == l.remote:
		return exact
	case from.Addr() == l.remote.Addr():
		return host
	case l.trust:
		return refused
	case from.Addr() == l.signalling:
		return host
	}
	return unknown
}

// find returns the source's candidate or a new one in a free place. When all
// are taken, a spray of single packets cannot push out one that has already
// shown two; nil then.
func (l *Learner) find(from netip.AddrPort, r rank, now int64) *candidate {
	var place *candidate
	for i := range l.candidates {
		c := &l.candidates[i]
		if c.from == from {
			return c
		}
		free := c.count == 0 || now-c.last > stale || c.rank < r || c.count == 1 && c.rank == r
		if free && (place == nil || c.weaker(place)) {
			place = c
		}
	}
	if place != nil {
		*place = candidate{from: from, rank: r}
	}
	return place
}

func (c *candidate) weaker(than *candidate) bool {
	if c.count == 0 || than.count == 0 {
		return than.count != 0
	}
	if c.rank != than.rank {
		return c.rank < than.rank
	}
	return c.count < than.count || c.count == than.count && c.last < than.last
}

// take counts a packet that continues the candidate's stream; any other
// begins the proof anew.
func (c *candidate) take(ssrc uint32, seq uint16, now int64) {
	step := seq - c.seq
	if c.count == 0 || c.ssrc != ssrc || step == 0 || step > 50 || now-c.last > stale {
		c.count, c.first = 0, now
	}
	c.count++
	c.ssrc, c.seq, c.last = ssrc, seq, now
}

// Usable reports whether packets can be sent to the address.
func Usable(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast()
}

// Lock believes in a source that was learnt before.
func (l *Learner) Lock(from netip.AddrPort) { l.locked, l.rank = from, max(l.judge(from), unknown) }

// Never is a time that does not come.
const Never = math.MaxInt64

// Firm says when all others may be shut out, if the source that is believed now
// goes on until then: at once where nobody could displace it, Never for one that
// has nothing but its packets to speak for it.
func (l *Learner) Firm(now int64) int64 {
	switch l.rank {
	case exact:
		return now
	case host:
		return now + int64(Steady)
	case refused, unknown:
	}
	return Never
}

// Named reports whether the signalling named the source's host.
func (l *Learner) Named(from netip.AddrPort) bool { return l.judge(from) >= host }
