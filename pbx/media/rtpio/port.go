package rtpio

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// Port is the media end of one leg: an RTP and an RTCP socket. It implements
// media.Port.
type Port struct {
	pool    *Pool
	number  uint16 // 0: the kernel's, which does not come back to the stock
	local   netip.AddrPort
	notices media.Notices
	rtp     *net.UDPConn
	rtcp    *net.UDPConn

	settings atomic.Pointer[settings]
	dest     atomic.Pointer[destination]
	target   atomic.Pointer[Port] // who hears this port's peer
	feeder   atomic.Pointer[Port] // whose peer this port's peer hears
	playing  atomic.Pointer[playing]
	tap      atomic.Pointer[tap]
	// conversion carries audio to a target of another codec; lacks says that a
	// packet came for which there is none.
	conversion atomic.Pointer[conversion]
	lacks      atomic.Uint32
	lackedAt   int64       // when it was asked for last; the pacer's alone
	keying     atomic.Bool // key presses wait or are being sent
	silent     atomic.Bool // Silent was told
	toldAt     int64       // when it was told last; the pacer's alone
	closed     atomic.Bool
	readers    atomic.Int32 // the reading goroutines that are left

	intake  intake // the RTP reader's
	output  output
	keys    keys
	control control
	drops   drops

	receiving sync.Once

	mu   sync.Mutex // one Apply, Hold or Close at a time
	held bool       // Config.Sockets has copies of the sockets; under mu
}

var _ media.Port = (*Port)(nil)

// Local implements media.Port.
func (p *Port) Local() netip.AddrPort { return p.local }

// Apply implements media.Port.
func (p *Port) Apply(s media.Stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return
	}
	law, _ := codec.LawOf(s.Codec.Name)
	next := &settings{stream: s, law: law, khz: khz(s.Codec), at: p.pool.clock(), epoch: 1}
	if old := p.settings.Load(); old != nil {
		next.epoch = old.epoch
		if old.stream.Remote != s.Remote || old.stream.TrustSource != s.TrustSource {
			next.epoch++
		}
	}
	if d := p.dest.Load(); d == nil || d.epoch != next.epoch {
		p.dest.Store(next.offered())
	} else if d.learnt {
		p.dest.Store(next.found(d.rtp))
	}
	p.settings.Store(next)
	p.silent.Store(false)
}

// Hear implements media.Port. Of several ports that are heard by the same one
// the last is heard.
func (p *Port) Hear(to media.Port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, _ := to.(*Port)
	if p.closed.Load() {
		next = nil
	}
	if old := p.target.Swap(next); old != nil && old != next {
		old.feeder.CompareAndSwap(p, nil)
	}
	if next != nil {
		next.feeder.Store(p)
	}
	p.receive()
}

// Play implements media.Port. The source belongs to the port from now on.
func (p *Port) Play(s media.Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.receive()
	if s == nil || p.closed.Load() {
		p.playing.Store(nil)
		return
	}
	p.playing.Store(&playing{source: s, id: p.pool.nextSource()})
}

// Quality implements media.Port; it also works after Close.
func (p *Port) Quality() pbx.Quality {
	f := &p.intake.figures
	q := pbx.Quality{
		PacketsIn:  f.packets.Load(),
		PacketsOut: p.output.packets.Load(),
		LostIn:     f.lost.Load(),
		Foreign:    p.drops.foreign.Load() + p.drops.forged.Load(),
		Malformed:  p.drops.malformed.Load(),
	}
	khz := uint32(0)
	if s := p.settings.Load(); s != nil {
		q.Codec, khz = s.stream.Codec.Name, s.khz
	}
	q.JitterIn = duration(f.jitter.Load(), khz)
	p.control.quality(&q, khz)
	return q
}

// TakesKeys implements media.Port.
func (p *Port) TakesKeys() bool {
	s := p.settings.Load()
	return s != nil && s.stream.DTMF != 0
}

// Drops returns how many packets of this port were not used, and why.
func (p *Port) Drops() Drops { return p.drops.snapshot() }

// Close implements media.Port. The readers send the last report, close the
// sockets and give the port back; Pool.Close waits for them.
func (p *Port) Close() {
	p.mu.Lock()
	if p.closed.Swap(true) {
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.Hear(nil)
	p.playing.Store(nil)
	p.tap.Store(nil)
	p.pool.leave(p)
	past := time.Unix(1, 0)
	_ = p.rtp.SetReadDeadline(past) // fails only on a closed socket
	_ = p.rtcp.SetReadDeadline(past)
}

// receive starts the readers, once.
func (p *Port) receive() {
	p.receiving.Do(func() {
		go p.read(p.rtp, p.handle)
		go p.read(p.rtcp, p.handleControl)
	})
}

// read hands each packet of one socket over until the port is closed.
func (p *Port) read(conn *net.UDPConn, handle func(b []byte, from netip.AddrPort, now int64)) {
	defer p.pool.wg.Done()
	defer p.readerLeft()
	buf := make([]byte, bufferSize)
	for failures := 0; !p.closed.Load(); {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if p.closed.Load() {
			return
		}
		if err != nil {
			if failures++; failures > 100 {
				p.pool.log.Error("rtp socket cannot be read; the call will end as silent", slog.Any("local", p.local), slog.Any("error", err))
				return
			}
			continue
		}
		failures = 0
		handle(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), p.pool.clock())
	}
}

// readerLeft lets the last reader close the sockets, so that nothing is read
// by the next owner of the port's number.
func (p *Port) readerLeft() {
	if p.readers.Add(-1) > 0 {
		return
	}
	if p.closed.Load() && !p.pool.leaving.Load() {
		p.report(p.pool.clock(), true)
	}
	_ = p.rtp.Close()
	_ = p.rtcp.Close()
	p.letGo()
	p.pool.gone(p)
}

// send writes one packet of the outgoing stream. It is counted first, so that
// who has received it finds it counted.
func (p *Port) send(b []byte, to netip.AddrPort) {
	p.output.packets.Add(1)
	p.output.octets.Add(uint64(len(b) - headerSize))
	if _, err := p.rtp.WriteToUDPAddrPort(b, to); err != nil {
		p.drops.unsent.Add(1)
		p.output.packets.Add(^uint64(0))
		p.output.octets.Add(-uint64(len(b) - headerSize))
	}
}

// duration turns timestamp units into time, of which khz are in a millisecond;
// 0 = 8.
func duration(units, khz uint32) time.Duration {
	if khz == 0 {
		khz = codec.ClockRate / 1000
	}
	return time.Duration(units) * time.Millisecond / time.Duration(khz)
}
