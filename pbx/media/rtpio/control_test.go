package rtpio

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

// receiveControl waits for a compound packet.
func receiveControl(t *testing.T, c *net.UDPConn) []rtcp.Packet {
	t.Helper()
	b := make([]byte, 2048)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("no RTCP packet: %v", err)
	}
	packets, err := rtcp.Unmarshal(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// sendControl sends a compound packet to the port's RTCP socket.
func (p *peer) sendControl(packets ...rtcp.Packet) {
	p.t.Helper()
	b, err := rtcp.Marshal(packets)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.rtcp.WriteToUDPAddrPort(b, netip.AddrPortFrom(p.to.Addr(), p.to.Port()+1)); err != nil {
		p.t.Fatal(err)
	}
}

// report lets the next report become due and be sent.
func (b *bench) report() {
	b.clock.advance(2 * reportEvery)
	b.tick(watchTicks)
	b.settle()
}

func TestReportsAreSent(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.say(tone.Silence(), 8)
	z.hear(8)
	a.packet(make([]byte, 160)) // two are lost
	a.packet(make([]byte, 160))
	a.say(tone.Silence(), 2)
	z.hear(2)
	b.report()

	got := receiveControl(t, a.rtcp) // a was sent nothing: a receiver report
	rr, ok := got[0].(*rtcp.ReceiverReport)
	if !ok || len(rr.Reports) != 1 {
		t.Fatalf("the first phone got %v, want a receiver report with one block", got)
	}
	r := rr.Reports[0]
	if r.SSRC != a.header.ssrc || r.TotalLost != 2 || r.FractionLost != 2*256/12 || r.LastSequenceNumber != 1<<16+5 {
		t.Errorf("block %+v: want 2 of 12 lost, the sequence number gone round once", r)
	}
	name, ok := got[1].(*rtcp.SourceDescription)
	if !ok || len(name.Chunks) != 1 || len(name.Chunks[0].Items) != 1 || len(name.Chunks[0].Items[0].Text) < 16 {
		t.Errorf("no canonical name: %v", got[1])
	}
	sr, ok := receiveControl(t, z.rtcp)[0].(*rtcp.SenderReport)
	if !ok || sr.PacketCount != 10 || sr.OctetCount != 1600 || len(sr.Reports) != 0 {
		t.Fatalf("the second phone got %v, want a sender report of 10 packets", sr)
	}
	if sent := time.Unix(int64(sr.NTPTime>>32)-2208988800, 0); sent.Year() != 2023 {
		t.Errorf("sent at %v, want the time of the clock handed in", sent)
	}
	b.report()
	if rr, ok := receiveControl(t, z.rtcp)[0].(*rtcp.ReceiverReport); !ok {
		t.Errorf("got %v, want a receiver report when nothing was sent since", rr)
	}
	pa.Close()
	for {
		got := receiveControl(t, a.rtcp)
		if bye, ok := got[len(got)-1].(*rtcp.Goodbye); ok {
			if len(bye.Sources) != 1 || bye.Sources[0] != rr.SSRC {
				t.Errorf("bye %v, want of %x", bye, rr.SSRC)
			}
			return
		}
	}
}

func TestReportsOfThePeer(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	z.say(tone.Silence(), 1)
	ours := a.receive().ssrc
	a.say(tone.Silence(), 1)
	z.receive()
	b.report()
	sr, ok := receiveControl(t, a.rtcp)[0].(*rtcp.SenderReport)
	if !ok {
		t.Fatal("no sender report")
	}
	b.clock.advance(120 * time.Millisecond) // of which the phone keeps it for 50
	a.sendControl(&rtcp.SenderReport{
		SSRC: a.header.ssrc, NTPTime: 0x1122334455667788,
		Reports: []rtcp.ReceptionReport{
			{SSRC: 1, TotalLost: 99, Jitter: 99}, // of somebody else's stream
			{SSRC: ours, TotalLost: 7, Jitter: 40, LastSenderReport: uint32(sr.NTPTime >> 16), Delay: 65536 / 20},
		},
	}, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: a.header.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "phone"}}}}})
	until(t, "the report is taken", func() bool { return pa.Quality().LostOut == 7 })
	q := pa.Quality()
	if q.JitterOut != 5*time.Millisecond {
		t.Errorf("jitter %v, want 5ms", q.JitterOut)
	}
	// The tick that sent the report and those after it also take time.
	if q.RoundTrip < 69*time.Millisecond || q.RoundTrip > 500*time.Millisecond {
		t.Errorf("round trip %v, want at least 70 ms", q.RoundTrip)
	}
	b.clock.advance(time.Second)
	b.report()
	rr := receiveControl(t, a.rtcp)[0].(*rtcp.ReceiverReport)
	if r := rr.Reports[0]; r.LastSenderReport != 0x33445566 || r.Delay < 65536 {
		t.Errorf("block %+v: want our knowledge of the peer's last report", r)
	}
}

