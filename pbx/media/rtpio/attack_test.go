package rtpio

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// elsewhere is another host on the loopback network.
var elsewhere = netip.MustParseAddr("127.0.0.2")

func TestHijackIsRefused(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	thief, early := newPeer(t, elsewhere, codec.ALaw), newPeer(t, elsewhere, codec.ALaw)
	thief.to, early.to = pa.Local(), pa.Local()
	early.send(frame) // before the peer is heard it is only not believed
	a.send(frame)
	z.receive()
	for range 200 { // injection, with the peer's own SSRC
		thief.header.ssrc = a.header.ssrc
		thief.send(frame)
		b.clock.advance(frameTime)
	}
	wantRefused(t, pa)
	a.send(frame)
	z.receive()
	z.send(frame)
	a.receive() // and not the thief: he would have locked the port to himself
	if d := pa.Drops(); d.Learning != 1 || d.Total() != 1 {
		t.Errorf("drops %+v: want that the kernel refused the injected packets", d)
	}
	if q := pa.Quality(); q.PacketsIn != 2 || q.PacketsOut != 1 {
		t.Errorf("quality %+v: want 2 packets in, 1 out", q)
	}
}

func TestBleedGivesNothingAway(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	thief := newPeer(t, elsewhere, codec.ALaw)
	thief.to = pa.Local()
	for range 9 { // before the real peer is heard
		thief.send(frame)
		b.clock.advance(frameTime)
	}
	until(t, "the sprayed packets came", func() bool { return pa.Drops().Learning == 9 })
	z.send(frame)
	if r := a.receive(); r.from != pa.Local() { // SDP's address gets the audio
		t.Errorf("from %v", r.from)
	}
	a.send(frame)
	z.receive()
	wantRefused(t, pa)
	if got := pa.Quality().PacketsOut; got != 1 {
		t.Errorf("%d packets out, want 1", got)
	}
}

func TestPeerBehindNATIsLearnt(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	s := a.stream()
	s.Remote = netip.MustParseAddrPort("10.11.12.13:4000") // what the phone believes to be
	s.RemoteRTCP = netip.AddrPort{}
	s.Signalling = loopback4
	pa.Apply(s)
	for range 3 {
		a.send(frame)
	}
	z.receive()
	z.send(frame)
	a.receive()
	if pa.rtp.Connected() {
		t.Error("the phone that the address of SDP belongs to would not be heard")
	}
}

func TestNewRemoteIsLearntAnew(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.send(frame)
	last := z.receive()
	moved := newPeer(t, loopback4, codec.ULaw) // the phone changes port and codec
	moved.to = pa.Local()
	pa.Apply(moved.stream())
	b.clock.advance(time.Second)
	a.send(frame)
	until(t, "the old port is refused", func() bool { return pa.Drops().Learning+pa.Drops().Foreign == 1 })
	moved.say(tone.Silence(), 1)
	if r := z.receive(); r.seq != last.seq+1 || r.ssrc != last.ssrc {
		t.Errorf("%+v does not go on from %+v", r.header, last.header)
	}
	z.send(frame)
	if r := moved.receive(); r.payloadType != codec.PayloadPCMU {
		t.Errorf("payload type %d, want 0", r.payloadType)
	}
	pa.Apply(moved.stream()) // a session refresh changes nothing
	moved.say(tone.Silence(), 1)
	z.receive()
	if d := pa.Drops(); d.Learning+d.Foreign != 1 {
		t.Errorf("drops %+v after a session refresh", d)
	}
}

func TestForgedSSRCDoesNotBreakTheStream(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.send(frame)
	last := z.receive()
	mine := a.header
	a.header.ssrc, a.header.seq = 0xBAD, 100 // as if from the peer's own address
	a.send(frame)
	a.header = mine
	a.send(frame)
	if r := z.receive(); r.seq != last.seq+1 || r.marker {
		t.Errorf("%+v after %+v", r.header, last.header)
	}
	if d := pa.Drops(); d.Forged != 1 {
		t.Errorf("drops %+v, want 1 forged", d)
	}
}

// TestLoopBurnsOut joins two ports whose phones claim to be each other's port,
// so that a packet would go round for ever.
func TestLoopBurnsOut(t *testing.T) {
	b := newBench(t, Config{})
	pa, pb := b.port(t, loopback4, media.Notices{}), b.port(t, loopback4, media.Notices{})
	packet := make([]byte, headerSize+160)
	header{payloadType: codec.PayloadPCMA, ssrc: pa.output.SSRC, seq: uint16(pa.output.Highest())}.put(packet)
	s := media.Stream{Codec: codec.ALaw.Codec(), Remote: pb.Local()}
	pa.Apply(s)
	s.Remote = pa.Local()
	pb.Apply(s)
	pa.Hear(pb)
	pb.Hear(pa)
	to := poll.AddrOf(pb.Local())
	if err := pa.rtp.Send(packet, &to); err != nil { // which a sends to b...
		t.Fatal(err)
	}
	until(t, "the packet is dropped as a flood", func() bool { return b.Drops().Flood > 0 })
	if got := pa.Quality().PacketsIn + pb.Quality().PacketsIn; got > 1100 {
		t.Errorf("%d packets went round before the budget was gone", got)
	}
}

func TestFloodFromThePeerIsBounded(t *testing.T) {
	b := newBench(t, Config{})
	h := newHandler(t, b, codec.ALaw)
	for range 2000 {
		h.once()
		h.bench.clock.advance(100*time.Microsecond - frameTime)
	}
	q := h.port.Quality()
	if q.PacketsIn < 500 || q.PacketsIn > 700 {
		t.Errorf("%d packets taken in 200 ms, want 600", q.PacketsIn)
	}
}
