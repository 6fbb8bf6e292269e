package hostport_test

import (
	"strings"
	"testing"

	"github.com/dipcast/dipcast/controllers/hostport"
	"pgregory.net/rapid"
)

func TestLayout(t *testing.T) {
	for _, tc := range []struct {
		name        string
		pool        hostport.Pool
		calls       int
		slots, size int
		last        hostport.Ports // of the last slot
	}{
		{
			"25 calls, slot 0 at the start",
			hostport.Pool{From: 20014, To: 20219},
			25, 1, 206,
			hostport.Ports{SIP: 20014, SIPS: 20015, WSS: 20016, HTTP: 20017, Admin: 20018, RTPFrom: 20020, RTPTo: 20219},
		},
		{
			"an odd start is rounded up",
			hostport.Pool{From: 10001, To: 10030},
			1, 2, 14,
			hostport.Ports{SIP: 10016, SIPS: 10017, WSS: 10018, HTTP: 10019, Admin: 10020, RTPFrom: 10022, RTPTo: 10029},
		},
		{
			"the rest of the pool is left",
			hostport.Pool{From: 10000, To: 10026},
			1, 1, 14,
			hostport.Ports{SIP: 10000, SIPS: 10001, WSS: 10002, HTTP: 10003, Admin: 10004, RTPFrom: 10006, RTPTo: 10013},
		},
		{
			"the whole pool for 50 calls",
			hostport.Pool{From: 1024, To: 32767},
			50, 78, 406,
			hostport.Ports{SIP: 32286, SIPS: 32287, WSS: 32288, HTTP: 32289, Admin: 32290, RTPFrom: 32292, RTPTo: 32691},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := hostport.New(tc.pool, tc.calls)
			if err != nil {
				t.Fatal(err)
			}
			if l.Slots() != tc.slots || l.Size() != tc.size {
				t.Errorf("%d slots of %d ports, want %d of %d", l.Slots(), l.Size(), tc.slots, tc.size)
			}
			got, err := l.Ports(l.Slots() - 1)
			if err != nil || got != tc.last {
				t.Errorf("last slot: %+v, %v; want %+v", got, err, tc.last)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		pool  hostport.Pool
		calls int
		want  string
	}{
		{"no calls", hostport.Pool{From: 10000, To: 20000}, 0, "concurrent calls 0: must be at least 1"},
		{"privileged ports", hostport.Pool{From: 1023, To: 20000}, 1, "port pool 1023-20000: must lie within 1024-32767"},
		{"ephemeral ports", hostport.Pool{From: 10000, To: 32768}, 1, "must lie within 1024-32767"},
		{"backwards", hostport.Pool{From: 20000, To: 10000}, 1, "lower end first"},
		{"one port too few", hostport.Pool{From: 10000, To: 10012}, 1, "has 13 ports, one tenant with 1 calls needs 14: widen the pool"},
		{"lost by rounding up", hostport.Pool{From: 10001, To: 10014}, 1, "widen the pool or lower concurrentCalls"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := hostport.New(tc.pool, tc.calls); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestPortsOfSlotsBeyondThePool(t *testing.T) {
	l, err := hostport.New(hostport.Pool{From: 10000, To: 10030}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range []int{-1, l.Slots()} {
		if p, err := l.Ports(slot); err == nil {
			t.Errorf("slot %d: %+v, want an error", slot, p)
		}
	}
	if _, err := (hostport.Layout{}).Ports(0); err == nil {
		t.Error("the zero layout has no slot 0")
	}
	if _, ok := (hostport.Layout{}).Slot(0); ok {
		t.Error("no port belongs to the zero layout")
	}
}

func TestLowestFree(t *testing.T) {
	l, err := hostport.New(hostport.Pool{From: 10000, To: 10041}, 1) // three slots
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		used map[int]bool
		want int
		ok   bool
	}{
		{"empty", nil, 0, true},
		{"a gap", map[int]bool{0: true, 2: true}, 1, true},
		{"the last", map[int]bool{0: true, 1: true}, 2, true},
		{"full", map[int]bool{0: true, 1: true, 2: true}, 0, false},
		{"slots of another layout do not count", map[int]bool{7: true}, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := l.LowestFree(func(n int) bool { return tc.used[n] }); got != tc.want || ok != tc.ok {
				t.Errorf("%d, %v; want %d, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestOverlaps(t *testing.T) {
	p := hostport.Pool{From: 100, To: 200}
	for _, tc := range []struct {
		other hostport.Pool
		want  bool
	}{
		{hostport.Pool{From: 201, To: 300}, false},
		{hostport.Pool{From: 200, To: 300}, true},
		{hostport.Pool{From: 50, To: 99}, false},
		{hostport.Pool{From: 50, To: 100}, true},
		{hostport.Pool{From: 120, To: 130}, true},
	} {
		if got := p.Overlaps(tc.other); got != tc.want || tc.other.Overlaps(p) != tc.want {
			t.Errorf("%v and %v: %v, want %v", p, tc.other, got, tc.want)
		}
	}
}

// TestNoPortIsSharedOrLost draws layouts and checks what tenants rely on: all
// ports of all slots differ, lie in the pool, and lead back to their slot.
func TestNoPortIsSharedOrLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(hostport.Lowest, hostport.Highest-400).Draw(t, "from")
		to := rapid.IntRange(from, min(from+3000, hostport.Highest)).Draw(t, "to")
		calls := rapid.IntRange(1, 60).Draw(t, "calls")
		l, err := hostport.New(hostport.Pool{From: from, To: to}, calls)
		if err != nil {
			return
		}
		seen := map[int]bool{}
		for slot := range l.Slots() {
			p, err := l.Ports(slot)
			if err != nil {
				t.Fatal(err)
			}
			ports := []int{p.SIP, p.SIPS, p.WSS, p.HTTP, p.Admin}
			for port := p.RTPFrom; port <= p.RTPTo; port++ {
				ports = append(ports, port)
			}
			if p.RTPFrom%2 != 0 || len(ports)-5 != 8*calls {
				t.Fatalf("slot %d: RTP %d-%d for %d calls", slot, p.RTPFrom, p.RTPTo, calls)
			}
			for _, port := range ports {
				if back, ok := l.Slot(port); seen[port] || port < from || port > to || !ok || back != slot {
					t.Fatalf("port %d of slot %d: shared, outside %d-%d, or of slot %d", port, slot, from, to, back)
				}
				seen[port] = true
			}
		}
		if _, ok := l.Slot(to + 1); ok {
			t.Fatal("a port above the pool belongs to a slot")
		}
	})
}
