package rtpio

import (
	"fmt"
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

func TestChainIsDrawn(t *testing.T) {
	b := newBench(t, Config{})
	pa, pb, _, _ := twoPhones(t, b, loopback4, codec.ALaw, codec.ULaw)
	alone := b.port(t, loopback4, media.Notices{})
	pb.Tap(&counter{})
	sealed, plain, _, _ := secretCall(t, b)
	plain.Apply(newPeer(t, loopback4, codec.ALaw).stream())
	web := b.port(t, loopback4, media.Notices{})
	web.Apply(newShaker(t, newIdentity(t)).stream())
	web.Hear(web)
	converted := b.port(t, loopback4, media.Notices{})
	converted.Apply(newPeer(t, loopback4, codec.ALaw).stream())
	converted.Hear(alone)
	converted.conversion.Store(&conversion{to: alone, in: media.Codec{Name: "G722"}, out: media.Codec{Name: "PCMA"}})
	for _, tt := range []struct {
		port *Port
		want string
	}{
		{pa, fmt.Sprintf("%v ─ learn ─ count ─ keys ─ PCMA to PCMU ─ number ─ tap ─ %v", pa.Local(), pb.Local())},
		{pb, fmt.Sprintf("%v ─ learn ─ count ─ tap ─ keys ─ PCMU to PCMA ─ number ─ %v", pb.Local(), pa.Local())},
		{sealed, fmt.Sprintf("%v ─ open ─ learn ─ count ─ keys ─ number ─ %v", sealed.Local(), plain.Local())},
		{plain, fmt.Sprintf("%v ─ learn ─ count ─ keys ─ number ─ seal ─ %v", plain.Local(), sealed.Local())},
		{web, fmt.Sprintf("%v ─ DTLS ─ open ─ ICE ─ count ─ keys ─ number ─ seal ─ %v", web.Local(), web.Local())},
		{converted, fmt.Sprintf("%v ─ learn ─ count ─ keys ─ line ─► worker: G722 to PCMA ─► ─ number ─ %v", converted.Local(), alone.Local())},
		{alone, fmt.Sprintf("%v ─ learn ─ count ─ keys ─ nobody", alone.Local())},
	} {
		if got := tt.port.String(); got != tt.want {
			t.Errorf("drawn as %q, want %q", got, tt.want)
		}
	}
}
