package rtpio

import "sync/atomic"

// Drops counts the packets that were not used, by reason.
type Drops struct {
	Early     uint64 // before the first offer/answer exchange was over
	Malformed uint64 // not RTP or RTCP, cut off, too long
	Foreign   uint64 // from a source that is not the peer
	Learning  uint64 // from a source that was still being proven
	Unknown   uint64 // a payload type that was not settled, or cannot be sent on
	Forged    uint64 // another SSRC in the midst of a stream
	Flood     uint64 // more than a call can be
	Repeated  uint64 // the same packet again, or one from before a switch
	Switched  uint64 // while the outgoing stream went over to another source
	Unsent    uint64 // the socket refused to send
	Sealed    uint64 // SRTP that could not be opened: not the peer's, or not for the first time
}

// Total is the sum of all reasons.
func (d Drops) Total() uint64 {
	return d.Early + d.Malformed + d.Foreign + d.Learning + d.Unknown + d.Forged + d.Flood + d.Repeated + d.Switched + d.Unsent + d.Sealed
}

// drops is what a port counts; any goroutine may add.
type drops struct {
	early, malformed, foreign, learning, unknown atomic.Uint64
	forged, flood, repeated, switched, unsent    atomic.Uint64
	sealed                                       atomic.Uint64
}

func (d *drops) snapshot() Drops {
	return Drops{
		Early: d.early.Load(), Malformed: d.malformed.Load(), Foreign: d.foreign.Load(), Learning: d.learning.Load(),
		Unknown: d.unknown.Load(), Forged: d.forged.Load(), Flood: d.flood.Load(), Repeated: d.repeated.Load(),
		Switched: d.switched.Load(), Unsent: d.unsent.Load(), Sealed: d.sealed.Load(),
	}
}

// add sums up, for the ports that are closed.
func (d *Drops) add(o Drops) {
	d.Early += o.Early
	d.Malformed += o.Malformed
	d.Foreign += o.Foreign
	d.Learning += o.Learning
	d.Unknown += o.Unknown
	d.Forged += o.Forged
	d.Flood += o.Flood
	d.Repeated += o.Repeated
	d.Switched += o.Switched
	d.Unsent += o.Unsent
	d.Sealed += o.Sealed
}
