package rtpio

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watchTicks is how many ticks lie between two looks at silence and reports.
const watchTicks = int(watchEvery / frameTime)

// loopback4 and loopback6 are where tests send.
var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

// clock is a clock that goes when a test says so.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_700_000_000, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// bench is a pool whose time stands still until it is told to go on.
type bench struct {
	*Pool
	clock clock
	ticks chan time.Time
}

func newBench(t testing.TB, cfg Config) *bench {
	t.Helper()
	b := &bench{ticks: make(chan time.Time)}
	cfg.Now, cfg.Ticks = b.clock.now, b.ticks
	if cfg.Bind == nil {
		cfg.Bind = []netip.Addr{loopback4, loopback6}
	}
	pool, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Pool = pool
	t.Cleanup(pool.Close)
	return b
}

// tick lets n frames go by. It returns when the pacer has taken the last tick,
// not when it is done with it: a tick more makes sure of that.
func (b *bench) tick(n int) {
	for range n {
		b.clock.advance(frameTime)
		b.ticks <- time.Time{}
	}
}

// settle makes sure that the pacer has finished with all ticks before.
func (b *bench) settle() { b.ticks <- time.Time{} }

func (b *bench) port(t testing.TB, peer netip.Addr, n media.Notices) *Port {
	t.Helper()
	p, err := b.Allocate(peer, n)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Port)
}

// peer is a phone's RTP and RTCP socket.
type peer struct {
	t         testing.TB
	rtp, rtcp *net.UDPConn
	to        netip.AddrPort
	codec     media.Codec
	header    header
}

func newPeer(t testing.TB, host netip.Addr, law codec.Law) *peer {
	t.Helper()
	rtp, rtcp := pair(t, host)
	t.Cleanup(func() { _, _ = rtp.Close(), rtcp.Close() })
	c := law.Codec()
	return &peer{
		t: t, rtp: rtp, rtcp: rtcp, codec: c,
		header: header{payloadType: c.PayloadType, seq: 65530, timestamp: 0xFFFFFF00, ssrc: 0xABCD0000 + uint32(addr(rtp).Port())},
	}
}

// pair opens two neighbouring sockets, the first on an even port.
func pair(t testing.TB, host netip.Addr) (rtp, rtcp *net.UDPConn) {
	t.Helper()
	for range 100 {
		var err error
		if rtp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 0))); err != nil {
			t.Fatal(err)
		}
		if port := addr(rtp).Port(); port%2 == 0 {
			rtcp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, port+1)))
			if err == nil {
				return rtp, rtcp
			}
		}
		rtp.Close()
	}
	t.Fatal("no pair of free ports")
	return nil, nil
}

func addr(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// stream is what an offer/answer exchange with this phone would settle.
func (p *peer) stream() media.Stream {
	return media.Stream{Remote: addr(p.rtp), RemoteRTCP: addr(p.rtcp), Codec: p.codec, DTMF: codec.PayloadTelephoneEvent}
}

// packet makes the next packet.
func (p *peer) packet(payload []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(payload))
	p.header.put(b)
	p.header.seq++
	p.header.timestamp += uint32(len(payload))
	p.header.marker = false
	return append(b, payload...)
}

func (p *peer) send(payload []byte) { p.sendRaw(p.packet(payload)) }

func (p *peer) sendRaw(b []byte) {
	p.t.Helper()
	if _, err := p.rtp.WriteToUDPAddrPort(b, p.to); err != nil {
		p.t.Fatal(err)
	}
}

// say sends n frames of a tone, waiting for nothing.
func (p *peer) say(s media.Source, n int) {
	p.t.Helper()
	law, _ := codec.LawOf(p.codec.Name)
	var frame [codec.FrameSamples]int16
	for range n {
		s.Read(frame[:])
		b := make([]byte, len(frame))
		law.Encode(b, frame[:])
		p.send(b)
	}
}

// received is one packet as a phone saw it.
type received struct {
	header
	payload []byte
	from    netip.AddrPort
}

// receive waits for one packet.
func (p *peer) receive() received {
	p.t.Helper()
	r, err := receive(p.rtp, patience)
	if err != nil {
		p.t.Fatalf("no RTP packet: %v", err)
	}
	return r
}

func receive(c *net.UDPConn, wait time.Duration) (received, error) {
	b := make([]byte, 2048)
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return received{}, err
	}
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return received{}, err
	}
	h, start, end, ok := parse(b[:n])
	if !ok {
		return received{}, errors.New("not RTP")
	}
	return received{header: h, payload: b[start:end], from: from}, nil
}

// hear waits for n frames and returns their samples.
func (p *peer) hear(n int) []int16 {
	p.t.Helper()
	law, _ := codec.LawOf(p.codec.Name)
	var samples []int16
	for range n {
		r := p.receive()
		if r.payloadType != p.codec.PayloadType {
			p.t.Fatalf("payload type %d, want %d", r.payloadType, p.codec.PayloadType)
		}
		frame := make([]int16, len(r.payload))
		law.Decode(frame, r.payload)
		samples = append(samples, frame...)
	}
	return samples
}

// until waits until a condition of another goroutine holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("%s: still not so after %v", what, patience)
		}
	}
}

// twoPhones are two ports with a phone each, applied and hearing each other.
func twoPhones(t testing.TB, b *bench, host netip.Addr, lawA, lawB codec.Law) (pa, pb *Port, a, z *peer) {
	t.Helper()
	a, z = newPeer(t, host, lawA), newPeer(t, host, lawB)
	pa, pb = b.port(t, host, media.Notices{}), b.port(t, host, media.Notices{})
	a.to, z.to = pa.Local(), pb.Local()
	pa.Apply(a.stream())
	pb.Apply(z.stream())
	pa.Hear(pb)
	pb.Hear(pa)
	return pa, pb, a, z
}

// wantTone fails unless nearly all energy lies at the frequency.
func wantTone(t *testing.T, who string, samples []int16, freq float64) {
	t.Helper()
	if share := tone.Share(samples, freq); share < 0.99 {
		t.Errorf("%s: share of %v Hz is %.3f, want 0.99 or more", who, freq, share)
	}
}
