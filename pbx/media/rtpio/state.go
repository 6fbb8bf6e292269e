package rtpio

import (
	"fmt"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/rtpio/dest"
	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

// Save implements media.Port.
func (p *Port) Save() media.PortState {
	now := p.pool.clock()
	s := media.PortState{
		Saved: p.pool.now(), Local: p.local, Name: p.control.cname,
		In: p.intake.Figures.Save(now), Out: p.output.Save(now), Quality: p.Quality(),
	}
	if set := p.settings.Load(); set != nil {
		s.Stream, s.Applied = set.stream, true
		s.Out.Index, s.In.Index = set.cipher.Indexes(s.Out.SSRC, s.In.SSRC)
		if set.shake != nil {
			s.Agreed = set.cipher.Keys()
		}
	}
	if d := p.dest.Load(); d != nil && d.Learnt {
		s.Peer = d.RTP
	}
	if from := p.control.source.Load(); from != nil {
		s.PeerRTCP = *from
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
	pair, err := f.Reopen(p.sockets, s.Local.Port())
	if err != nil {
		p.putBack(number)
		return nil, fmt.Errorf("saved media port %s: %w", s.Local, err)
	}
	pair.Number = number
	port := p.newPort(f, pair, n)
	port.restore(&s, p.clock(), max(0, p.now().Sub(s.Saved)))
	if err := p.enter(port); err != nil {
		p.putBack(number)
		return nil, err
	}
	return port, nil
}

// restore takes the state over that was saved so long ago.
func (p *Port) restore(s *media.PortState, now int64, ago time.Duration) {
	p.local = s.Local
	p.control.restore(s)
	p.output.Rate(khz(s.Stream.Codec))
	p.output.Restore(&s.Out, s.Quality.PacketsOut, now, ago, s.Stream.Crypto != media.Crypto{} || s.Agreed != media.Crypto{})
	p.intake.Restore(&s.In, &s.Quality, khz(s.Stream.Codec), now, ago)
	p.drops.Foreign.Store(s.Quality.Foreign)
	p.drops.Malformed.Store(s.Quality.Malformed)
	if !s.Applied {
		return
	}
	p.apply(s.Stream, s.Agreed)
	set := p.settings.Load()
	p.resume(set.cipher, s, p.pool.now())
	if s.Peer.IsValid() {
		p.dest.Store(dest.Found(&set.stream, set.epoch, s.Peer))
		p.intake.follow(set)
		p.intake.settle(s.Peer, now)
		p.checked.Store(now)
	}
}

func (c *control) restore(s *media.PortState) {
	c.cname = s.Name
	q := &s.Quality
	c.ledger.Restore(q.LostOut, stream.Units(int64(q.JitterOut), khz(s.Stream.Codec)), q.RoundTrip, q.PacketsOut)
	if s.PeerRTCP.IsValid() {
		c.source.Store(&s.PeerRTCP)
	}
}
