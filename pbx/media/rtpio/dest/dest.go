// Package dest says where the packets of a port go: to the address of SDP
// first, then to where the peer has been found to be.
package dest

import (
	"net/netip"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// Place is where packets go. It is never changed after it was made.
type Place struct {
	RTP    netip.AddrPort // invalid: not known
	To     poll.Addr      // RTP, as the kernel takes it
	RTCP   netip.AddrPort // invalid: not known
	Learnt bool           // the peer has been heard there
	Epoch  uint64         // of the settings that it belongs to
}

// Offered is the place by SDP alone.
func Offered(s *media.Stream, epoch uint64) *Place {
	d := &Place{Epoch: epoch}
	if r := s.Remote; learn.Usable(r) {
		d.RTP = netip.AddrPortFrom(r.Addr().Unmap(), r.Port())
		d.To = poll.AddrOf(d.RTP)
		d.RTCP = control(s, d.RTP)
	}
	return d
}

// Found is the place once the source is learnt. RTCP goes where SDP says if the
// host is the same, otherwise to where the peer's RTCP comes from.
func Found(s *media.Stream, epoch uint64, source netip.AddrPort) *Place {
	d := &Place{RTP: source, To: poll.AddrOf(source), Learnt: true, Epoch: epoch}
	switch {
	case s.RTCPMux:
		d.RTCP = source
	case source.Addr() == s.Remote.Addr().Unmap():
		d.RTCP = control(s, s.Remote)
	}
	return d
}

// control is the RTCP address that belongs to an RTP address.
func control(s *media.Stream, rtp netip.AddrPort) netip.AddrPort {
	switch {
	case s.RTCPMux:
		return rtp
	case learn.Usable(s.RemoteRTCP):
		return netip.AddrPortFrom(s.RemoteRTCP.Addr().Unmap(), s.RemoteRTCP.Port())
	case rtp.Port() == 0xFFFF:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(rtp.Addr().Unmap(), rtp.Port()+1)
}
