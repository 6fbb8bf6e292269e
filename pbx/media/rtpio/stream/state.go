package stream

import (
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

// How many packets a restored stream is put ahead of the guess, if nothing
// tells where it really is. A receiver takes packets that are missing; it
// refuses those that seem to come again.
const (
	margin = 25 // half a second
	// An encrypted stream must not send one number twice whatever the clocks of
	// two machines say: both packets would be sealed with the same key stream.
	// A receiver still takes it for the same stream (RFC 3550 Appendix A.1).
	sealedMargin = maxDropout - 500
)

// Save returns the stream as it is known now.
func (f *Figures) Save(now int64) media.Incoming {
	if f.Packets.Load() == 0 {
		return media.Incoming{}
	}
	return media.Incoming{
		SSRC: f.SSRC.Load(), Highest: f.Highest.Load(), Source: f.Source.Load(), Age: time.Duration(now - f.Last.Load()),
	}
}

// Save returns the stream as it stands; it takes the claim for it.
func (o *Out) Save(now int64) media.Outgoing {
	if o.ClaimOrEnded() {
		defer o.Release()
	}
	s := media.Outgoing{
		SSRC: o.SSRC, Highest: o.highest, Time: o.ts, Span: o.span, Started: o.started, Octets: o.Octets.Load(),
		Source: o.source, SeqAdd: o.seqAdd, TimeAdd: o.tsAdd,
	}
	if o.started {
		s.Age = time.Duration(now - o.at)
	}
	return s
}

// Restore goes on with a stream that was saved so long ago. The numbers of one
// that is sealed are not taken from what it relays: the mapping may be older
// than what was sent last.
func (o *Out) Restore(s *media.Outgoing, packets uint64, now int64, ago time.Duration, sealed bool) {
	o.SSRC, o.highest, o.ts, o.span, o.started = s.SSRC, s.Highest, s.Time, s.Span, s.Started
	o.source, o.seqAdd, o.tsAdd, o.count = s.Source, s.SeqAdd, s.TimeAdd, fresh
	o.at = now - int64(ago+s.Age)
	o.Packets.Store(packets)
	o.Octets.Store(s.Octets)
	if s.Started {
		o.guessed, o.known = true, s.Highest
		o.highest += since(ago, s.Span, o.khz) + margin
	}
	if sealed {
		o.source = 0
		o.highest += sealedMargin - margin
	}
}

// Restore goes on with a stream that was saved so long ago.
func (in *In) Restore(s *media.Incoming, q *pbx.Quality, khz uint32, now int64, ago time.Duration) {
	f := &in.Figures
	f.Packets.Store(q.PacketsIn)
	f.Lost.Store(q.LostIn)
	in.lost, in.jitter = q.LostIn, Units(int64(q.JitterIn), khz)<<4
	f.Jitter.Store(in.jitter >> 4)
	if s.Source == 0 {
		return
	}
	in.have, in.guessed, in.last = true, true, now-int64(ago+s.Age)
	in.ssrc, in.source, in.highest = s.SSRC, s.Source, s.Highest+since(ago+s.Age, 0, khz)
	f.SSRC.Store(in.ssrc)
	f.Source.Store(in.source)
	f.Highest.Store(in.highest)
	f.Last.Store(now)
}

// since is how many packets of so many timestamp units go by in a time. Longer
// ones than of 20 ms are taken for those: what has gone by must not be too few,
// and the packet of a key press covers all of it, but is not the only one.
func since(t time.Duration, span, khz uint32) uint32 {
	length := 20 * time.Millisecond
	if span > 0 {
		length = max(time.Millisecond, min(length, Duration(span, khz)))
	}
	return uint32(t / length)
}
