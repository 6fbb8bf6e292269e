package rtpio

import (
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// frameTime is the length of a frame that we send ourselves.
const frameTime = 20 * time.Millisecond

// frameSpan is that length in timestamp units.
const frameSpan = codec.FrameSamples

// catchUp bounds how many frames one late tick sends at once.
const catchUp = 5

// housekeeping is how many ticks lie between two looks at silence and reports.
const housekeeping = 10

// remindEvery is how often silence that lasts is told again: whoever is told
// may have had a reason to bear it that has passed since.
const remindEvery = int64(5 * time.Second)

// playing is a source at work. Its buffers belong to the pacer.
type playing struct {
	source media.Source
	id     uint64
	// performed: a worker plays it, since the codec is costly.
	performed bool
	frame     [codec.FrameSamples]int16
	packet    [headerSize + codec.FrameSamples]byte
}

// pace is the pacer goroutine. The first frame is due at next.
func (p *Pool) pace(ticks <-chan time.Time, next int64) {
	defer p.wg.Done()
	var ports []*Port
	for count := 1; ; count++ {
		select {
		case <-p.done:
			return
		case <-ticks:
		}
		now, frames := p.clock(), 0
		// Half a frame of tolerance: a tick that comes a little early counts.
		for ; next <= now+int64(frameTime)/2 && frames < catchUp; frames++ {
			next += int64(frameTime)
		}
		if frames == catchUp {
			next = now + int64(frameTime)
		}
		ports = p.open(ports[:0])
		for _, port := range ports {
			port.pace(now, frames)
			if count%housekeeping == 0 {
				port.watch(now)
			}
		}
		clear(ports) // a closed port must not be kept alive
	}
}

// pace sends what this port has to send by itself.
func (p *Port) pace(now int64, frames int) {
	if p.lacks.Load() != nothing {
		p.askForConversion(now)
	}
	if p.playing.Load() == nil && !p.keying.Load() {
		return
	}
	for range frames {
		if !p.keying.Load() || !p.paceKeys(now) {
			p.playFrame(now)
		}
	}
}

// playFrame sends the next frame of the source. A source goes on while nothing
// may be sent, so that it ends when it should.
func (p *Port) playFrame(now int64) {
	pl, s, d := p.playing.Load(), p.settings.Load(), p.dest.Load()
	switch {
	case pl == nil || pl.performed:
		return
	case s != nil && voice.Rate(s.stream.Codec) > codec.ClockRate:
		p.perform(pl, s)
		return
	case !pl.source.Read(pl.frame[:]):
		p.played(pl)
		return
	}
	if s == nil || s.law == 0 || d == nil || !d.rtp.IsValid() || !s.stream.Direction.Sends() {
		return
	}
	if !p.output.claim() {
		p.drops.switched.Add(1)
		return
	}
	p.output.rate(s)
	h := p.output.own(pl.id, frameSpan, now)
	s.law.Encode(pl.packet[headerSize:], pl.frame[:])
	p.tap.Load().hear(media.Heard, tapped(s.law, ""), h.timestamp, now, pl.packet[headerSize:])
	p.output.release()
	h.payloadType = s.stream.Codec.PayloadType
	h.put(pl.packet[:])
	p.send(pl.packet[:], d.rtp)
}

// watch tells silence and sends the report that is due.
func (p *Port) watch(now int64) {
	s := p.settings.Load()
	if s == nil || p.closed.Load() {
		return
	}
	if now-s.at >= int64(time.Second) {
		p.receive()
	}
	since := max(p.intake.figures.last.Load(), s.at)
	if s.stream.Direction.Receives() && now-since >= int64(p.pool.silence) &&
		(!p.silent.Swap(true) || now-p.toldAt >= remindEvery) {
		p.toldAt = now
		if p.notices.Silent != nil {
			p.notices.Silent()
		}
	}
	if now >= p.control.due.Load() {
		p.report(now, false)
	}
}

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
	packet  [headerSize + dtmf.Size]byte
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
	span := units(int64(min(max(length, minPress), maxPress)), 0)
	p.keys.waiting = append(p.keys.waiting, press{code: code, span: span})
	p.keying.Store(true)
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
	if s.stream.DTMF == 0 || d == nil || !d.rtp.IsValid() {
		k.active = false // a re-INVITE took the events away
		return true
	}
	if !p.output.claim() {
		return true // the next frame takes its place
	}
	p.output.rate(s)
	first := k.elapsed == 0
	if first {
		k.ts = p.output.begin(now)
	}
	k.elapsed = min(k.elapsed+frameSpan, k.press.span)
	h := p.output.event(k.ts, k.elapsed, first, now)
	p.output.release()
	e := dtmf.Event{Code: k.press.code, Volume: volume, Duration: uint16(k.elapsed), End: k.elapsed >= k.press.span}
	if e.End {
		k.ends++
	}
	h.payloadType = s.stream.DTMF
	h.put(k.packet[:])
	e.Put(k.packet[headerSize:])
	p.send(k.packet[:], d.rtp)
	return true
}
