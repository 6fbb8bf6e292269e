package stream

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Out is the stream that one port sends: one SSRC whose sequence numbers
// and timestamps go on whoever's audio it is. Exactly one goroutine may hold
// it at a time (Claim, Release); nobody waits for it.
type Out struct {
	busy  atomic.Bool
	ended atomic.Bool // busy will stay so
	SSRC  uint32      // set before the first packet

	started bool
	highest uint32 // the extended sequence number of the newest packet
	ts      uint32 // the timestamp of that packet
	span    uint32 // how many timestamp units it covers
	khz     uint32 // timestamp units in a millisecond, 0 = 8
	at      int64  // when it was sent, in nanoseconds
	KeysTil int64  // audio that we make ourselves is left out until then: a key press goes by
	guessed bool   // restored: highest, ts and at are not behind, but may be ahead
	known   uint32 // restored: the extended sequence number that was sent for certain

	source uint64 // whose packets the mapping below is for, 0 = nobody's
	first  uint16 // the mapping begins at this incoming sequence number
	newest uint16 // the highest incoming sequence number
	count  uint32 // packets since the mapping began
	seqAdd uint16
	tsAdd  uint32

	Packets atomic.Uint64 // sent
	Octets  atomic.Uint64 // of payload
}

// Stamp is what of a packet's header changes from one packet to the next.
type Stamp struct {
	Seq    uint16
	Time   uint32 // RTP timestamp
	Marker bool
}

// fresh bounds how long packets from before a switch may come late.
const fresh = 1000

// Claim takes the stream, or reports false if somebody else is sending.
func (o *Out) Claim() bool { return o.busy.CompareAndSwap(false, true) }

// ClaimOrEnded waits until the stream is free, which takes as long as sending
// one packet, and takes it. It reports false if the stream has ended: then
// nobody changes it any more.
func (o *Out) ClaimOrEnded() bool {
	for !o.Claim() {
		if o.ended.Load() {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// End takes the stream for good.
func (o *Out) End() {
	if o.ClaimOrEnded() {
		o.ended.Store(true)
	}
}

// Release gives the stream free.
func (o *Out) Release() { o.busy.Store(false) }

// Rate takes the clock of the codec that is sent from now on.
func (o *Out) Rate(khz uint32) {
	if o.khz != khz {
		o.span = o.span * khz / max(o.khz, 1)
		o.khz = khz
	}
}

// Relay maps the incoming numbers of the source to the outgoing stream; span is
// how many timestamp units are in the packet. The first packet of another source
// continues where the last one ended, with the marker bit set. It reports
// false for a packet from before the switch.
func (o *Out) Relay(source uint64, h *Stamp, span uint32, now int64) bool {
	switch {
	case o.source != source || o.guessed && !o.settle(h.Seq):
		o.switchTo(source, h, now)
	case o.count < fresh && int16(h.Seq-o.first) < 0:
		return false
	}
	o.count++
	if int16(h.Seq-o.newest) > 0 {
		o.newest = h.Seq
	}
	h.Seq += o.seqAdd
	h.Time += o.tsAdd
	if ahead := int16(h.Seq - uint16(o.highest)); ahead > 0 {
		o.highest += uint32(ahead)
		o.ts, o.span, o.at = h.Time, span, now
	}
	return true
}

// settle ends the guess about a restored stream: the mapping says where it
// really is. It reports false for a mapping that does not hold any more, since
// it leads behind what was sent or far away.
func (o *Out) settle(seq uint16) bool {
	step := int16(seq + o.seqAdd - uint16(o.highest))
	at := o.highest + uint32(step)
	if int32(at-o.known) <= 0 || step >= maxDropout {
		return false
	}
	o.guessed, o.newest, o.highest = false, seq-1, at-1
	return true
}

func (o *Out) switchTo(source uint64, h *Stamp, now int64) {
	seq, ts := uint16(o.highest)+1, o.Next(now)
	o.source, o.first, o.newest, o.count = source, h.Seq, h.Seq-1, 0
	o.seqAdd, o.tsAdd = seq-h.Seq, ts-h.Time
	o.started, o.guessed = true, false
	h.Marker = true
}

// Pause ends the mapping of the relayed stream while the peer wants nothing,
// so that it goes on without a gap in its sequence when it is resumed.
func (o *Out) Pause() { o.source = 0 }

// Start sets where the sequence numbers and timestamps begin.
func (o *Out) Start(ssrc uint32, seq uint16, time uint32) {
	o.SSRC, o.highest, o.ts = ssrc, uint32(seq), time
}

// Highest is the extended sequence number of the newest packet.
func (o *Out) Highest() uint32 { return o.highest }

// Swallow leaves one packet of the source out without a gap in the sequence.
func (o *Out) Swallow(source uint64, seq uint16) {
	if o.source == source && int16(seq-o.newest) > 0 {
		o.newest = seq
		o.seqAdd--
	}
}

// Own returns the numbers of a packet of ours (a played source) of span
// timestamp units; the first of each source carries the marker bit.
func (o *Out) Own(source uint64, span uint32, now int64) Stamp {
	h := Stamp{Marker: o.source != source}
	if h.Marker {
		o.ts = o.Next(now)
	} else {
		o.ts += o.span
	}
	o.highest++
	o.source, o.span, o.at, o.started, o.guessed = source, span, now, true, false
	h.Seq, h.Time = uint16(o.highest), o.ts
	return h
}

// Begin starts an event (RFC 4733 §2.5.1.1): its timestamp is that of the
// moment and stays.
func (o *Out) Begin(now int64) (timestamp uint32) {
	o.ts, o.span, o.at = o.Next(now), 0, now
	o.source, o.started, o.guessed = 0, true, false
	return o.ts
}

// Event returns the numbers of the next packet of an event that has lasted for
// span samples.
func (o *Out) Event(timestamp, span uint32, first bool, now int64) Stamp {
	o.highest++
	o.ts, o.span, o.at, o.source = timestamp, span*max(o.khz, 8)/8, now, 0
	return Stamp{Seq: uint16(o.highest), Time: timestamp, Marker: first}
}

// Next is the timestamp of a packet that does not belong to what was sent
// before: time has gone on, and the last packet must have been played.
func (o *Out) Next(now int64) uint32 {
	if !o.started {
		return o.ts
	}
	return o.ts + max(o.span, Units(now-o.at, o.khz))
}

// Units turns nanoseconds into timestamp units of so many in a millisecond;
// 0 = 8.
func Units(ns int64, khz uint32) uint32 {
	if khz == 0 {
		khz = 8
	}
	return uint32(ns * int64(khz) / int64(time.Millisecond))
}

// Duration turns timestamp units of so many in a millisecond into time; 0 = 8.
func Duration(units, khz uint32) time.Duration {
	if khz == 0 {
		khz = 8
	}
	return time.Duration(units) * time.Millisecond / time.Duration(khz)
}
