package dest

import (
	"net/netip"
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
)

func TestPlaces(t *testing.T) {
	at := netip.MustParseAddrPort
	var none netip.AddrPort
	sdp, mapped, elsewhere := at("192.0.2.10:4000"), at("[::ffff:192.0.2.10]:4000"), at("198.51.100.5:61000")
	for _, tt := range []struct {
		name      string
		stream    media.Stream
		found     netip.AddrPort // invalid: not yet
		rtp, rtcp netip.AddrPort
	}{
		{"the address of SDP", media.Stream{Remote: sdp}, none, sdp, at("192.0.2.10:4001")},
		{"with a port for RTCP", media.Stream{Remote: sdp, RemoteRTCP: at("192.0.2.11:7")}, none, sdp, at("192.0.2.11:7")},
		{"one port for both", media.Stream{Remote: sdp, RTCPMux: true}, none, sdp, sdp},
		{"a mapped address", media.Stream{Remote: mapped}, none, sdp, at("192.0.2.10:4001")},
		{"no port is left for RTCP", media.Stream{Remote: at("192.0.2.10:65535")}, none, at("192.0.2.10:65535"), none},
		{"no address", media.Stream{Remote: at("0.0.0.0:4000")}, none, none, none},
		{"found on another port of the host", media.Stream{Remote: sdp}, at("192.0.2.10:61000"), at("192.0.2.10:61000"), at("192.0.2.10:4001")},
		{"found elsewhere", media.Stream{Remote: sdp}, elsewhere, elsewhere, none},
		{"found elsewhere, one port for both", media.Stream{Remote: sdp, RTCPMux: true}, elsewhere, elsewhere, elsewhere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Offered(&tt.stream, 7)
			if tt.found.IsValid() {
				d = Found(&tt.stream, 7, tt.found)
			}
			if d.RTP != tt.rtp || d.To.AddrPort() != tt.rtp || d.RTCP != tt.rtcp || d.Learnt != tt.found.IsValid() || d.Epoch != 7 {
				t.Errorf("got %+v, want RTP %v, RTCP %v", d, tt.rtp, tt.rtcp)
			}
		})
	}
}
