package audio

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func listen(t *testing.T) *Session {
	t.Helper()
	s, err := Listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func flow(to *Session) Flow {
	return Flow{Remote: to.Local(), Law: codec.ALaw, DTMF: 101, Send: true, Receive: true}
}

func TestTonesTravel(t *testing.T) {
	a, b := listen(t), listen(t)
	a.Apply(flow(b))
	b.Apply(flow(a))
	a.Play(tone.Sine(500, 0.4))
	if err := b.WaitTone(soon(t), 500); err != nil {
		t.Fatal(err)
	}
	if err := a.WaitNoTone(soon(t), 500); err != nil {
		t.Fatal(err)
	}
	<-a.Play(tone.For(tone.Sine(900, 0.4), 100*time.Millisecond)) // ends by itself
	if err := b.WaitNoTone(soon(t), 500); err != nil {
		t.Fatal(err)
	}
	st := b.Stats()
	if st.Received == 0 || st.Sources != 1 || st.Malformed > 0 {
		t.Errorf("counters %+v", st)
	}
	if n := len(b.Heard().Samples()); n < 3*codec.FrameSamples {
		t.Errorf("%d samples recorded", n)
	}
	if n := len(b.HeardSince(b.Mark() + 1).Samples()); n != 0 {
		t.Errorf("%d samples after the end", n)
	}
}

func TestWaitToneSaysWhatItHeard(t *testing.T) {
	a, b := listen(t), listen(t)
	a.Apply(flow(b))
	a.Play(tone.Sine(700, 0.4))
	if err := b.WaitTone(soon(t), 700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(soon(t), 2*time.Second)
	defer cancel()
	if err := b.WaitTone(ctx, 440); err == nil || !strings.Contains(err.Error(), "about 700 Hz") {
		t.Errorf("got %v", err)
	}
	b.Close()
	if err := b.WaitTone(soon(t), 700); err == nil {
		t.Error("a closed session hears a tone that is past")
	}
	if err := b.WaitNoTone(soon(t), 700); err != nil {
		t.Error(err)
	}
}

func TestClosedSessionReleases(t *testing.T) {
	a, b := listen(t), listen(t)
	a.Apply(flow(b))
	sent, err := a.SendDTMF("123456789")
	if err != nil {
		t.Fatal(err)
	}
	played := a.Play(tone.Silence())
	a.Close()
	<-sent
	<-played
	<-a.Play(tone.Silence())
	if _, err := a.SendDTMF("1"); err == nil {
		t.Error("keys after the end")
	}
}

// packet sends one RTP packet from a socket of its own.
func packet(t *testing.T, c *net.UDPConn, to *Session, h rtp.Header, payload []byte) {
	t.Helper()
	h.Version = 2
	b, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteToUDPAddrPort(b, to.Local()); err != nil {
		t.Fatal(err)
	}
}

func sender(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// count waits until n packets were counted in any way.
func count(t *testing.T, s *Session, n uint64) Stats {
	t.Helper()
	ctx := soon(t)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if st := s.Stats(); st.Received+st.Malformed >= n {
			return st
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("counted only %+v", s.Stats())
		}
	}
}

func TestLossIsCountedAndFilled(t *testing.T) {
	s, c := listen(t), sender(t)
	payload := make([]byte, codec.FrameSamples)
	for _, seq := range []uint16{65534, 65535, 0, 3, 4, 2} { // 1 is lost, 2 is late
		packet(t, c, s, rtp.Header{SSRC: 9, PayloadType: 8, SequenceNumber: seq, Timestamp: uint32(int32(int16(seq)) * codec.FrameSamples)}, payload)
	}
	st := count(t, s, 6)
	if st.Lost != 1 || st.Late != 1 || st.Received != 6 {
		t.Errorf("counters %+v, want one lost and one late", st)
	}
	if n := len(s.Heard().Samples()); n != 7*codec.FrameSamples {
		t.Errorf("%d samples, want %d: gaps are silence", n, 7*codec.FrameSamples)
	}
	_, _ = c.WriteToUDPAddrPort([]byte("no RTP"), s.Local())
	packet(t, c, s, rtp.Header{SSRC: 9, PayloadType: 99, SequenceNumber: 5}, payload)
	packet(t, c, s, rtp.Header{SSRC: 10, PayloadType: 8, SequenceNumber: 1}, payload)
	st = count(t, s, 9)
	if st.Malformed != 2 || st.Sources != 2 || st.Lost != 1 {
		t.Errorf("counters %+v, want two malformed and two sources", st)
	}
}

func TestReports(t *testing.T) {
	s, peer := listen(t), sender(t)
	s.Apply(Flow{Remote: local(peer), RTCP: local(peer), Law: codec.ULaw, Send: true})
	rr, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: 5, NTPTime: 1 << 40},
		&rtcp.ReceiverReport{SSRC: 5, Reports: []rtcp.ReceptionReport{{SSRC: s.ssrc, TotalLost: 7}, {SSRC: 1, TotalLost: 9}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(s.Local().Addr(), s.Local().Port()+1)
	if _, err := peer.WriteToUDPAddrPort(rr, to); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	if err := peer.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := peer.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			continue
		}
		if sr, ok := packets[0].(*rtcp.SenderReport); ok {
			if sr.SSRC != s.ssrc || sr.PacketCount == 0 {
				t.Errorf("report %+v", sr)
			}
			break
		}
	}
	if st := s.Stats(); st.RTCPIn != 1 || st.RemoteLost != 7 {
		t.Errorf("counters %+v", st)
	}
}

func local(c *net.UDPConn) netip.AddrPort {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func FuzzHear(f *testing.F) {
	f.Add([]byte{0x80, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xd5, 0xd5})
	f.Add([]byte{0x80, 101, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 0x80, 0, 160})
	f.Add([]byte{0x90, 8, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Session{digits: make(chan rune, 1), stop: make(chan struct{})}
		s.heard.changed = make(chan struct{})
		s.flow.DTMF = 101
		var p rtp.Packet
		if p.Unmarshal(b) != nil {
			return
		}
		var samples [1500]int16
		for range 2 {
			s.hear(&p, samples[:])
		}
		if st := s.Stats(); st.Received+st.Malformed != 2 {
			t.Errorf("counters %+v", st)
		}
	})
}
