package edge

import (
	"net/netip"
	"testing"

	"github.com/dipcast/dipcast/pbx"
)

func TestPlaceOfDatagrams(t *testing.T) {
	for _, c := range []struct{ name, uri, source, want string }{
		{"the port that it registered from", "sip:101@10.0.0.5:5070", "10.0.0.5:5070", "10.0.0.5:5070"},
		{"it listens on another port, no NAT can be between", "sip:101@10.0.0.5:5070", "10.0.0.5:40000", "10.0.0.5:5070"},
		{"the port that SIP has by default", "sip:101@10.0.0.5", "10.0.0.5:40000", "10.0.0.5:5060"},
		{"IPv6", "sip:101@[fd00::5]:5070", "[fd00::5]:40000", "[fd00::5]:5070"},
		{"another host than it says: a NAT", "sip:101@10.0.0.5:5070", "192.0.2.7:40000", "192.0.2.7:40000"},
		{"a public address that it may have asked for: a NAT", "sip:101@192.0.2.7:5070", "192.0.2.7:40000", "192.0.2.7:40000"},
		{"a name", "sip:101@phone.example:5070", "10.0.0.5:40000", "10.0.0.5:40000"},
	} {
		contact := pbx.Contact{URI: c.uri, Source: netip.MustParseAddrPort(c.source), Transport: "UDP"}
		if got := (&Edge{}).Place(&contact); got.String() != c.want {
			t.Errorf("%s: %s from %s: %s, want %s", c.name, c.uri, c.source, got, c.want)
		}
	}
}
