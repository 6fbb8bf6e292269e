// Package drop counts the packets that a port did not use, by reason.
package drop

import "sync/atomic"

// Counts are the packets that were not used, by reason.
type Counts struct {
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
func (d Counts) Total() uint64 {
	return d.Early + d.Malformed + d.Foreign + d.Learning + d.Unknown + d.Forged + d.Flood + d.Repeated + d.Switched + d.Unsent + d.Sealed
}

// Counter is what a port counts; any goroutine may add.
type Counter struct {
	Early, Malformed, Foreign, Learning, Unknown atomic.Uint64
	Forged, Flood, Repeated, Switched, Unsent    atomic.Uint64
	Sealed                                       atomic.Uint64
}

// Snapshot returns the counts so far.
func (d *Counter) Snapshot() Counts {
	return Counts{
		Early: d.Early.Load(), Malformed: d.Malformed.Load(), Foreign: d.Foreign.Load(), Learning: d.Learning.Load(),
		Unknown: d.Unknown.Load(), Forged: d.Forged.Load(), Flood: d.Flood.Load(), Repeated: d.Repeated.Load(),
		Switched: d.Switched.Load(), Unsent: d.Unsent.Load(), Sealed: d.Sealed.Load(),
	}
}

// Add sums up, for the ports that are closed.
func (d *Counts) Add(o Counts) {
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
