package rtpio

import (
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

// intake is what a port knows of what comes in. It belongs to the poller;
// others see the published figures of the stream.
type intake struct {
	stream.In

	epoch   uint64
	learner learn.Learner
	budget  stream.Budget
	presses dtmf.Receiver
	event   event
	arrived bool

	connectAt int64 // when the RTP socket may be connected to the peer
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
