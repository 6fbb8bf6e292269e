package rtpio

import (
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/room"
	"github.com/dipcast/dipcast/pbx/media/rtpio/dest"
	"github.com/dipcast/dipcast/pbx/media/rtpio/drop"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/rtpio/ports"
	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

// Port is the media end of one leg: an RTP and an RTCP socket. It implements
// media.Port.
type Port struct {
	pool    *Pool
	local   netip.AddrPort
	notices media.Notices
	poller  *poller // reads and closes the sockets
	pair    *ports.Pair
	rtp     *poll.Socket // the pair's
	rtcp    *poll.Socket

	settings atomic.Pointer[settings]
	dest     atomic.Pointer[dest.Place]
	target   atomic.Pointer[Port] // who hears this port's peer
	feeder   atomic.Pointer[Port] // whose peer this port's peer hears
	playing  atomic.Pointer[playing]
	tap      atomic.Pointer[tap]
	seat     atomic.Pointer[room.Seat] // in a room, which goes before target and feeder
	// conversion carries audio to a target of another codec; lacks says that a
	// packet came for which there is none.
	conversion atomic.Pointer[conversion]
	lacks      atomic.Uint32
	lackedAt   int64       // when it was asked for last; the pacer's alone
	silent     atomic.Bool // Silent was told
	toldAt     int64       // when it was told last; the pacer's alone
	paced      atomic.Bool // in the pacer's list
	closed     atomic.Bool
	checked    atomic.Int64 // when ICE's last check came, in nanoseconds

	intake  intake // the poller's
	output  stream.Out
	keys    keys
	control control
	drops   drop.Counter

	mu        sync.Mutex // one Apply, Hear, Play, Hold or Close at a time
	receiving bool       // the poller reads; under mu
}

var _ media.Port = (*Port)(nil)

// Local implements media.Port.
func (p *Port) Local() netip.AddrPort { return p.local }

// Apply implements media.Port.
func (p *Port) Apply(s media.Stream) { p.apply(s, media.Crypto{}) }

// apply is Apply with the keys that an earlier process's handshake has agreed.
func (p *Port) apply(s media.Stream, agreed media.Crypto) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() {
		return
	}
	law, _ := codec.LawOf(s.Codec.Name)
	next := &settings{stream: s, law: law, khz: khz(s.Codec), at: p.pool.clock(), epoch: 1}
	old := p.settings.Load()
	if old != nil {
		next.epoch = old.epoch
		if old.stream.Remote != s.Remote || old.stream.TrustSource != s.TrustSource || old.stream.ICE != s.ICE {
			next.epoch++
		}
	}
	p.encrypt(next, old, agreed)
	if d := p.dest.Load(); d == nil || d.Epoch != next.epoch {
		p.dest.Store(dest.Offered(&next.stream, next.epoch))
	} else if d.Learnt {
		p.dest.Store(dest.Found(&next.stream, next.epoch, d.RTP))
	}
	p.settings.Store(next)
	p.silent.Store(false)
	if old != nil && old.epoch != next.epoch {
		p.poller.Do(p.loose) // whoever comes now is not the one who was connected to
	}
	p.approach(next)
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
	p.pool.pacer.add(p)
}

// Quality implements media.Port; it also works after Close.
func (p *Port) Quality() pbx.Quality {
	f := &p.intake.Figures
	q := pbx.Quality{
		PacketsIn:  f.Packets.Load(),
		PacketsOut: p.output.Packets.Load(),
		LostIn:     f.Lost.Load(),
		Foreign:    p.drops.Foreign.Load() + p.drops.Forged.Load() + p.drops.Sealed.Load(),
		Malformed:  p.drops.Malformed.Load(),
	}
	khz := uint32(0)
	if s := p.settings.Load(); s != nil {
		q.Codec, khz = s.stream.Codec.Name, s.khz
	}
	q.JitterIn = stream.Duration(f.Jitter.Load(), khz)
	lost, jitter, rtt := p.control.ledger.Of()
	q.LostOut, q.JitterOut, q.RoundTrip = lost, stream.Duration(jitter, khz), rtt
	return q
}

// TakesKeys implements media.Port.
func (p *Port) TakesKeys() bool {
	s := p.settings.Load()
	return s != nil && s.stream.DTMF != 0
}

// Drops returns how many packets of this port were not used, and why.
func (p *Port) Drops() Drops { return p.drops.Snapshot() }

// Close implements media.Port. It sends the last report. The sockets are laid
// aside for the next call, or the poller closes them and gives the port back,
// which Pool.Close waits for.
func (p *Port) Close() {
	p.mu.Lock()
	if p.closed.Swap(true) {
		p.mu.Unlock()
		return
	}
	p.sit(nil)
	p.mu.Unlock()
	p.Hear(nil)
	p.playing.Store(nil)
	p.tap.Store(nil)
	if s := p.settings.Load(); s != nil {
		s.shake.End()
	}
	p.pool.leave(p)
	if !p.pool.leaving.Load() {
		p.report(p.pool.clock(), true)
		if p.layAside() {
			return
		}
		p.pair.LetGo(p.pool.sockets)
	}
	p.poller.Do(p.end)
}

// end closes the sockets in the poller's goroutine, so that nothing is read by
// the next owner of the port's number. Nobody sends on a socket that is closed:
// the claims that senders need are never given back.
func (p *Port) end() {
	p.poller.Remove(p.rtp)
	p.poller.Remove(p.rtcp)
	p.output.End()
	p.control.end()
	p.pair.Close()
	go p.pool.gone(p) // which may wait for a lock or a log
}

// receive lets the poller read, once. It is called under mu.
func (p *Port) receive() {
	if p.receiving || p.closed.Load() {
		return
	}
	p.receiving = true
	if err := errors.Join(p.poller.Add(p.rtp, (*rtpSide)(p)), p.poller.Add(p.rtcp, (*rtcpSide)(p))); err != nil {
		p.pool.log.Error("rtp socket cannot be read; the call will end as silent", slog.Any("local", p.local), slog.Any("error", err))
	}
}

// The two sockets of a port as the poller sees them.
type (
	rtpSide  Port
	rtcpSide Port
)

// Read implements poll.Reader.
func (s *rtpSide) Read(b []byte, from netip.AddrPort, now int64) { (*Port)(s).handle(b, from, now) }

// Read implements poll.Reader.
func (s *rtcpSide) Read(b []byte, from netip.AddrPort, now int64) {
	(*Port)(s).handleControl(b, from, now)
}

// send sends one packet of the outgoing stream, which the caller has claimed.
// It is counted first, so that who has received it finds it counted.
func (p *Port) send(b []byte, to *poll.Addr) {
	p.output.Packets.Add(1)
	octets := uint64(len(b) - headerSize)
	p.output.Octets.Add(octets)
	b, ok := p.settings.Load().cipher.Seal(b)
	if !ok || p.rtp.Send(b, to) != nil {
		p.drops.Unsent.Add(1)
		p.output.Packets.Add(^uint64(0))
		p.output.Octets.Add(-octets)
	}
}
