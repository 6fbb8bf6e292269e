package rtpio

import (
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio/learn"
	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
	"github.com/dipcast/dipcast/pbx/media/srtp"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// frameTime is the length of a frame that we send ourselves.
const frameTime = 20 * time.Millisecond

// frameSpan is that length in timestamp units.
const frameSpan = codec.FrameSamples

// catchUp bounds how many frames one late tick sends at once.
const catchUp = 5

// watchEvery is the time between two looks at silence and reports.
const watchEvery = 200 * time.Millisecond

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
	packet    [headerSize + codec.FrameSamples + srtp.Overhead]byte
}

// pacer is the goroutine that sends what no packet drives, and its list of the
// ports that have such. It ticks each frame while something plays or is being
// keyed, a few times a second while there are ports, and not at all without.
type pacer struct {
	done     chan struct{}
	ticks    <-chan time.Time
	ticker   *time.Ticker  // nil if the ticks were handed in
	woken    chan struct{} // nil likewise
	period   time.Duration // of the ticker, 0 = it is stopped
	lateness poll.Meter

	mu   sync.Mutex
	list []*Port
}

func (c *pacer) init(ticks <-chan time.Time) {
	c.done, c.ticks = make(chan struct{}), ticks
	if ticks == nil {
		c.ticker, c.woken = time.NewTicker(time.Hour), make(chan struct{}, 1)
		c.ticker.Stop()
		c.ticks = c.ticker.C
	}
}

// stop ends the goroutine, once.
func (c *pacer) stop() {
	close(c.done)
	if c.ticker != nil {
		c.ticker.Stop()
	}
}

// stir lets the pacer look at once whether there is something to do.
func (c *pacer) stir() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// add puts a port into the list.
func (c *pacer) add(p *Port) {
	if p.paced.Swap(true) {
		return
	}
	c.mu.Lock()
	c.list = append(c.list, p)
	c.mu.Unlock()
	c.stir()
}

// busy appends the ports of the list that have something to send, and forgets
// the others.
func (c *pacer) busy(ports []*Port) []*Port {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.list {
		p.paced.Store(false) // before the look, so that who begins now comes into the list again
		if p.busy() && !p.closed.Load() && !p.paced.Swap(true) {
			ports = append(ports, p)
		}
	}
	clear(c.list)
	c.list = append(c.list[:0], ports...)
	return ports
}

// busy reports whether the pacer has something to do for the port.
func (p *Port) busy() bool {
	return p.playing.Load() != nil || p.keys.Busy() || p.lacks.Load() != nothing
}

// beat sets the time between two ticks.
func (c *pacer) beat(d time.Duration) {
	switch {
	case c.ticker == nil || d == c.period:
	case d == 0:
		c.ticker.Stop()
	default:
		c.ticker.Reset(d)
	}
	c.period = d
}

// pace is the pacer's goroutine, which begins at start.
func (p *Pool) pace(start int64) {
	c := &p.pacer
	next, watched, ticked := start+int64(frameTime), start, int64(0)
	var ports []*Port
	for idle := true; ; {
		tick := true
		select {
		case <-c.done:
			return
		case <-c.ticks:
		case <-c.woken:
			tick = false
		}
		now, frames := p.clock(), 0
		if tick && ticked != 0 {
			c.lateness.Note(now, max(0, now-ticked-int64(c.period)))
		}
		if ports = c.busy(ports[:0]); len(ports) > 0 && idle && c.ticker != nil { // it slept
			next = now
		}
		idle = len(ports) == 0
		// Half a frame of tolerance: a tick that comes a little early counts.
		for ; next <= now+int64(frameTime)/2 && frames < catchUp; frames++ {
			next += int64(frameTime)
		}
		if frames == catchUp {
			next = now + int64(frameTime)
		}
		for _, port := range ports {
			port.pace(now, frames)
		}
		if now-watched >= int64(watchEvery) {
			watched = now
			ports = p.open(ports[:0])
			for _, port := range ports {
				port.watch(now)
			}
			p.tidy(now)
		}
		period := p.period(idle)
		if ticked = now; period != c.period {
			ticked = 0
		}
		c.beat(period)
		clear(ports[:cap(ports)]) // a closed port must not be kept alive
	}
}

// period is how often the pacer has to look.
func (p *Pool) period(idle bool) time.Duration {
	switch {
	case !idle:
		return frameTime
	case p.watches():
		return watchEvery
	}
	return 0
}

// pace sends what this port has to send by itself.
func (p *Port) pace(now int64, frames int) {
	if p.lacks.Load() != nothing {
		p.askForConversion(now)
	}
	if p.playing.Load() == nil && !p.keys.Busy() {
		return
	}
	for range frames {
		if !p.keys.Busy() || !p.paceKeys(now) {
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
	if s == nil || s.law == 0 || d == nil || !d.RTP.IsValid() || !s.stream.Direction.Sends() {
		return
	}
	if !p.output.ClaimOrEnded() {
		return
	}
	defer p.output.Release()
	p.output.Rate(s.khz)
	h := stamped(&p.output, p.output.Own(pl.id, frameSpan, now))
	b := pl.packet[:headerSize+codec.FrameSamples]
	s.law.Encode(b[headerSize:], pl.frame[:])
	p.tap.Load().hear(media.Heard, codec.Format(s.law, ""), h.timestamp, now, b[headerSize:])
	h.payloadType = s.stream.Codec.PayloadType
	h.put(b)
	p.send(b, &d.To)
}

// watch tells silence and sends the report that is due.
func (p *Port) watch(now int64) {
	s := p.settings.Load()
	if s == nil || p.closed.Load() {
		return
	}
	if now-s.at >= int64(time.Second) {
		p.mu.Lock()
		p.receive() // whoever restored it has told nothing
		p.mu.Unlock()
	}
	last := p.intake.Figures.Last.Load()
	if now-last >= int64(learn.Quiet) && p.rtp.Connected() {
		p.poller.Do(p.loose)
	}
	since := max(last, s.at)
	if s.stream.Direction.Receives() && now-since >= int64(p.pool.silence) &&
		(!p.silent.Swap(true) || now-p.toldAt >= remindEvery) {
		p.toldAt = now
		if p.notices.Silent != nil {
			p.notices.Silent()
		}
	}
	p.consent(s, now)
	if now >= p.control.due.Load() {
		p.report(now, false)
	}
}
