package rtpio

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// TestEverythingAtOnce calls every method from several goroutines while
// packets flow; the race detector and the end of the test are the judges.
func TestEverythingAtOnce(t *testing.T) {
	pool, err := NewPool(Config{Bind: []netip.Addr{loopback4}, Silence: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var peers []*peer
	var ports []*Port
	for i := range 4 {
		a := newPeer(t, loopback4, []codec.Law{codec.ALaw, codec.ULaw}[i%2])
		_, tell := newNotices()
		p, err := pool.Allocate(loopback4, tell)
		if err != nil {
			t.Fatal(err)
		}
		a.to = p.Local()
		p.Apply(a.stream())
		peers, ports = append(peers, a), append(ports, p.(*Port))
	}
	var wg sync.WaitGroup
	for i, a := range peers {
		wg.Go(func() { // the phones
			for range 300 {
				a.send(bytes.Repeat([]byte{0xD5}, 160))
			}
		})
		wg.Go(func() { // the legs
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 300 {
				disturb(r, ports, peers)
			}
		})
	}
	wg.Wait()
	ports[0].Apply(peers[0].stream()) // after all that two people can still talk
	ports[1].Apply(peers[1].stream())
	ports[0].Hear(ports[1])
	ports[1].Play(nil)
	sent := ports[1].Quality().PacketsOut
	until(t, "packets get through, once the key presses are sent", func() bool {
		peers[0].send(bytes.Repeat([]byte{0xD5}, 160))
		return ports[1].Quality().PacketsOut > sent && !ports[1].keys.Busy()
	})
	for _, p := range ports {
		p.Close()
	}
	if got := pool.InUse(); got != 0 {
		t.Errorf("%d ports in use at the end", got)
	}
}

func disturb(r *rand.Rand, ports []*Port, peers []*peer) {
	i := r.IntN(len(ports))
	p, other := ports[i], ports[r.IntN(len(ports))]
	switch n := r.IntN(100); {
	case n == 0: // few, since each takes its time
		p.SendDigit('7', 0)
	case n < 20:
		p.Apply(peers[i].stream())
	case n < 50:
		p.Hear(other)
	case n < 60:
		p.Hear(nil)
	case n < 70:
		p.Play(tone.For(tone.Silence(), 40*time.Millisecond))
	default:
		p.Quality()
		p.Drops()
		p.Play(nil)
	}
}

func TestHearOfAnotherMakerStops(t *testing.T) {
	b := newBench(t, Config{})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	pa.Hear(struct{ media.Port }{pb})
	a.say(tone.Silence(), 1)
	until(t, "the packet came in", func() bool { return pa.Quality().PacketsIn == 1 })
	z.say(tone.Silence(), 1)
	a.receive()
	if got := pb.Quality().PacketsOut; got != 0 {
		t.Errorf("%d packets out, want none", got)
	}
}

func TestOtherFormatsPassOnlyUnchanged(t *testing.T) {
	b := newBench(t, Config{})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	wide := a.stream()
	wide.Codec = media.Codec{Name: "G722", PayloadType: 9, ClockRate: 8000}
	pa.Apply(wide)
	a.header.payloadType = 9
	a.send([]byte{1, 2, 3})
	until(t, "it is refused by a phone with A-law", func() bool { return pb.Drops().Unknown == 1 })
	s := z.stream()
	s.Codec = wide.Codec
	pb.Apply(s)
	a.send([]byte{1, 2, 3})
	if r := z.receive(); !bytes.Equal(r.payload, []byte{1, 2, 3}) || r.payloadType != 9 {
		t.Errorf("%+v %v", r.header, r.payload)
	}
	pb.Play(tone.Silence()) // cannot be encoded: nothing is sent
	b.tick(3)
	b.settle()
	if got := pb.Quality().PacketsOut; got != 1 {
		t.Errorf("%d packets out, want 1", got)
	}
}

func TestWhatCannotBeSentIsCounted(t *testing.T) {
	b := newBench(t, Config{})
	h := newHandler(t, b, codec.ALaw)
	h.once()
	s := h.peer.stream()
	s.Remote = netip.MustParseAddrPort("[2001:db8::1]:4000") // an address that an IPv4 socket cannot reach
	h.out.Apply(s)
	h.once()
	if d := h.out.Drops(); d.Unsent != 1 {
		t.Errorf("drops %+v, want 1 unsent", d)
	}
	if q := h.out.Quality(); q.PacketsOut != 1 {
		t.Errorf("%d packets out, want 1", q.PacketsOut)
	}
}
