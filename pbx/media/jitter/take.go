package jitter

// Take returns what comes next: one whole packet, or up to `want` clock units
// of what is not there.
func (b *Buffer) Take(want uint32) Piece {
	switch {
	case !b.playing && !b.begin(want):
		return Piece{Kind: Idle, Span: want}
	case b.hold > 0:
		span := min(b.hold, want)
		b.hold -= span
		return Piece{Kind: Lost, Span: span}
	case b.n == 0:
		return b.starve(want)
	}
	b.waited = 0
	b.shorten(want)
	first := &b.queue[0]
	if before(b.play, first.Timestamp) {
		return b.gap(first, want)
	}
	p := b.shift()
	b.play, b.seq = p.Timestamp+p.Span, p.Seq
	b.counts.Played++
	return Piece{Kind: Audio, Span: p.Span, Tag: p.Tag, Payload: p.Payload}
}

// begin waits until the delay is built up: until so much lies here, or the
// first packet has waited for so long.
func (b *Buffer) begin(want uint32) bool {
	if b.n == 0 {
		return false
	}
	if b.Delay() < b.min && b.waited < b.min {
		b.waited += want
		return false
	}
	b.playing, b.waited = true, 0
	b.play, b.seq = b.queue[0].Timestamp, b.queue[0].Seq-1
	b.rewatch()
	return true
}

// starve is the time while nothing is here: it stands still, unless the delay
// is fixed. After a while the stream is over, and begins anew.
func (b *Buffer) starve(want uint32) Piece {
	b.waited += want
	if b.fixed {
		b.play += want
	}
	if b.waited > b.quiet {
		b.playing, b.waited = false, 0
		return Piece{Kind: Idle, Span: want}
	}
	b.rewatch()
	if b.waited == want {
		b.counts.Lost++
	}
	return Piece{Kind: Lost, Span: want}
}

// gap is what lies between now and the first packet.
func (b *Buffer) gap(first *Packet, want uint32) Piece {
	span := min(want, first.Timestamp-b.play)
	b.play += span
	if first.Seq == b.seq+1 {
		return Piece{Kind: Pause, Span: span}
	}
	b.counts.Lost++
	return Piece{Kind: Lost, Span: span}
}

// shorten leaves a packet out when more than the least delay and a packet have
// lain here all the time.
func (b *Buffer) shorten(want uint32) {
	if b.fixed {
		return
	}
	b.spare = min(b.spare, b.Delay())
	if b.watched += want; b.watched < b.watch {
		return
	}
	if span := b.queue[0].Span; b.n > 1 && b.spare > b.min+span {
		b.skip()
	}
	b.rewatch()
}

func (b *Buffer) rewatch() { b.spare, b.watched = ^uint32(0), 0 }
