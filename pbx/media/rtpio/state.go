package rtpio

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

// margin is how many packets a restored stream is put ahead of the guess, if
// nothing tells where it really is: half a second. A receiver takes packets
// that are missing; it refuses those that seem to come again.
const margin = 25

// Save implements media.Port.
func (p *Port) Save() media.PortState {
	now := p.pool.clock()
	s := media.PortState{
		Saved: p.pool.now(), Local: p.local, Name: p.control.cname,
		In: p.intake.figures.save(now), Out: p.output.save(now), Quality: p.Quality(),
	}
	if set := p.settings.Load(); set != nil {
		s.Stream, s.Applied = set.stream, true
	}
	if d := p.dest.Load(); d != nil && d.learnt {
		s.Peer = d.rtp
	}
	if from := p.control.source.Load(); from != nil {
		s.PeerRTCP = *from
	}
	return s
}

func (f *figures) save(now int64) media.Incoming {
	if f.packets.Load() == 0 {
		return media.Incoming{}
	}
	return media.Incoming{
		SSRC: f.ssrc.Load(), Highest: f.highest.Load(), Source: f.source.Load(), Age: time.Duration(now - f.last.Load()),
	}
}

func (o *output) save(now int64) media.Outgoing {
	if o.claimOrEnded() {
		defer o.release()
	}
	s := media.Outgoing{
		SSRC: o.ssrc, Highest: o.highest, Time: o.ts, Span: o.span, Started: o.started, Octets: o.octets.Load(),
		Source: o.source, SeqAdd: o.seqAdd, TimeAdd: o.tsAdd,
	}
	if o.started {
		s.Age = time.Duration(now - o.at)
	}
	return s
}

// Restore implements media.Allocator. It binds the saved numbers, or takes the
// sockets over that an earlier process left with Config.Sockets. Errors: the
// numbers are in use by another port or program, ErrClosed, no address of that
// family.
//
// The port reads nothing before it is told whom it is heard by or what it
// plays, a second at most: packets that waited for us are not thrown away.
func (p *Pool) Restore(s media.PortState, n media.Notices) (media.Port, error) {
	f, err := p.familyOf(s.Local.Addr())
	if err != nil {
		return nil, err
	}
	if !s.Local.IsValid() || s.Local.Port()%2 != 0 {
		return nil, fmt.Errorf("saved media port %s: want an address with an even port", s.Local)
	}
	number, ok := p.reserve(s.Local.Port())
	if !ok {
		return nil, fmt.Errorf("saved media port %s: is another call's now", s.Local)
	}
	rtp, rtcp, held, err := p.reopen(f, s.Local.Port())
	if err != nil {
		p.putBack(number)
		return nil, fmt.Errorf("saved media port %s: %w", s.Local, err)
	}
	port := p.newPort(f, number, rtp, rtcp, n)
	port.held = held
	port.restore(&s, p.clock(), max(0, p.now().Sub(s.Saved)))
	if err := p.enter(port); err != nil {
		return nil, err
	}
	return port, nil
}

// restore takes the state over that was saved so long ago.
func (p *Port) restore(s *media.PortState, now int64, ago time.Duration) {
	p.local = s.Local
	p.control.restore(s)
	p.output.khz = khz(s.Stream.Codec)
	p.output.restore(&s.Out, s.Quality.PacketsOut, now, ago)
	p.intake.restore(&s.In, &s.Quality, khz(s.Stream.Codec), now, ago)
	p.drops.foreign.Store(s.Quality.Foreign)
	p.drops.malformed.Store(s.Quality.Malformed)
	if !s.Applied {
		return
	}
	p.Apply(s.Stream)
	if set := p.settings.Load(); s.Peer.IsValid() {
		p.dest.Store(set.found(s.Peer))
		p.intake.epoch, p.intake.learner, p.intake.arrived = set.epoch, newLearner(&s.Stream), true
		p.intake.learner.lock(s.Peer)
	}
}

func (c *control) restore(s *media.PortState) {
	c.cname, c.sent = s.Name, s.Quality.PacketsOut
	c.lostOut, c.jitter, c.rtt = s.Quality.LostOut, units(int64(s.Quality.JitterOut), khz(s.Stream.Codec)), s.Quality.RoundTrip
	if s.PeerRTCP.IsValid() {
		c.source.Store(&s.PeerRTCP)
	}
}

func (o *output) restore(s *media.Outgoing, packets uint64, now int64, ago time.Duration) {
	o.ssrc, o.highest, o.ts, o.span, o.started = s.SSRC, s.Highest, s.Time, s.Span, s.Started
	o.source, o.seqAdd, o.tsAdd, o.count = s.Source, s.SeqAdd, s.TimeAdd, fresh
	o.at = now - int64(ago+s.Age)
	o.packets.Store(packets)
	o.octets.Store(s.Octets)
	if s.Started {
		o.guessed = true
		o.highest += since(ago, s.Span, o.khz) + margin
	}
}

func (in *intake) restore(s *media.Incoming, q *pbx.Quality, khz uint32, now int64, ago time.Duration) {
	f := &in.figures
	f.packets.Store(q.PacketsIn)
	f.lost.Store(q.LostIn)
	in.lost, in.jitter = q.LostIn, units(int64(q.JitterIn), khz)<<4
	f.jitter.Store(in.jitter >> 4)
	if s.Source == 0 {
		return
	}
	in.have, in.guessed, in.last = true, true, now-int64(ago+s.Age)
	in.ssrc, in.source, in.highest = s.SSRC, s.Source, s.Highest+since(ago+s.Age, 0, khz)
	f.ssrc.Store(in.ssrc)
	f.source.Store(in.source)
	f.highest.Store(in.highest)
	f.last.Store(now)
}

// since is how many packets of so many timestamp units go by in a time; 0 = of
// 20 ms.
func since(t time.Duration, span, khz uint32) uint32 {
	length := frameTime
	if span > 0 {
		length = duration(span, khz)
	}
	return uint32(t / length)
}

// lock believes in a source that was learnt before.
func (l *learner) lock(from netip.AddrPort) { l.locked, l.rank = from, max(l.judge(from), unknown) }
