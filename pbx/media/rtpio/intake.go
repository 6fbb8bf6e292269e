package rtpio

import (
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/media/dtmf"
)

// Limits of RFC 3550 Appendix A.1.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// alive is how recently a stream must have been heard for another SSRC of the
// same source to need proof: one forged packet must not break a stream off.
const alive = int64(100 * time.Millisecond)

// intake is what a port knows of the stream that comes in. It belongs to the
// goroutine that reads the RTP socket; others see the published figures.
type intake struct {
	epoch   uint64
	learner learner
	budget  budget
	presses dtmf.Receiver
	event   event
	arrived bool

	have    bool
	ssrc    uint32
	source  uint64 // names this stream towards outputs, new at each restart
	base    uint32 // the first extended sequence number that is counted
	highest uint32
	guessed bool   // restored: highest is not exact
	got     uint32 // packets of this stream
	last    int64  // when the last packet came
	transit uint32
	timed   bool   // transit is set
	jitter  uint32 // in timestamp units × 16
	lost    uint64 // of the streams before this one

	rival     uint32 // an SSRC that wants to take over
	rivalSeq  uint16
	rivalSeen int

	figures figures
}

// event is the last key press that came (RFC 4733) and who heard it begin.
type event struct {
	seen      bool
	timestamp uint32
	to        *Port
}

// wholeEvent reports whether the one who hears us now has heard the packet's
// event from its beginning. The rest of a key press that made us change whom
// the peer talks with is not theirs: they would take it for a press of its own.
func (in *intake) wholeEvent(h *header, to *Port) bool {
	if !in.event.seen || in.event.timestamp != h.timestamp {
		in.event = event{seen: true, timestamp: h.timestamp, to: to}
	}
	return in.event.to == to
}

// figures are published after each packet, each by itself: a reader may see
// one packet's difference between two of them.
type figures struct {
	packets  atomic.Uint64
	lost     atomic.Uint64
	jitter   atomic.Uint32 // timestamp units
	ssrc     atomic.Uint32
	highest  atomic.Uint32 // extended sequence number
	source   atomic.Uint64
	expected atomic.Uint32 // of this stream
	received atomic.Uint32
	last     atomic.Int64 // nanoseconds
}

// place is how a packet fits into its stream.
type place uint8

const (
	inOrder place = iota
	repeated
	forged // another SSRC that has not proven itself
)

// take files one packet of the peer and publishes the figures. khz is the clock
// of audio, 0 for events, whose timestamps stand still.
func (in *intake) take(h *header, khz uint32, now int64, nextSource func() uint64) place {
	where := in.place(h, now, nextSource)
	if where == forged {
		return where
	}
	in.last = now
	in.got++
	if khz > 0 {
		in.time(h.timestamp, now, khz)
	}
	in.publish(now)
	return where
}

func (in *intake) place(h *header, now int64, nextSource func() uint64) place {
	if !in.have || h.ssrc != in.ssrc {
		if in.have && now-in.last < alive && !in.proven(h) {
			return forged
		}
		in.restart(h, nextSource())
		return inOrder
	}
	in.rivalSeen = 0 // the stream goes on, so whoever wanted to take over is none
	if in.guessed {
		in.resume(h)
		return inOrder
	}
	switch step := h.seq - uint16(in.highest); {
	case step == 0:
		return repeated
	case step < maxDropout:
		in.highest += uint32(step)
	case step <= 0xFFFF-maxMisorder:
		in.restart(h, nextSource()) // the peer began anew with the same SSRC
	}
	return inOrder
}

// proven counts packets in sequence of an SSRC that is not the stream's.
func (in *intake) proven(h *header) bool {
	if h.ssrc != in.rival || h.seq-in.rivalSeq > 10 {
		in.rival, in.rivalSeen = h.ssrc, 0
	}
	in.rivalSeq = h.seq
	in.rivalSeen++
	return in.rivalSeen >= 3
}

func (in *intake) restart(h *header, source uint64) {
	in.lost += uint64(in.missing())
	in.have, in.ssrc, in.source = true, h.ssrc, source
	in.base, in.highest, in.got = uint32(h.seq), uint32(h.seq), 0
	in.timed, in.guessed = false, false
	in.rivalSeen = 0
}

// resume goes on with a restored stream. Nobody knows how many of the packets
// since it was saved have come: none counts as lost.
func (in *intake) resume(h *header) {
	in.highest += uint32(int16(h.seq - uint16(in.highest)))
	in.base, in.got, in.guessed = in.highest, 0, false
}

func (in *intake) expected() uint32 {
	if !in.have || in.guessed {
		return 0
	}
	return in.highest - in.base + 1
}

func (in *intake) missing() uint32 {
	if e := in.expected(); e > in.got {
		return e - in.got
	}
	return 0
}

// time is the estimate of RFC 3550 Appendix A.8.
func (in *intake) time(timestamp uint32, now int64, khz uint32) {
	transit := units(now, khz) - timestamp
	if in.timed {
		d := int32(transit - in.transit)
		if d < 0 {
			d = -d
		}
		if d < int32(1000*khz) { // more than a second is a new time base, not jitter
			in.jitter += uint32(d) - (in.jitter+8)>>4
		}
	}
	in.transit, in.timed = transit, true
}

func (in *intake) publish(now int64) {
	f := &in.figures
	f.packets.Add(1)
	f.lost.Store(in.lost + uint64(in.missing()))
	f.jitter.Store(in.jitter >> 4)
	f.ssrc.Store(in.ssrc)
	f.highest.Store(in.highest)
	f.source.Store(in.source)
	f.expected.Store(in.expected())
	f.received.Store(in.got)
	f.last.Store(now)
}

// budget bounds the packets that one port handles: a flood from the peer's
// own address, or packets that go round between two ports, cost no more than
// ten calls.
type budget struct {
	tokens int64 // nanoseconds' worth
	at     int64
}

const (
	packetCost = int64(time.Second) / 500
	maxTokens  = packetCost * 500
)

func (b *budget) spend(now int64) bool {
	if b.at == 0 {
		b.tokens = maxTokens
	}
	b.tokens = min(maxTokens, b.tokens+now-b.at)
	b.at = now
	if b.tokens < packetCost {
		return false
	}
	b.tokens -= packetCost
	return true
}
