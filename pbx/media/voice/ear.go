package voice

import (
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/jitter"
	"github.com/dipcast/dipcast/pbx/media/opus"
)

// Settings say how long an ear lets packets wait.
type Settings struct {
	// Min and Max bound the delay; 0 = the defaults of package jitter.
	Min, Max time.Duration
	// Fixed is for modems: the delay stays, and what is lost is silence.
	Fixed bool
}

// Ear decodes one stream. NewEar makes one.
type Ear struct {
	inbox   inbox
	buffer  *jitter.Buffer
	decoder decoder
	rate    int
	perUnit int // clock units for one sample, if more than one
	perHz   int // samples for one clock unit, if more than one
	fixed   bool
	source  uint64

	fifo  [opus.MaxSamples + opus.SampleRate/50]int16
	have  int
	fade  fade
	spoil uint64 // payloads that the decoder did not take
}

// NewEar returns an ear for a codec. The error is of a codec that is not known.
func NewEar(c media.Codec, s Settings) (*Ear, error) {
	d, err := newDecoder(c)
	if err != nil {
		return nil, err
	}
	e := &Ear{decoder: d, rate: Rate(c), fixed: s.Fixed, perUnit: 1, perHz: 1}
	if c.ClockRate > e.rate {
		e.perUnit = c.ClockRate / e.rate
	} else {
		e.perHz = e.rate / c.ClockRate
	}
	e.buffer = jitter.New(jitter.Config{Clock: c.ClockRate, Min: s.Min, Max: s.Max, Fixed: s.Fixed})
	return e, nil
}

// Rate returns the rate of what is heard, in Hz.
func (e *Ear) Rate() int { return e.rate }

// Put takes a packet, whose payload it copies. It may be called while Hear
// runs, but only by one goroutine at a time. It reports false when packets
// come faster than they are heard.
func (e *Ear) Put(p *Packet) bool { return e.inbox.put(p) }

// Counts returns what became of the packets. Only the owner may call it.
func (e *Ear) Counts() jitter.Counts { return e.buffer.Counts() }

// Hear writes the next frame, Rate()/50 samples, and reports false when there
// is nobody to be heard: the frame is silence then.
func (e *Ear) Hear(frame []int16) bool {
	e.inbox.take(e.file)
	heard := e.have > 0
	for e.have < len(frame) {
		if e.next(len(frame) - e.have) {
			heard = true
		}
	}
	copy(frame, e.fifo[:len(frame)])
	e.have = copy(e.fifo[:], e.fifo[len(frame):e.have])
	return heard
}

func (e *Ear) file(p *Packet) {
	if p.Source != e.source {
		e.source = p.Source
		e.buffer.Reset()
	}
	e.buffer.Put(jitter.Packet{
		Seq: p.Seq, Timestamp: p.Timestamp, Span: e.decoder.span(p.Payload), Tag: uint8(p.Law), Payload: p.Payload,
	})
}

// next brings the next piece of the stream into the fifo and reports whether
// anything is heard of the peer. At least one sample comes of it.
func (e *Ear) next(missing int) bool {
	piece := e.buffer.Take(e.units(missing))
	room := e.fifo[e.have:]
	n := max(min(e.samples(piece.Span), len(room)), 1)
	switch piece.Kind {
	case jitter.Audio:
		if got := e.decoder.decode(room, codec.Law(piece.Tag), piece.Payload); got > 0 {
			e.fade.heard(room[:got])
			e.have += got
			return true
		}
		e.spoil++
		clear(room[:n])
	case jitter.Lost:
		n = e.conceal(room[:n])
	default:
		clear(room[:n])
		e.fade.stop()
	}
	e.have += n
	return piece.Kind != jitter.Idle
}

// conceal fills in for lost audio.
func (e *Ear) conceal(room []int16) int {
	if e.fixed {
		clear(room)
		return len(room)
	}
	if n := e.decoder.conceal(room); n > 0 {
		return n
	}
	e.fade.fill(room)
	return len(room)
}

func (e *Ear) units(samples int) uint32 {
	return uint32(max(samples*e.perUnit/e.perHz, 1))
}

func (e *Ear) samples(units uint32) int { return int(units) / e.perUnit * e.perHz }
