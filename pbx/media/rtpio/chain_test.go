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
	for _, tt := range []struct {
		port *Port
		want string
	}{
		{pa, fmt.Sprintf("%v ─ learn ─ count ─ keys ─ PCMA to PCMU ─ number ─ tap ─ %v", pa.Local(), pb.Local())},
		{pb, fmt.Sprintf("%v ─ learn ─ count ─ tap ─ keys ─ PCMU to PCMA ─ number ─ %v", pb.Local(), pa.Local())},
		{alone, fmt.Sprintf("%v ─ learn ─ count ─ keys ─ nobody", alone.Local())},
	} {
		if got := tt.port.String(); got != tt.want {
			t.Errorf("drawn as %q, want %q", got, tt.want)
		}
	}
}
