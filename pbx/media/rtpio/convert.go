package rtpio

import (
	"log/slog"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/convert"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// keyPause is how long a converted stream is silent after a packet of a key
// press: between two packets of one event its audio would tear it into two.
const keyPause = int64(100 * time.Millisecond)

// What a port lacks a conversion for.
const (
	nothing   uint32 = iota
	ofLaws           // G.711, which a peer may send whatever was settled
	ofSettled        // the settled codec
)

// askEvery is how long a conversion that was asked for may take to be made.
const askEvery = int64(100 * time.Millisecond)

// conversion is the way of a port's audio to one that takes another codec. The
// goroutine that reads the socket only fills its line; a worker of the pool's
// crew makes it, runs it and sends what comes of it.
type conversion struct {
	from, to *Port
	in, out  media.Codec
	laws     bool // in is G.711 of either law
	line     *convert.Line
	source   uint64 // names it towards the output; anew after each pause
	talks    bool
	packet   [headerSize + 400]byte
}

// fits reports whether the conversion is the one that the packet needs.
func (c *conversion) fits(q *Port, f format, in, out media.Codec) bool {
	return c != nil && c.to == q && c.out == out && (c.laws && f.law != 0 || c.in == in && f.law == 0)
}

// convert takes a packet that q cannot be sent as it is, and reports whether it
// was one. Until the conversion is made its packets are lost: a worker makes it
// within two ticks.
func (p *Port) convert(q *Port, s *settings, f format, h *header, payload []byte) bool {
	out := q.settings.Load()
	if out == nil || out.takes(f) {
		return false
	}
	if c := p.conversion.Load(); c.fits(q, f, s.stream.Codec, out.stream.Codec) {
		c.line.Put(&voice.Packet{Source: p.intake.Source(), Law: f.law, Seq: h.seq, Timestamp: h.timestamp, Payload: payload})
		return true
	}
	if f.law != 0 {
		p.lacks.Store(ofLaws)
	} else {
		p.lacks.Store(ofSettled)
	}
	p.pool.pacer.add(p)
	return false
}

// askForConversion gives the crew the job of making the conversion that the
// last packet lacked. It is the pacer's.
func (p *Port) askForConversion(now int64) {
	lacks := p.lacks.Swap(nothing)
	s, q := p.settings.Load(), p.target.Load()
	if s == nil || q == nil || p.closed.Load() || now-p.lackedAt < askEvery {
		return
	}
	c := &conversion{from: p, to: q, in: s.stream.Codec, laws: lacks == ofLaws}
	if c.laws && s.law == 0 {
		c.in = codec.ALaw.Codec()
	}
	if out := q.settings.Load(); out != nil {
		c.out = out.stream.Codec
	}
	if voice.Rate(c.in) != 0 && voice.Rate(c.out) != 0 {
		p.lackedAt = now
		p.pool.crew.Add(c)
	}
}

// Run implements convert.Job: one frame.
func (c *conversion) Run() bool {
	if c.line == nil {
		line, err := convert.NewLine(c.in, c.out)
		if err != nil {
			c.from.pool.log.Error("audio of a call cannot be converted; one side hears nothing",
				slog.String("from", c.in.Name), slog.String("to", c.out.Name), slog.Any("error", err))
			return false
		}
		c.line = line
		c.from.conversion.Store(c)
		return true
	}
	if !c.wanted() {
		c.from.conversion.CompareAndSwap(c, nil)
		return false
	}
	payload := c.line.Frame()
	if payload == nil {
		c.talks = false
		return true
	}
	if !c.talks {
		c.talks, c.source = true, c.from.pool.nextSource()
	}
	c.to.emit(c.source, c.packet[:headerSize+copy(c.packet[headerSize:], payload)], c.line.Span())
	return true
}

// wanted reports whether both ends still are what the conversion was made for.
func (c *conversion) wanted() bool {
	in, out := c.from.settings.Load(), c.to.settings.Load()
	return c.from.conversion.Load() == c && c.from.target.Load() == c.to && c.to.hears(c.from) &&
		!c.from.closed.Load() && !c.to.closed.Load() && out.stream.Codec == c.out && (c.laws || in.stream.Codec == c.in)
}

// emit sends a packet that was made for this port's codec; b begins with room
// for the header. It gives way to key presses and to what is played.
func (p *Port) emit(source uint64, b []byte, span uint32) {
	if p.playing.Load() == nil {
		p.put(source, b, span)
	}
}

// put sends the packet unless keys are being pressed.
func (p *Port) put(source uint64, b []byte, span uint32) {
	s, d, now := p.settings.Load(), p.dest.Load(), p.pool.clock()
	if s == nil || d == nil || !d.RTP.IsValid() || p.keys.Busy() {
		return
	}
	if !s.stream.Direction.Sends() {
		p.pause()
		return
	}
	if !p.output.ClaimOrEnded() {
		return
	}
	defer p.output.Release()
	if now < p.output.KeysTil {
		return
	}
	p.output.Rate(s.khz)
	h := stamped(&p.output, p.output.Own(source, span, now))
	p.tap.Load().hear(media.Heard, codec.Format(s.law, s.stream.Codec.Name), h.timestamp, now, b[headerSize:])
	h.payloadType = s.stream.Codec.PayloadType
	h.put(b)
	p.send(b, &d.To)
}

// performance plays a source to a port whose codec is costly. It is a job of
// the crew.
type performance struct {
	port   *Port
	pl     *playing
	codec  media.Codec
	player *convert.Player
	packet [headerSize + 400]byte
}

// perform hands a source over to the crew, once; the pacer plays it no more.
func (p *Port) perform(pl *playing, s *settings) {
	if !pl.performed {
		pl.performed = p.pool.crew.Add(&performance{port: p, pl: pl, codec: s.stream.Codec})
	}
}

// Run implements convert.Job: one frame.
func (f *performance) Run() bool {
	p := f.port
	if p.playing.Load() != f.pl {
		return false
	}
	if f.player == nil || p.settings.Load().stream.Codec != f.codec {
		f.codec = p.settings.Load().stream.Codec
		player, err := convert.NewPlayer(f.pl.source, f.codec)
		if err != nil {
			p.pool.log.Error("a sound cannot be played", slog.String("codec", f.codec.Name), slog.Any("error", err))
			return false
		}
		f.player = player
	}
	payload, more := f.player.Frame()
	if !more {
		p.played(f.pl)
		return false
	}
	if payload != nil {
		p.put(f.pl.id, f.packet[:headerSize+copy(f.packet[headerSize:], payload)], f.player.Span())
	}
	return true
}

// played tells that a source came to its end, if it is still the one that plays.
func (p *Port) played(pl *playing) {
	if p.playing.CompareAndSwap(pl, nil) && p.notices.Played != nil {
		p.notices.Played()
	}
}
