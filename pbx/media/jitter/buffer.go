package jitter

import "time"

// slots is how many packets wait at most: more than a second of 20 ms.
const slots = 64

// The bounds of the delay that a Config without any gets.
const (
	Shortest = 40 * time.Millisecond
	Longest  = 200 * time.Millisecond
)

const (
	anew  = 2 * time.Second        // a timestamp further away than this is another time base
	quiet = 100 * time.Millisecond // after so long without a packet the delay is built up anew
	watch = 2 * time.Second        // so long must too much lie there until it is less
)

// Config says how long packets wait.
type Config struct {
	// Clock is the RTP clock in Hz.
	Clock int
	// Min is the delay that a stream begins with, Max the most that it grows
	// to. 0 = Shortest, Longest.
	Min, Max time.Duration
	// Fixed keeps the delay at Min.
	Fixed bool
}

// Packet is one packet of the stream.
type Packet struct {
	Seq       uint16
	Timestamp uint32
	Span      uint32 // how much audio is in it, in clock units; 0 is not taken
	Tag       uint8  // comes out as it was put
	Payload   []byte
}

// Kind is what a piece of the stream is.
type Kind uint8

const (
	// Idle says: nothing to play yet, or no longer.
	Idle Kind = iota
	// Audio is a packet.
	Audio
	// Lost is something was said that did not come.
	Lost
	// Pause says: the sender said nothing.
	Pause
)

// Piece is the next part of the stream.
type Piece struct {
	Kind    Kind
	Span    uint32 // in clock units
	Tag     uint8  // of Audio
	Payload []byte // of Audio; valid until the next call
}

// Counts are what a buffer did with the packets that came.
type Counts struct {
	Played   uint64
	Late     uint64 // came after their time
	Repeated uint64
	Skipped  uint64 // left out to shorten the delay, or too many
	Lost     uint64 // gaps that were told
}

// Buffer is the jitter buffer of one stream. New makes one.
type Buffer struct {
	min, max, anew, quiet, watch uint32 // in clock units
	fixed                        bool

	queue [slots]Packet // by timestamp; behind n lie buffers for reuse
	n     int

	playing bool
	play    uint32 // the timestamp that is due
	seq     uint16 // of the last packet that was played
	waited  uint32 // since the first packet came, or since the last one
	hold    uint32 // how much longer time stands still for packets that come late
	spare   uint32 // the least that lay there in this watch
	watched uint32

	counts Counts
}

// New returns an empty buffer.
func New(cfg Config) *Buffer {
	if cfg.Min == 0 {
		cfg.Min = Shortest
	}
	if cfg.Max == 0 {
		cfg.Max = Longest
	}
	units := func(d time.Duration) uint32 { return uint32(d * time.Duration(cfg.Clock) / time.Second) }
	b := &Buffer{min: units(cfg.Min), max: units(max(cfg.Min, cfg.Max)), fixed: cfg.Fixed}
	b.anew, b.quiet, b.watch = units(anew), units(quiet), units(watch)
	b.Reset()
	return b
}

// Reset forgets the stream, for one that begins anew.
func (b *Buffer) Reset() {
	b.n, b.playing, b.waited, b.hold = 0, false, 0, 0
	b.rewatch()
}

// Counts returns the counts so far.
func (b *Buffer) Counts() Counts { return b.counts }

// Delay returns how much lies in the buffer, in clock units.
func (b *Buffer) Delay() uint32 {
	if b.n == 0 {
		return 0
	}
	from := b.queue[0].Timestamp
	if b.playing {
		from = b.play
	}
	return b.end() - from
}

// end is the timestamp behind the last packet.
func (b *Buffer) end() uint32 { return b.queue[b.n-1].Timestamp + b.queue[b.n-1].Span }

// Put takes one packet, whose payload it copies.
func (b *Buffer) Put(p Packet) {
	if p.Span == 0 {
		return
	}
	if b.far(p.Timestamp) {
		b.Reset()
	}
	if b.playing && before(p.Timestamp, b.play) {
		b.counts.Late++
		if late := b.play - p.Timestamp; !b.fixed && b.Delay()+late <= b.max {
			b.hold = max(b.hold, min(late, p.Span))
		}
		return
	}
	at := b.n
	for at > 0 && before(p.Timestamp, b.queue[at-1].Timestamp) {
		at--
	}
	if at > 0 && b.queue[at-1].Timestamp == p.Timestamp {
		b.counts.Repeated++
		return
	}
	b.insert(at, p)
	b.bound()
}

// far reports whether a timestamp cannot belong to what lies here.
func (b *Buffer) far(timestamp uint32) bool {
	from := b.play
	if !b.playing {
		if b.n == 0 {
			return false
		}
		from = b.queue[0].Timestamp
	}
	step := int32(timestamp - from)
	return step > int32(b.anew) || step < -int32(b.anew)
}

func (b *Buffer) insert(at int, p Packet) {
	if b.n == slots {
		b.drop()
		at = max(0, at-1)
	}
	spare := b.queue[b.n].Payload
	copy(b.queue[at+1:b.n+1], b.queue[at:b.n])
	p.Payload = append(spare[:0], p.Payload...)
	b.queue[at] = p
	b.n++
}

// bound leaves the oldest out while more lies here than may.
func (b *Buffer) bound() {
	for b.n > 1 && b.playing && b.Delay() > b.max+b.queue[0].Span {
		b.skip()
	}
}

// skip leaves the oldest packet out.
func (b *Buffer) skip() {
	b.play = b.queue[0].Timestamp + b.queue[0].Span
	b.seq = b.queue[0].Seq
	b.drop()
}

func (b *Buffer) drop() {
	b.shift()
	b.counts.Skipped++
}

// shift takes the oldest packet out; its payload stays until the next Put.
func (b *Buffer) shift() Packet {
	first := b.queue[0]
	copy(b.queue[:b.n], b.queue[1:b.n])
	b.n--
	b.queue[b.n] = first
	return first
}

// before compares timestamps that may wrap round.
func before(a, b uint32) bool { return int32(a-b) < 0 }
