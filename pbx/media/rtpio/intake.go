package rtpio

import (
	"net/netip"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/ice"
	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

// intake is what a port knows of what comes in. It belongs to the poller;
// others see the published figures of the stream.
type intake struct {
	stream.In

	epoch   uint64
	learner learn.Learner
	agent   *ice.Agent // judges sources in place of the learner; nil without ICE
	budget  stream.Budget
	presses dtmf.Receiver
	event   event
	arrived bool

	connectAt int64 // when the RTP socket may be connected to the peer
}

// follow begins anew with a peer that is to be found anew.
func (in *intake) follow(s *settings) {
	if in.epoch == s.epoch {
		return
	}
	in.epoch, in.learner, in.agent = s.epoch, learn.New(&s.stream), nil
	if s.stream.ICE != (media.ICE{}) {
		in.agent = ice.New(s.stream.ICE)
	}
}

// settle believes in a peer that an earlier process has found.
func (in *intake) settle(peer netip.AddrPort, now int64) {
	in.arrived = true
	if in.agent != nil {
		in.agent.Resume(peer, now)
		return
	}
	in.learner.Lock(peer)
	in.connectAt = in.learner.Firm(now)
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