func TestHostileReportsAreRefused(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	z.say(tone.Silence(), 1)
	ours := a.receive().ssrc
	a.say(tone.Silence(), 1)
	z.receive()
	thief := newPeer(t, elsewhere, codec.ALaw)
	thief.to = pa.Local()
	thief.sendControl(&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: ours, TotalLost: 1000}}})
	until(t, "the foreign report is refused", func() bool { return pa.Drops().Foreign == 1 })
	to := netip.AddrPortFrom(a.to.Addr(), a.to.Port()+1)
	for _, bad := range [][]byte{{1}, {0x80, 200, 0xFF, 0xFF, 0, 0, 0, 0}, make([]byte, 1300)} {
		if _, err := a.rtcp.WriteToUDPAddrPort(bad, to); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the malformed ones are counted", func() bool { return pa.Drops().Malformed == 3 })
	// An absurd round trip is not believed, a negative loss is none.
	a.sendControl(&rtcp.ReceiverReport{SSRC: a.header.ssrc, Reports: []rtcp.ReceptionReport{{SSRC: ours, TotalLost: 1<<24 - 1, Jitter: 8, LastSenderReport: 1, Delay: 1}}})
	until(t, "the report is taken", func() bool { return pa.Quality().JitterOut == time.Millisecond })
	if q := pa.Quality(); q.LostOut != 0 || q.RoundTrip != 0 {
		t.Errorf("quality %+v", q)
	}
	a.sendControl(&rtcp.ReceiverReport{SSRC: a.header.ssrc}, &rtcp.Goodbye{Sources: []uint32{a.header.ssrc}})
	a.say(tone.Silence(), 1) // a BYE ends nothing
	z.receive()
	for range 100 {
		a.sendControl(&rtcp.ReceiverReport{SSRC: a.header.ssrc})
	}
	until(t, "a flood is bounded", func() bool { return pa.Drops().Flood > 40 })
}

func TestReportsOnOneSocket(t *testing.T) {
	b := newBench(t, Config{})
	pa, a := b.port(t, loopback4, media.Notices{}), newPeer(t, loopback4, codec.ALaw)
	a.to = pa.Local()
	s := a.stream()
	s.RTCPMux = true
	pa.Apply(s)
	a.say(tone.Silence(), 1)
	rr, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{
		SSRC: a.header.ssrc, Reports: []rtcp.ReceptionReport{{SSRC: pa.output.SSRC, Jitter: 80}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.sendRaw(rr)
	until(t, "the report is taken", func() bool { return pa.Quality().JitterOut == 10*time.Millisecond })
	b.report()
	if got := receiveControl(t, a.rtp); len(got) != 2 {
		t.Errorf("got %v on the RTP socket, want a report and a name", got)
	}
	pa.Apply(a.stream()) // without RTCP on the RTP socket
	a.sendRaw(rr)
	until(t, "it is refused", func() bool { return pa.Drops().Unknown == 1 })
}

func TestReportsFollowAPeerBehindNAT(t *testing.T) {
	b := newBench(t, Config{})
	pa, a := b.port(t, loopback4, media.Notices{}), newPeer(t, loopback4, codec.ALaw)
	a.to = pa.Local()
	s := a.stream()
	s.Remote, s.RemoteRTCP = netip.MustParseAddrPort("10.11.12.13:4000"), netip.AddrPort{}
	s.Signalling = loopback4
	pa.Apply(s)
	a.say(tone.Silence(), 3)
	until(t, "the source is learnt", func() bool { return pa.Quality().PacketsIn == 1 })
	a.sendControl(&rtcp.ReceiverReport{SSRC: a.header.ssrc})
	until(t, "its RTCP came", func() bool { return pa.control.source.Load() != nil })
	b.report()
	receiveControl(t, a.rtcp)
}

// FuzzHandle gives a port whatever the network may bring, from its peer.
func FuzzHandle(f *testing.F) {
	h := header{payloadType: codec.PayloadPCMA, seq: 1, ssrc: 2}
	packet := make([]byte, headerSize+160)
	h.put(packet)
	event := append([]byte{}, packet[:headerSize]...)
	event[1] = codec.PayloadTelephoneEvent
	report, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: 2, Reports: []rtcp.ReceptionReport{{SSRC: 1}}},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 2}}},
		&rtcp.Goodbye{Sources: []uint32{2}},
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{packet, append(event, 5, 0x8A, 0, 160), event[:headerSize], report, report[:9], {0x80, 200, 0, 6, 0, 0, 0, 0}, nil} {
		f.Add(seed, seed)
	}
	b := newBench(f, Config{})
	pa, _, a, _ := twoPhones(f, b, loopback4, codec.ALaw, codec.ULaw)
	s := a.stream()
	s.RTCPMux = true
	pa.Apply(s)
	f.Fuzz(func(t *testing.T, rtp, control []byte) {
		b.clock.advance(frameTime)
		bounded.Run(t, len(rtp)+len(control), func() {
			pa.handle(rtp, addr(a.rtp), b.Pool.clock())
			pa.handleControl(control, addr(a.rtcp), b.Pool.clock())
		})
	})
}
