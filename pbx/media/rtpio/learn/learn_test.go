package learn

import (
	"net/netip"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

// The hosts of these tests (RFC 5737).
var (
	sdp      = netip.MustParseAddrPort("192.0.2.10:4000")
	sdpPort  = netip.MustParseAddrPort("192.0.2.10:61000")
	natted   = netip.MustParseAddrPort("198.51.100.5:61000")
	attacker = netip.MustParseAddrPort("203.0.113.66:40000")
)

// heard is some packets in sequence from one source.
type heard struct {
	from  netip.AddrPort
	count int
	every time.Duration
	want  Verdict // of the last one
}

func TestLearn(t *testing.T) {
	const frame = 20 * time.Millisecond
	plain := media.Stream{Remote: sdp}
	trusted := media.Stream{Remote: sdp, TrustSource: true}
	private := media.Stream{Remote: netip.MustParseAddrPort("10.0.0.7:4000"), Signalling: natted.Addr()}
	none := media.Stream{}
	tests := []struct {
		name   string
		stream media.Stream
		heard  []heard
		locked netip.AddrPort
	}{
		{"the address of SDP is believed at once", plain, []heard{{sdp, 1, frame, Moved}, {sdp, 1, frame, Locked}}, sdp},
		{"its host needs three packets", plain, []heard{{sdpPort, 2, frame, Learning}, {sdpPort, 1, frame, Moved}}, sdpPort},
		{"the host of the signalling needs three packets", private, []heard{{natted, 2, frame, Learning}, {natted, 1, frame, Moved}}, natted},
		{"an unknown host needs ten packets", none, []heard{{natted, 9, frame, Learning}, {natted, 1, frame, Moved}}, natted},
		{"and at a speaker's pace", none, []heard{{attacker, 50, time.Millisecond, Learning}}, netip.AddrPort{}},
		{"of a trusted peer nobody else is heard", trusted, []heard{{attacker, 500, frame, Foreign}, {sdp, 1, frame, Moved}}, sdp},
		{"a trusted peer may use another port", trusted, []heard{{sdpPort, 2, frame, Learning}, {sdpPort, 1, frame, Moved}}, sdpPort},
		{"once locked nobody else is heard", plain, []heard{{sdp, 1, frame, Moved}, {attacker, 500, frame, Foreign}, {sdpPort, 500, frame, Foreign}, {sdp, 1, frame, Locked}}, sdp},
		{
			"an attacker who was first is displaced by the signalling's host", private,
			[]heard{{attacker, 10, frame, Moved}, {natted, 2, frame, Learning}, {natted, 1, frame, Moved}, {attacker, 500, frame, Foreign}},
			natted,
		},
		{
			"a better source needs proof when another is locked", plain,
			[]heard{{sdpPort, 3, frame, Moved}, {sdp, 2, frame, Learning}, {sdp, 1, frame, Moved}, {sdpPort, 500, frame, Foreign}},
			sdp,
		},
		{"an unspecified address in SDP is no address", media.Stream{Remote: netip.MustParseAddrPort("0.0.0.0:4000"), TrustSource: true}, []heard{{natted, 9, frame, Learning}, {natted, 1, frame, Moved}}, natted},
		{"a mapped address is the same", media.Stream{Remote: netip.MustParseAddrPort("[::ffff:192.0.2.10]:4000"), TrustSource: true}, []heard{{sdp, 1, frame, Moved}}, sdp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, now, seq := New(&tt.stream), int64(time.Second), uint16(0)
			for i, step := range tt.heard {
				var got Verdict
				for range step.count {
					seq++
					now += int64(step.every)
					got = l.Take(step.from, 1, seq, now)
				}
				if got != step.want {
					t.Fatalf("step %d, %v: Verdict %d, want %d", i, step.from, got, step.want)
				}
			}
			if l.locked != tt.locked {
				t.Errorf("locked to %v, want %v", l.locked, tt.locked)
			}
		})
	}
}

func TestLearnNeedsASequence(t *testing.T) {
	l := New(&media.Stream{})
	now := int64(time.Second)
	for i := range 100 {
		now += int64(20 * time.Millisecond)
		ssrc, seq := uint32(1), uint16(i*60) // jumps
		if i%2 == 0 {
			ssrc = 2
		}
		if got := l.Take(natted, ssrc, seq, now); got != Learning {
			t.Fatalf("packet %d: Verdict %d, want learning", i, got)
		}
	}
}

// TestLearnUnderSpray has the real peer begin while packets of forged sources
// pour in, thirty between each two of its own.
func TestLearnUnderSpray(t *testing.T) {
	for name, s := range map[string]media.Stream{
		"a host that signalling named": {Signalling: natted.Addr()},
		"the address of SDP":           {Remote: natted},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(&s)
			now, forged := int64(time.Second), uint16(1)
			for seq := range uint16(12) {
				for range 30 {
					forged++
					now += int64(100 * time.Microsecond)
					from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(forged >> 8), byte(forged)}), 40000)
					if got := l.Take(from, uint32(forged), forged, now); got == Locked || got == Moved {
						t.Fatalf("locked to the forged %v", from)
					}
				}
				now += int64(time.Millisecond)
				l.Take(natted, 9, seq, now)
			}
			if l.locked != natted {
				t.Errorf("locked to %v, want the peer %v", l.locked, natted)
			}
		})
	}
}

func TestFirm(t *testing.T) {
	s := media.Stream{Remote: sdp, Signalling: natted.Addr()}
	for from, want := range map[netip.AddrPort]int64{
		sdp: 7, sdpPort: 7 + int64(Steady), natted: 7 + int64(Steady), attacker: Never, {}: Never,
	} {
		l := New(&s)
		if from.IsValid() {
			l.Lock(from)
		}
		if got := l.Firm(7); got != want {
			t.Errorf("%v: firm at %d, want %d", from, got, want)
		}
	}
}
