package rtpio

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio/ports"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// counts is a keeper that notes which names it was left and let go.
type counts map[string]int

func (c counts) Take(string) []*os.File          { return nil }
func (c counts) Keep(name string, _ ...*os.File) { c[name]++ }
func (c counts) Drop(name string)                { c[name] += 100 }

// busyHour opens and closes so many ports, as many calls do, and returns them.
func (b *bench) busyHour(t *testing.T, calls int) map[netip.AddrPort]bool {
	t.Helper()
	var list []*Port
	used := map[netip.AddrPort]bool{}
	for range calls {
		p := b.port(t, loopback4, media.Notices{})
		p.Hold()
		list = append(list, p)
		used[p.Local()] = true
	}
	for _, p := range list {
		p.Close()
	}
	return used
}

// wide is a configuration with numbers for 600 ports.
func wide(t *testing.T, s Sockets) Config {
	from := freeRange(t, 1200)
	return Config{From: from, To: from + 1199, Bind: []netip.Addr{loopback4}, Sockets: s}
}

// TestSocketsOfEndedCallsServeTheNext: they are neither opened nor handed to
// the keeper again.
func TestSocketsOfEndedCallsServeTheNext(t *testing.T) {
	kept := counts{}
	b := newBench(t, wide(t, kept))
	used := b.busyHour(t, 100)
	b.clock.advance(time.Second)
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ULaw)
	for _, p := range []*Port{pa, pb} {
		if !used[p.Local()] || !p.pair.Polled {
			t.Errorf("%v was opened, want one that was laid aside", p.Local())
		}
		p.Hold()
		if n := kept[ports.KeptName(p.Local().Port())]; n != 1 {
			t.Errorf("the keeper has heard of %v %d times, want once", p.Local(), n)
		}
	}
	a.say(tone.Silence(), 3)
	for range 3 {
		z.receive()
	}
	if q := pa.Quality(); q.PacketsIn != 3 {
		t.Errorf("%d packets in, want 3", q.PacketsIn)
	}
}

// TestSocketsThatNobodyWantsAreClosed, and let go, and their numbers rest.
func TestSocketsThatNobodyWantsAreClosed(t *testing.T) {
	kept := counts{}
	b := newBench(t, wide(t, kept))
	used := b.busyHour(t, 100)
	if left := b.stock(); left != 500 {
		t.Fatalf("%d numbers are left, want 500", left)
	}
	b.tick(5*watchTicks + int(5*time.Second/frameTime))
	b.settle()
	until(t, "the numbers rest", func() bool { return b.stock() == 600 })
	for p := range used {
		if n := kept[ports.KeptName(p.Port())]; n != 101 {
			t.Errorf("the keeper of %v: %d, want one Keep and one Drop", p, n)
		}
		pair, err := (&ports.Family{Bind: loopback4}).Pair(p.Port())
		if err != nil {
			t.Errorf("the port is still in use: %v", err)
			continue
		}
		pair.Close()
	}
}
