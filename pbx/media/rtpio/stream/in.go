package stream

import (
	"sync/atomic"
	"time"
)

// Limits of RFC 3550 Appendix A.1.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// alive is how recently a stream must have been heard for another SSRC of the
// same source to need proof: one forged packet must not break a stream off.
const alive = int64(100 * time.Millisecond)

// In is what is known of the stream that comes in. It belongs to the goroutine
// that reads the socket; others see the published figures.
type In struct {
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

	Figures Figures
}

// Figures are published after each packet, each by itself: a reader may see
// one packet's difference between two of them.
type Figures struct {
	Packets  atomic.Uint64
	Lost     atomic.Uint64
	Jitter   atomic.Uint32 // timestamp units
	SSRC     atomic.Uint32
	Highest  atomic.Uint32 // extended sequence number
	Source   atomic.Uint64
	Expected atomic.Uint32 // of this stream
	Received atomic.Uint32
	Last     atomic.Int64 // nanoseconds
}

// Place is how a packet fits into its stream.
type Place uint8

// How a packet may fit.
const (
	InOrder Place = iota
	Repeated
	Forged // another SSRC that has not proven itself
)

// Take files one packet of the peer and publishes the figures. khz is the clock
// of audio, 0 for events, whose timestamps stand still.
func (in *In) Take(ssrc uint32, h Stamp, khz uint32, now int64, nextSource func() uint64) Place {
	where := in.place(ssrc, h, now, nextSource)
	if where == Forged {
		return where
	}
	in.last = now
	in.got++
	if khz > 0 {
		in.time(h.Time, now, khz)
	}
	in.publish(now)
	return where
}

func (in *In) place(ssrc uint32, h Stamp, now int64, nextSource func() uint64) Place {
	if !in.have || ssrc != in.ssrc {
		if in.have && now-in.last < alive && !in.proven(ssrc, h.Seq) {
			return Forged
		}
		in.restart(ssrc, h.Seq, nextSource())
		return InOrder
	}
	in.rivalSeen = 0 // the stream goes on, so whoever wanted to take over is none
	if in.guessed {
		in.resume(h.Seq)
		return InOrder
	}
	switch step := h.Seq - uint16(in.highest); {
	case step == 0:
		return Repeated
	case step < maxDropout:
		in.highest += uint32(step)
	case step <= 0xFFFF-maxMisorder:
		in.restart(ssrc, h.Seq, nextSource()) // the peer began anew with the same SSRC
	}
	return InOrder
}

// proven counts packets in sequence of an SSRC that is not the stream's.
func (in *In) proven(ssrc uint32, seq uint16) bool {
	if ssrc != in.rival || seq-in.rivalSeq > 10 {
		in.rival, in.rivalSeen = ssrc, 0
	}
	in.rivalSeq = seq
	in.rivalSeen++
	return in.rivalSeen >= 3
}

func (in *In) restart(ssrc uint32, seq uint16, source uint64) {
	in.lost += uint64(in.missing())
	in.have, in.ssrc, in.source = true, ssrc, source
	in.base, in.highest, in.got = uint32(seq), uint32(seq), 0
	in.timed, in.guessed = false, false
	in.rivalSeen = 0
}

// resume goes on with a restored stream. Nobody knows how many of the packets
// since it was saved have come: none counts as lost.
func (in *In) resume(seq uint16) {
	in.highest += uint32(int16(seq - uint16(in.highest)))
	in.base, in.got, in.guessed = in.highest, 0, false
}

// Source names the stream towards outputs.
func (in *In) Source() uint64 { return in.source }

func (in *In) expected() uint32 {
	if !in.have || in.guessed {
		return 0
	}
	return in.highest - in.base + 1
}

func (in *In) missing() uint32 {
	if e := in.expected(); e > in.got {
		return e - in.got
	}
	return 0
}

// time is the estimate of RFC 3550 Appendix A.8.
func (in *In) time(timestamp uint32, now int64, khz uint32) {
	transit := Units(now, khz) - timestamp
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

func (in *In) publish(now int64) {
	f := &in.Figures
	f.Packets.Add(1)
	f.Lost.Store(in.lost + uint64(in.missing()))
	f.Jitter.Store(in.jitter >> 4)
	f.SSRC.Store(in.ssrc)
	f.Highest.Store(in.highest)
	f.Source.Store(in.source)
	f.Expected.Store(in.expected())
	f.Received.Store(in.got)
	f.Last.Store(now)
}
