package rtpio

import (
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// The shape of a key press.
const (
	maxKeys    = 64 // that wait; a person cannot press more, a program must not
	endPackets = 3  // RFC 4733 §2.5.1.4
	pauseAfter = 3  // frames between two presses
	volume     = 10 // -10 dBm0
	minPress   = 40 * time.Millisecond
	maxPress   = 8 * time.Second // the duration field ends at 8.19 s
)

// keys are the presses that wait, and the one at work.
type keys struct {
	mu      sync.Mutex // not taken by relayed packets
	waiting []press

	// The pacer's alone:
	active  bool
	press   press
	ts      uint32
	elapsed uint32
	ends    int
	pause   int
	packet  [headerSize + dtmf.Size + srtp.Overhead]byte
}

type press struct {
	code uint8
	span uint32 // timestamp units
}

// SendDigit implements media.Port.
func (p *Port) SendDigit(digit rune, length time.Duration) bool {
	s := p.settings.Load()
	code, ok := dtmf.Code(digit)
	if s == nil || s.stream.DTMF == 0 || !s.stream.Direction.Sends() || !ok || p.closed.Load() {
		return false
	}
	p.keys.mu.Lock()
	defer p.keys.mu.Unlock()
	if len(p.keys.waiting) >= maxKeys {
		return false
	}
	span := stream.Units(int64(min(max(length, minPress), maxPress)), 0)
	p.keys.waiting = append(p.keys.waiting, press{code: code, span: span})
	p.keying.Store(true)
	p.pool.pacer.add(p)
	return true
}

// takeKey begins the next press, or ends keying.
func (p *Port) takeKey() bool {
	k := &p.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waiting) == 0 {
		p.keying.Store(false)
		return false
	}
	k.press, k.waiting = k.waiting[0], k.waiting[1:]
	k.active, k.elapsed, k.ends, k.pause = true, 0, 0, pauseAfter
	return true
}

// paceKeys sends one frame's part of a press and reports whether it did.
func (p *Port) paceKeys(now int64) bool {
	k := &p.keys
	if !k.active && !p.takeKey() {
		return false
	}
	if k.ends >= endPackets {
		if k.pause--; k.pause <= 0 {
			k.active = false
		}
		return true
	}
	s, d := p.settings.Load(), p.dest.Load()
	if s.stream.DTMF == 0 || d == nil || !d.RTP.IsValid() {
		k.active = false // a re-INVITE took the events away
		return true
	}
	if !p.output.ClaimOrEnded() {
		return true
	}
	p.output.Rate(s.khz)
	first := k.elapsed == 0
	if first {
		k.ts = p.output.Begin(now)
	}
	k.elapsed = min(k.elapsed+frameSpan, k.press.span)
	defer p.output.Release()
	h := stamped(&p.output, p.output.Event(k.ts, k.elapsed, first, now))
	e := dtmf.Event{Code: k.press.code, Volume: volume, Duration: uint16(k.elapsed), End: k.elapsed >= k.press.span}
	if e.End {
		k.ends++
	}
	h.payloadType = s.stream.DTMF
	h.put(k.packet[:])
	e.Put(k.packet[headerSize:])
	p.send(k.packet[:headerSize+dtmf.Size], &d.To)
	return true
}
