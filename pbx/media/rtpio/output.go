package rtpio

import (
	"runtime"
	"sync/atomic"
	"time"
)

// output is the stream that one port sends: one SSRC whose sequence numbers
// and timestamps go on whoever's audio it is. Exactly one goroutine may hold
// it at a time (claim, release); nobody waits for it.
type output struct {
	busy  atomic.Bool
	ended atomic.Bool // busy will stay so
	ssrc  uint32      // never changes

	started bool
	highest uint32 // the extended sequence number of the newest packet
	ts      uint32 // the timestamp of that packet
	span    uint32 // how many timestamp units it covers
	khz     uint32 // timestamp units in a millisecond, 0 = 8
	at      int64  // when it was sent, in nanoseconds
	keysTil int64  // audio that we make ourselves is left out until then: a key press goes by
	guessed bool   // restored: highest, ts and at are not behind, but may be ahead

	source uint64 // whose packets the mapping below is for, 0 = nobody's
	first  uint16 // the mapping begins at this incoming sequence number
	newest uint16 // the highest incoming sequence number
	count  uint32 // packets since the mapping began
	seqAdd uint16
	tsAdd  uint32

	packets atomic.Uint64
	octets  atomic.Uint64
}

// fresh bounds how long packets from before a switch may come late.
const fresh = 1000

// claim takes the stream, or reports false if somebody else is sending.
func (o *output) claim() bool { return o.busy.CompareAndSwap(false, true) }

// claimOrEnded waits until the stream is free, which takes as long as sending
// one packet, and takes it. It reports false if the stream has ended: then
// nobody changes it any more.
func (o *output) claimOrEnded() bool {
	for !o.claim() {
		if o.ended.Load() {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// end takes the stream for good.
func (o *output) end() {
	if o.claimOrEnded() {
		o.ended.Store(true)
	}
}

func (o *output) release() { o.busy.Store(false) }

// rate takes the clock of the codec that is sent from now on.
func (o *output) rate(s *settings) {
	if o.khz != s.khz {
		o.span = o.span * s.khz / max(o.khz, 1)
		o.khz = s.khz
	}
}

// relay maps an incoming header of the source to the outgoing stream; span is
// how many timestamp units are in the packet. The first packet of another source
// continues where the last one ended, with the marker bit set. It reports
// false for a packet from before the switch.
func (o *output) relay(source uint64, h *header, span uint32, now int64) bool {
	switch {
	case o.source != source:
		o.switchTo(source, h, now)
	case o.guessed: // the mapping says where the stream really is
		o.guessed, o.newest = false, h.seq-1
		o.highest += uint32(int16(h.seq+o.seqAdd-uint16(o.highest))) - 1
	case o.count < fresh && int16(h.seq-o.first) < 0:
		return false
	}
	o.count++
	if int16(h.seq-o.newest) > 0 {
		o.newest = h.seq
	}
	h.seq += o.seqAdd
	h.timestamp += o.tsAdd
	h.ssrc = o.ssrc
	if ahead := int16(h.seq - uint16(o.highest)); ahead > 0 {
		o.highest += uint32(ahead)
		o.ts, o.span, o.at = h.timestamp, span, now
	}
	return true
}

func (o *output) switchTo(source uint64, h *header, now int64) {
	seq, ts := uint16(o.highest)+1, o.next(now)
	o.source, o.first, o.newest, o.count = source, h.seq, h.seq-1, 0
	o.seqAdd, o.tsAdd = seq-h.seq, ts-h.timestamp
	o.started, o.guessed = true, false
	h.marker = true
}

// swallow leaves one packet of the source out without a gap in the sequence.
func (o *output) swallow(source uint64, seq uint16) {
	if o.source == source && int16(seq-o.newest) > 0 {
		o.newest = seq
		o.seqAdd--
	}
}

// own returns the header of a packet of ours (a played source) of span
// timestamp units; the first of each source carries the marker bit.
func (o *output) own(source uint64, span uint32, now int64) header {
	h := header{ssrc: o.ssrc, marker: o.source != source}
	if h.marker {
		o.ts = o.next(now)
	} else {
		o.ts += o.span
	}
	o.highest++
	o.source, o.span, o.at, o.started, o.guessed = source, span, now, true, false
	h.seq, h.timestamp = uint16(o.highest), o.ts
	return h
}

// begin starts an event (RFC 4733 §2.5.1.1): its timestamp is that of the
// moment and stays.
func (o *output) begin(now int64) (timestamp uint32) {
	o.ts, o.span, o.at = o.next(now), 0, now
	o.source, o.started, o.guessed = 0, true, false
	return o.ts
}

// event returns the header of the next packet of an event that has lasted for
// span samples.
func (o *output) event(timestamp, span uint32, first bool, now int64) header {
	o.highest++
	o.ts, o.span, o.at, o.source = timestamp, span*max(o.khz, 8)/8, now, 0
	return header{ssrc: o.ssrc, seq: uint16(o.highest), timestamp: timestamp, marker: first}
}

// next is the timestamp of a packet that does not belong to what was sent
// before: time has gone on, and the last packet must have been played.
func (o *output) next(now int64) uint32 {
	if !o.started {
		return o.ts
	}
	return o.ts + max(o.span, units(now-o.at, o.khz))
}

// units turns nanoseconds into timestamp units of so many in a millisecond;
// 0 = 8.
func units(ns int64, khz uint32) uint32 {
	if khz == 0 {
		khz = 8
	}
	return uint32(ns * int64(khz) / int64(time.Millisecond))
}
