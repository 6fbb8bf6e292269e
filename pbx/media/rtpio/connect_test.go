package rtpio

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
)

// wantRefused fails unless the kernel refuses what a stranger sends to the port.
func wantRefused(t *testing.T, p *Port) {
	t.Helper()
	c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(elsewhere, 0)), net.UDPAddrFromAddrPort(p.Local()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("anybody there")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stranger at %v got %v, want that it is refused", p.Local(), err)
	}
}

// silence is a frame of A-law that says nothing.
var silence = bytes.Repeat([]byte{0xD5}, 160)

// passes sends a frame from one phone and waits until the other has it.
func passes(from, to *peer) {
	from.t.Helper()
	from.send(silence)
	to.receive()
}

// TestSteadyPeerIsConnected is of a phone that speaks from another port than
// SDP says: the one of SDP would displace it, and does so as long as the other
// is not steady, and again once it has fallen silent.
func TestSteadyPeerIsConnected(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	natted := newPeer(t, loopback4, codec.ALaw)
	natted.to = pa.Local()
	natted.send(silence)
	natted.send(silence)
	passes(natted, z) // the third proves it
	if pa.rtp.Connected() {
		t.Error("connected at once")
	}
	b.clock.advance(learn.Steady)
	passes(natted, z)
	wantRefused(t, pa)
	b.clock.advance(learn.Quiet)
	b.tick(watchTicks + 1)
	until(t, "the port is open again", func() bool { return !pa.rtp.Connected() })
	a.send(silence)
	a.send(silence)
	passes(a, z)
	wantRefused(t, pa)
}

// TestQuietPeerIsConnectedAgain has a phone hold its tongue.
func TestQuietPeerIsConnectedAgain(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	for range 3 {
		passes(a, z)
		wantRefused(t, pa)
		b.clock.advance(learn.Quiet)
		b.tick(watchTicks + 1)
		until(t, "the port is open again", func() bool { return !pa.rtp.Connected() })
	}
}

// TestPeerThatOnlySpeaksIsNotConnected has nothing but its packets speak for a
// phone: whoever the signalling named must still be heard.
func TestPeerThatOnlySpeaksIsNotConnected(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	thief := newPeer(t, elsewhere, codec.ALaw)
	thief.to = pa.Local()
	for weighed := uint64(1); weighed <= 9; weighed++ {
		thief.send(silence)
		until(t, "it is weighed", func() bool { return pa.Drops().Learning == weighed })
		b.clock.advance(frameTime)
	}
	passes(thief, z)
	b.clock.advance(time.Minute)
	passes(thief, z)
	if pa.rtp.Connected() {
		t.Error("the thief has the port to himself")
	}
	looked := make(chan struct{})
	pa.poller.Do(func() { close(looked) })
	<-looked
	b.clock.advance(time.Second) // a new stream may begin
	a.send(silence)
	a.send(silence)
	passes(a, z)
	wantRefused(t, pa)
}

// TestRefusingPeerIsHeardAgain has a phone close its port for a while.
func TestRefusingPeerIsHeardAgain(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	passes(a, z)
	wantRefused(t, pa)
	at := addr(a.rtp)
	if err := a.rtp.Close(); err != nil {
		t.Fatal(err)
	}
	for sent := uint64(1); sent <= 20; sent++ {
		z.send(silence)
		until(t, "it is sent", func() bool { return pa.Quality().PacketsOut == sent })
	}
	until(t, "the port is open again", func() bool { return !pa.rtp.Connected() })
	var err error
	if a.rtp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err != nil {
		t.Fatal(err)
	}
	defer a.rtp.Close()
	passes(a, z)
	passes(z, a)
	if d := pa.Drops(); d.Total() != 0 {
		t.Errorf("drops %+v", d)
	}
}

// TestConnectionEndsWithItsPeer has a re-INVITE name another phone, which
// speaks before anybody else does.
func TestConnectionEndsWithItsPeer(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	passes(a, z)
	next := newPeer(t, loopback4, codec.ALaw)
	next.to = pa.Local()
	pa.Apply(next.stream())
	until(t, "the port is open", func() bool { return !pa.rtp.Connected() })
	b.clock.advance(time.Second) // nobody else's stream goes on
	passes(next, z)
	wantRefused(t, pa)
	passes(z, next)
	pa.Apply(next.stream()) // a session refresh
	passes(next, z)
	if !pa.rtp.Connected() {
		t.Error("a session refresh disconnects")
	}
}

// TestConnectionEndsWithItsCall lays connected sockets aside, and has others
// speak to them in the next call.
func TestConnectionEndsWithItsCall(t *testing.T) {
	b := newBench(t, wide(t, nil))
	var ended []*Port
	for range 100 {
		p, a := b.port(t, loopback4, media.Notices{}), newPeer(t, loopback4, codec.ALaw)
		a.to = p.Local()
		p.Apply(a.stream())
		a.send(silence)
		until(t, "it is connected", p.rtp.Connected)
		ended = append(ended, p)
	}
	for _, p := range ended {
		p.Close()
	}
	b.clock.advance(time.Second)
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	if !pa.pair.Polled || !pb.pair.Polled {
		t.Fatal("the sockets were opened, want such as were laid aside")
	}
	until(t, "they are open", func() bool { return !pa.rtp.Connected() && !pb.rtp.Connected() })
	passes(a, z)
	passes(z, a)
	wantRefused(t, pa)
}
