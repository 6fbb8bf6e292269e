package rtpio

import (
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/rtpio/dest"
	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// handle is the way of one packet from the socket to the other peer. It runs
// in the goroutine of the poller that has the RTP socket; it must not allocate,
// lock, log or wait.
func (p *Port) handle(b []byte, from netip.AddrPort, now int64) {
	s := p.settings.Load()
	if s == nil {
		p.drops.Early.Add(1)
		return
	}
	if s.shake != nil && len(b) > 0 && b[0] < firstRTP {
		p.handleSetup(s, b, from, now)
		return
	}
	if isControl(b) {
		p.handleMuxed(s, b, from, now)
		return
	}
	b, ok := s.cipher.Open(b)
	if !ok {
		p.drops.Sealed.Add(1) // whoever sends them must not be able to end a call
		return
	}
	h, start, end, ok := parse(b)
	if !ok {
		p.drops.Malformed.Add(1)
		return
	}
	f := s.format(h.payloadType)
	if f.kind == otherKind {
		p.drops.Unknown.Add(1)
		return
	}
	if !p.fromPeer(s, from, &h, now) {
		return
	}
	if !p.file(&h, f, now) {
		return
	}
	if f.kind == audioKind {
		p.tap.Load().hear(media.Said, codec.Format(f.law, f.name), h.timestamp, now, b[start:end])
	}
	q := p.target.Load()
	if f.kind == eventKind {
		if !p.intake.wholeEvent(&h, q) {
			f.kind = otherKind
		}
		p.key(b[start:end], &h, now)
	}
	if seat := p.seat.Load(); seat.Taken() {
		if f.kind == audioKind && s.stream.Direction.Receives() {
			seat.Put(s.stream.Codec, &voice.Packet{Source: p.intake.Source(), Law: f.law, Seq: h.seq, Timestamp: h.timestamp, Payload: b[start:end]})
		}
		return
	}
	if q == nil || !s.stream.Direction.Receives() || !q.hears(p) {
		return
	}
	if f.kind == audioKind && p.convert(q, s, f, &h, b[start:end]) {
		return
	}
	q.forward(p.intake.Source(), b[start-headerSize:end], h, f, now)
}

// fromPeer reports whether the packet comes from the peer, learning it.
func (p *Port) fromPeer(s *settings, from netip.AddrPort, h *header, now int64) bool {
	in := &p.intake
	in.follow(s)
	if in.agent != nil {
		if !in.agent.Valid(from) {
			p.drops.Foreign.Add(1)
			return false
		}
		p.arrive()
		return true
	}
	switch in.learner.Take(from, h.ssrc, h.seq, now) {
	case learn.Locked:
		p.tie(now)
		return true
	case learn.Moved:
		p.found(s, from)
		in.connectAt = in.learner.Firm(now)
		p.tie(now)
		return true
	case learn.Learning:
		p.drops.Learning.Add(1)
	case learn.Foreign:
		p.drops.Foreign.Add(1)
	}
	return false
}

// found publishes the learnt source, unless a newer Apply has been there.
func (p *Port) found(s *settings, from netip.AddrPort) {
	if d := p.dest.Load(); d != nil && d.Epoch == s.epoch {
		p.dest.CompareAndSwap(d, dest.Found(&s.stream, s.epoch, from))
	}
	p.arrive()
}

// arrive tells the first packet.
func (p *Port) arrive() {
	if !p.intake.arrived {
		p.intake.arrived = true
		if p.notices.Arrived != nil {
			p.notices.Arrived()
		}
	}
}

// file counts the packet and reports whether it is to be used.
func (p *Port) file(h *header, f format, now int64) bool {
	in := &p.intake
	if !in.budget.Spend(now) {
		p.drops.Flood.Add(1)
		return false
	}
	where := in.Take(h.ssrc, h.stamp(), f.khz, now, p.pool.nextSource)
	if where == stream.Forged {
		p.drops.Forged.Add(1)
		return false
	}
	if p.silent.Load() {
		p.silent.Store(false)
	}
	if where == stream.Repeated {
		p.drops.Repeated.Add(1)
		return false
	}
	return true
}

// key tells a key press once.
func (p *Port) key(payload []byte, h *header, now int64) {
	e, err := dtmf.Parse(payload)
	if err != nil {
		p.drops.Malformed.Add(1)
		return
	}
	digit, pressed := p.intake.presses.Take(e, h.timestamp, h.marker, time.Duration(now))
	if pressed && p.notices.Digit != nil {
		p.notices.Digit(digit)
	}
}

// hears reports whether the port is to hear packets of `from`: the last of
// those that were pointed at it. When that one is gone another takes its place.
// The member of a room hears nobody else.
func (p *Port) hears(from *Port) bool {
	if p.seat.Load().Taken() {
		return false
	}
	f := p.feeder.Load()
	if f == from {
		return true
	}
	if f != nil && f.target.Load() == p {
		return false
	}
	return p.feeder.CompareAndSwap(f, from)
}

// forward sends a packet to this port's peer. b begins with room for the
// header, where the old header or its extension lies.
func (p *Port) forward(source uint64, b []byte, h header, f format, now int64) {
	s, d := p.settings.Load(), p.dest.Load()
	if s == nil || d == nil || !d.RTP.IsValid() || p.keys.Busy() || p.playing.Load() != nil {
		return
	}
	if !s.stream.Direction.Sends() {
		p.pause()
		return
	}
	if !p.output.Claim() {
		p.drops.Switched.Add(1)
		return
	}
	defer p.output.Release()
	p.output.Rate(s.khz)
	if !p.rewrite(s, source, &h, f, b[headerSize:], now) {
		return
	}
	if f.kind == audioKind {
		codec.Transcoder(f.law, s.law).Apply(b[headerSize:])
		p.tap.Load().hear(media.Heard, codec.Format(s.law, f.name), h.timestamp, now, b[headerSize:])
	}
	h.put(b)
	p.send(b, &d.To)
}

// pause ends the mapping of the relayed stream while the peer wants nothing,
// so that it goes on without a gap in its sequence when it is resumed.
func (p *Port) pause() {
	if p.output.Claim() {
		p.output.Pause()
		p.output.Release()
	}
}

// rewrite makes the packet one of the outgoing stream. It reports false for a
// packet that the peer does not take.
func (p *Port) rewrite(s *settings, source uint64, h *header, f format, payload []byte, now int64) bool {
	span := uint32(0)
	switch {
	case f.kind == audioKind && s.takes(f):
		h.payloadType, span = s.stream.Codec.PayloadType, s.span(f, payload)
	case f.kind == eventKind && s.stream.DTMF != 0:
		h.payloadType = s.stream.DTMF
		p.output.KeysTil = now + keyPause
	default:
		p.output.Swallow(source, h.seq)
		if f.kind == audioKind {
			p.drops.Unknown.Add(1)
		}
		return false
	}
	stamp := h.stamp()
	if !p.output.Relay(source, &stamp, span, now) {
		p.drops.Repeated.Add(1)
		return false
	}
	h.seq, h.timestamp, h.marker, h.ssrc = stamp.Seq, stamp.Time, stamp.Marker, p.output.SSRC
	return true
}
