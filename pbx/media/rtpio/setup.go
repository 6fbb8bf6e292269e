package rtpio

import (
	"log/slog"
	"net/netip"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/dtls"
	"github.com/dipcast/dipcast/pbx/media/ice"
	"github.com/dipcast/dipcast/pbx/media/rtpio/dest"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// firstRTP is the least first octet of RTP and RTCP; below are STUN and DTLS
// (RFC 7983).
const firstRTP = 128

// encrypt gives settings their cipher. A handshake that stays keeps its keys;
// before a new one has brought some nothing passes. It is called under mu.
func (p *Port) encrypt(next, old *settings, agreed media.Crypto) {
	var was *srtp.Cipher
	if old != nil {
		was = old.cipher
	}
	switch d := next.stream.DTLS; {
	case d == media.DTLS{}:
		next.cipher = p.newCipher(next.stream.Crypto, was)
	case old != nil && old.stream.DTLS == d:
		next.cipher, next.shake = was, old.shake
		return
	default:
		next.shake = p.newAssociation(&next.stream)
		if next.cipher = p.newCipher(agreed, was); next.cipher == nil {
			next.cipher = &srtp.Cipher{}
		}
	}
	if old != nil {
		old.shake.End()
	}
}

// newAssociation returns what makes the handshakes of a stream.
func (p *Port) newAssociation(s *media.Stream) (a *dtls.Association) {
	a = dtls.NewAssociation(dtls.Options{
		Identity: p.pool.identity, Stream: s.DTLS, Proven: s.ICE != media.ICE{},
		Send: func(b []byte, to netip.AddrPort) {
			addr := poll.AddrOf(to)
			if p.rtp.Send(b, &addr) != nil {
				p.drops.Unsent.Add(1) // it is sent again
			}
		},
		Agreed: func(keys media.Crypto) { p.agree(a, keys) },
		Failed: func(peer netip.AddrPort, err error) {
			p.pool.log.Warn("a handshake for a call's keys has failed; its audio is not carried", slog.Any("local", p.local),
				slog.Any("peer", peer), slog.Any("error", err))
		},
		Go: p.pool.wg.Go,
	})
	return a
}

// agree takes the keys of a handshake, unless an Apply has asked for another.
func (p *Port) agree(a *dtls.Association, keys media.Crypto) {
	p.mu.Lock()
	was := p.settings.Load()
	wanted := was.shake == a && !p.closed.Load()
	if wanted {
		next := *was
		next.cipher = p.newCipher(keys, was.cipher)
		p.settings.Store(&next)
	}
	p.mu.Unlock()
	if wanted && p.notices.Keyed != nil {
		p.notices.Keyed()
	}
}

// approach begins the handshake where that is our part and it is known where
// the peer is.
func (p *Port) approach(s *settings) {
	if d := p.dest.Load(); s.shake != nil && d.Epoch == s.epoch && (d.Learnt || s.stream.ICE == media.ICE{}) {
		s.shake.Approach(d.RTP)
	}
}

// handleSetup takes what is not RTP of a port whose keys come by a handshake:
// connectivity checks, and the handshake. Only whom a check has validated, or
// without ICE the host that the signalling named, may make one: anybody else
// could come before the peer.
func (p *Port) handleSetup(s *settings, b []byte, from netip.AddrPort, now int64) {
	in := &p.intake
	in.follow(s)
	switch {
	case ice.Is(b) && in.agent != nil:
		p.check(s, b, from, now)
	case !dtls.Is(b):
		p.drops.Malformed.Add(1)
	case in.agent != nil && !in.agent.Valid(from), in.agent == nil && !in.learner.Named(from):
		p.drops.Foreign.Add(1)
	case !s.shake.Take(b, from):
		p.drops.Unknown.Add(1)
	}
}

// check answers a connectivity check and follows the peer to where it wants to
// be sent to.
func (p *Port) check(s *settings, b []byte, from netip.AddrPort, now int64) {
	answer, ok := p.intake.agent.Take(b, from, now)
	if !ok {
		p.drops.Foreign.Add(1)
		return
	}
	p.checked.Store(now)
	to := poll.AddrOf(from)
	if p.rtp.Send(answer, &to) != nil {
		p.drops.Unsent.Add(1)
	}
	chosen := p.intake.agent.Selected()
	if d := p.dest.Load(); chosen.IsValid() && d.Epoch == s.epoch && d.RTP != chosen {
		p.dest.CompareAndSwap(d, dest.Found(&s.stream, s.epoch, chosen))
		p.approach(s)
	}
}

// consent stops sending to a peer of ICE that makes no more checks (RFC 7675);
// its next one brings it back.
func (p *Port) consent(s *settings, now int64) {
	if d := p.dest.Load(); s.stream.ICE != (media.ICE{}) && d.Learnt && now-p.checked.Load() > int64(ice.Consent) {
		p.dest.CompareAndSwap(d, dest.Offered(&s.stream, s.epoch))
	}
}
