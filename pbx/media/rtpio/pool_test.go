package rtpio

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/rtpio/ports"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

func TestConfigIsChecked(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	tests := []struct {
		name string
		cfg  Config
		want string // part of the error; "" = none
	}{
		{"nothing", Config{}, ""},
		{"a range", Config{From: 20000, To: 20001}, ""},
		{"an odd begin", Config{From: 20001, To: 20003}, ""},
		{"too small a range", Config{From: 20001, To: 20002}, "20001..20002"},
		{"a privileged port", Config{From: 100, To: 200}, "100..200"},
		{"beyond the last port", Config{From: 65000, To: 65536}, "65000..65536"},
		{"two addresses of a family", Config{Bind: []netip.Addr{four, four}}, "at most one of each family"},
		{"advertised everywhere", Config{Advertise: []netip.Addr{netip.IPv4Unspecified()}}, "that phones can reach"},
		{"an empty address", Config{Advertise: []netip.Addr{{}}}, "is empty"},
		{"both families", Config{Advertise: []netip.Addr{four, six}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPool(tt.cfg)
			if err == nil {
				p.Close()
			}
			if tt.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestFamilies(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	tests := []struct {
		name string
		cfg  Config
		peer netip.Addr
		want netip.Addr // invalid: an error
	}{
		{"the advertised address is told", Config{Bind: []netip.Addr{loopback4}, Advertise: []netip.Addr{four}}, loopback4, four},
		{"the bind address without one", Config{Bind: []netip.Addr{loopback4}}, loopback4, loopback4},
		{"IPv6 for an IPv6 peer", Config{Bind: []netip.Addr{loopback4, loopback6}, Advertise: []netip.Addr{four, six}}, loopback6, six},
		{"IPv4 first", Config{Bind: []netip.Addr{loopback6, loopback4}}, netip.Addr{}, loopback4},
		{"IPv6 if it is all there is", Config{Bind: []netip.Addr{loopback6}}, netip.Addr{}, loopback6},
		{"a mapped address is IPv4", Config{Bind: []netip.Addr{loopback4, loopback6}}, netip.MustParseAddr("::ffff:127.0.0.1"), loopback4},
		{"no address of the family", Config{Bind: []netip.Addr{loopback4}}, loopback6, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.cfg)
			p, err := b.Allocate(tt.peer, media.Notices{})
			if !tt.want.IsValid() {
				if err == nil || !strings.Contains(err.Error(), tt.peer.String()) {
					t.Fatalf("error %v, want one that names %v", err, tt.peer)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Local(); got.Addr() != tt.want || got.Port() == 0 || got.Port()%2 != 0 {
				t.Errorf("local %v, want an even port of %v", got, tt.want)
			}
		})
	}
}

// freeRange finds n neighbouring free UDP ports, the first even, below the
// ephemeral ones.
func freeRange(t *testing.T, n int) int {
	t.Helper()
	f := ports.Family{Bind: loopback4}
	for from := 20000; from < 32000; from += 2 * n {
		var open []*poll.Socket
		for i := range n {
			if c, err := f.Listen(uint16(from + i)); err == nil {
				open = append(open, c)
			}
		}
		for _, c := range open {
			c.Close()
		}
		if len(open) == n {
			return from
		}
	}
	t.Fatal("no free range of ports")
	return 0
}

func TestPortsRestAndRunOut(t *testing.T) {
	from := freeRange(t, 8)
	b := newBench(t, Config{From: from, To: from + 7, Bind: []netip.Addr{loopback4}})
	var list []*Port
	for range 4 {
		list = append(list, b.port(t, loopback4, media.Notices{}))
	}
	if _, err := b.Allocate(loopback4, media.Notices{}); !errors.Is(err, ErrNoPorts) {
		t.Fatalf("fifth port: %v, want ErrNoPorts", err)
	}
	if got := b.InUse(); got != 4 {
		t.Errorf("%d in use, want 4", got)
	}
	// The one freed first comes again first, as all of them still rest.
	for n, i := range []int{2, 0} {
		freed := n + 1
		b.clock.advance(time.Second)
		list[i].Close()
		until(t, "the port is free", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.numbers.Left() == freed
		})
	}
	for _, i := range []int{2, 0} {
		if got := b.port(t, loopback4, media.Notices{}).Local(); got != list[i].Local() {
			t.Errorf("got %v, want %v, which rested longest", got, list[i].Local())
		}
	}
	if got := b.InUse(); got != 4 {
		t.Errorf("%d in use, want 4", got)
	}
}

func TestPortOfAnotherProgramIsPassedOver(t *testing.T) {
	from := freeRange(t, 4)
	f := ports.Family{Bind: loopback4}
	taken, err := f.Listen(uint16(from + 1)) // the RTCP half of the first pair
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b := newBench(t, Config{From: from, To: from + 3, Bind: []netip.Addr{loopback4}})
	if got := b.port(t, loopback4, media.Notices{}).Local().Port(); got != uint16(from+2) {
		t.Errorf("port %d, want %d", got, from+2)
	}
	if _, err := b.Allocate(loopback4, media.Notices{}); !errors.Is(err, ErrNoPorts) {
		t.Errorf("error %v, want ErrNoPorts", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	b := newBench(t, Config{})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ULaw)
	a.say(tone.Silence(), 1)
	z.receive()
	pa.Close()
	pa.Close()
	pa.Apply(a.stream())
	pa.Hear(pb)
	pa.Play(tone.Silence())
	if pa.SendDigit('1', time.Second) {
		t.Error("a closed port took a key press")
	}
	if q := pa.Quality(); q.PacketsIn != 1 {
		t.Errorf("quality after the end: %+v, want 1 packet in", q)
	}
	if got := b.InUse(); got != 1 {
		t.Errorf("%d in use, want 1", got)
	}
	b.Close()
	if got := b.InUse(); got != 0 {
		t.Errorf("%d in use after the pool's end", got)
	}
	if _, err := b.Allocate(loopback4, media.Notices{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	for _, p := range []*Port{pa, pb} { // the sockets are free again
		pair, err := (&ports.Family{Bind: loopback4}).Pair(p.Local().Port())
		if err != nil {
			t.Errorf("the port is still in use: %v", err)
			continue
		}
		pair.Close()
	}
}
