package rtpio

import (
	"time"

	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// keys are the key presses that wait, and the one at work, which is the
// pacer's.
type keys struct {
	dtmf.Sender
	ts     uint32
	packet [headerSize + dtmf.Size + srtp.Overhead]byte
}

// SendDigit implements media.Port.
func (p *Port) SendDigit(digit rune, length time.Duration) bool {
	s := p.settings.Load()
	if s == nil || s.stream.DTMF == 0 || !s.stream.Direction.Sends() || p.closed.Load() || !p.keys.Press(digit, length) {
		return false
	}
	p.pool.pacer.add(p)
	return true
}

// paceKeys sends one frame's part of a press and reports whether it did.
func (p *Port) paceKeys(now int64) bool {
	k := &p.keys
	if !k.Take() {
		return false
	}
	if k.Resting() {
		return true
	}
	s, d := p.settings.Load(), p.dest.Load()
	if s.stream.DTMF == 0 || d == nil || !d.RTP.IsValid() {
		k.Drop() // a re-INVITE took the events away
		return true
	}
	if !p.output.ClaimOrEnded() {
		return true
	}
	defer p.output.Release()
	p.output.Rate(s.khz)
	e, first := k.Next(frameSpan)
	if first {
		k.ts = p.output.Begin(now)
	}
	h := stamped(&p.output, p.output.Event(k.ts, uint32(e.Duration), first, now))
	h.payloadType = s.stream.DTMF
	h.put(k.packet[:])
	e.Put(k.packet[headerSize:])
	p.send(k.packet[:headerSize+dtmf.Size], &d.To)
	return true
}
