package nodeguard

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// all are the ports of every PBX there is in these tests.
var all = Ports{5060, 5099}

func hello(t *testing.T, p *Policy, pbx int, port uint16, protect []netip.Prefix) []Entry {
	t.Helper()
	lift, err := p.Hello(pbx, port, protect)
	if err != nil {
		t.Fatal(err)
	}
	return lift
}

var start = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

func TestWhoIsNeverBanned(t *testing.T) {
	p := NewPolicy(append(Private(), prefixes("198.51.100.7/32")...), all)
	hello(t, p, 1, 5060, prefixes("203.0.113.0/24"))
	hello(t, p, 2, 5070, prefixes("2001:db8:9::/48"))
	for _, tc := range []struct {
		name, source, why string // why is empty if it is banned
		seconds           int
	}{
		{"a stranger", "192.0.2.1", "", 300},
		{"a stranger over IPv6", "2001:db8:1:2:3:4:5:6", "", 300},
		{"a mapped address", "::ffff:192.0.2.2", "", 300},
		{"a trunk of its own", "203.0.113.9", "trunk", 300},
		{"a trunk of another PBX", "2001:db8:9:1::1", "trunk", 300},
		{"the node", "198.51.100.7", "never", 300},
		{"an office", "10.1.2.3", "never", 300},
		{"loopback", "127.0.0.1", "no source", 300},
		{"link-local", "fe80::1%eth0", "no source", 300},
		{"many", "224.0.0.1", "no source", 300},
		{"all", "0.0.0.0", "no source", 300},
		{"no time", "192.0.2.3", "second", 0},
		{"before it began", "192.0.2.3", "second", -1},
	} {
		_, _, err := p.Ban(1, addr(tc.source), time.Duration(tc.seconds)*time.Second, start)
		if tc.why == "" && err != nil || tc.why != "" && (err == nil || !strings.Contains(err.Error(), tc.why)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.why)
		}
	}
	if _, _, err := p.Ban(3, addr("192.0.2.9"), time.Minute, start); err == nil {
		t.Error("one who did not say who it is bans")
	}
}

// TestHalfTheInternetIsNoTrunk: a PBX that protects too much does so for
// itself alone.
func TestHalfTheInternetIsNoTrunk(t *testing.T) {
	p := NewPolicy(nil, all)
	hello(t, p, 1, 5060, prefixes("0.0.0.0/0", "2000::/3"))
	hello(t, p, 2, 5070, nil)
	if _, _, err := p.Ban(1, addr("192.0.2.1"), time.Hour, start); err == nil {
		t.Error("what it protects itself is banned for its port")
	}
	if _, _, err := p.Ban(2, addr("192.0.2.1"), time.Hour, start); err != nil {
		t.Errorf("another PBX: %v", err)
	}
	if lift := hello(t, p, 1, 5060, prefixes("0.0.0.0/0")); len(lift) != 0 {
		t.Errorf("it lifts %v", lift)
	}
	if lift := hello(t, p, 2, 5070, prefixes("0.0.0.0/0")); len(lift) != 1 {
		t.Errorf("of its own it lifts %v", lift)
	}
}

func TestABanHasItsBounds(t *testing.T) {
	p := NewPolicy(nil, all)
	hello(t, p, 1, 5060, nil)
	hello(t, p, 2, 5070, nil)
	e, d, err := p.Ban(1, addr("2001:db8::1"), 48*time.Hour, start)
	if err != nil || d != time.Hour || e != (Entry{addr("2001:db8::"), 5060}) {
		t.Errorf("%v for %v, %v", e, d, err)
	}
	if _, _, err := p.Ban(1, addr("2001:db8::2"), time.Hour, start); !errors.Is(err, errKnown) {
		t.Errorf("the same network again: %v", err)
	}
	if _, _, err := p.Ban(2, addr("2001:db8::2"), time.Hour, start); err != nil {
		t.Errorf("for the port of another PBX: %v", err)
	}
	if _, _, err := p.Ban(1, addr("2001:db8::2"), time.Hour, start.Add(time.Hour)); err != nil {
		t.Errorf("after its end: %v", err)
	}
	// A PBX has its share, and gets it back when bans have ended.
	q := NewPolicy(nil, all)
	for pbx := range 20 {
		hello(t, q, pbx, uint16(5060+pbx), nil)
		for i := range maxPerPBX + 1 {
			_, _, err := q.Ban(pbx, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), time.Minute, start)
			if full := i == maxPerPBX || pbx >= maxTotal/maxPerPBX; (err != nil) != full {
				t.Fatalf("PBX %d, ban %d: %v", pbx, i, err)
			}
		}
	}
	if _, _, err := q.Ban(19, addr("192.0.2.1"), time.Minute, start.Add(time.Minute)); err != nil {
		t.Errorf("when all have ended: %v", err)
	}
	if len(q.until) != 1 {
		t.Errorf("%d are remembered", len(q.until))
	}
}

// TestAPBXHasOnePort: whoever breaks into one can shut nobody out of what else
// listens on the node, nor of a neighbour that is there.
func TestAPBXHasOnePort(t *testing.T) {
	p := NewPolicy(nil, Ports{10000, 10099}, Ports{20000, 20099})
	for _, step := range []struct {
		name string
		pbx  int
		port uint16
		ok   bool
	}{
		{"the API server", 1, 6443, false},
		{"a shell", 1, 22, false},
		{"none", 1, 0, false},
		{"one beyond the pool", 1, 10100, false},
		{"its own", 1, 10000, true},
		{"the same again", 1, 10000, true},
		{"another one", 1, 10010, false},
		{"a neighbour's", 2, 10000, false},
		{"of the second pool", 2, 20099, true},
	} {
		if _, err := p.Hello(step.pbx, step.port, nil); (err == nil) != step.ok {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	if _, _, err := p.Ban(3, addr("192.0.2.1"), time.Minute, start); err == nil {
		t.Error("one who has no port bans")
	}
	if e, _, err := p.Ban(1, addr("192.0.2.1"), time.Minute, start); err != nil || e.Port != 10000 {
		t.Errorf("a ban for port %d: %v", e.Port, err)
	}
	p.Bye(1)
	if _, err := p.Hello(3, 10000, nil); err != nil {
		t.Errorf("when the PBX has gone: %v", err)
	}
}

func TestATrunkThatIsAddedLiftsItsBan(t *testing.T) {
	p := NewPolicy(nil, all)
	hello(t, p, 1, 5060, nil)
	hello(t, p, 2, 5070, nil)
	for _, s := range []string{"203.0.113.5", "192.0.2.1", "2001:db8::1"} {
		if _, _, err := p.Ban(1, addr(s), time.Hour, start); err != nil {
			t.Fatal(err)
		}
	}
	lift := hello(t, p, 2, 5070, prefixes("203.0.113.0/24", "2001:db8::77/128"))
	slices.SortFunc(lift, func(a, b Entry) int { return a.Source.Compare(b.Source) })
	if want := []Entry{{addr("203.0.113.5"), 5060}, {addr("2001:db8::"), 5060}}; !slices.Equal(lift, want) {
		t.Errorf("lifted %v, want %v", lift, want)
	}
	p.Bye(2)
	if _, _, err := p.Ban(1, addr("203.0.113.5"), time.Hour, start); err != nil {
		t.Errorf("when that PBX has gone: %v", err)
	}
}
