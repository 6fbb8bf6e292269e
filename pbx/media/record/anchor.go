package record

import (
	"math"

	"github.com/dipcast/dipcast/pbx/media"
)

// Rate is the sampling rate of recordings, in Hz.
const Rate = 8000

// When a stream is moved to where it belongs, in samples.
const (
	// drift is how far a stream may be from the clock.
	drift = Rate * 40 / 1000
	// settle is how long packets must have been late by more than drift, all of
	// them, before their sender's clock is taken for slow.
	settle = Rate
	// behind is late beyond what the network does; soon is how long it must
	// last. Right after a pause it is told from a burst that the network held
	// back: behind that packets are in time again.
	behind = Rate * 250 / 1000
	soon   = Rate * 100 / 1000
	// pause is a gap after which lateness is measured anew: phones that send
	// nothing for a while go on with a timestamp as if no time had passed.
	pause = Rate * 200 / 1000
	// jump is how far a packet may be behind its timestamp: more is another
	// stream.
	jump = 5 * Rate
)

// anchor turns the RTP timestamps of one side into places in the recording,
// in samples from its beginning. The zero value waits for a stream.
type anchor struct {
	per   int64  // timestamp units per sample, 0 = no stream yet
	base  int64  // the place of the timestamp at which units began
	stamp uint32 // the last timestamp
	units int64  // from base's timestamp to it
	seen  int64  // when it arrived
	low   int64  // the least lateness
	since int64  // since when low is measured
}

// place says where the first sample of a packet belongs that came, by the
// clock, at the place arrived.
func (a *anchor) place(format media.Format, stamp uint32, arrived int64) int64 {
	if per := unitsPer(format); per != a.per {
		return a.restart(per, stamp, arrived)
	}
	a.units += int64(int32(stamp - a.stamp))
	a.stamp = stamp
	at := a.base + a.units/a.per
	late := arrived - at
	// Nothing comes before it was sent: what seems to was anchored too late,
	// or its sender's clock is fast.
	if late < -drift || late > jump {
		return a.restart(a.per, stamp, arrived)
	}
	if arrived-a.seen > pause {
		a.low, a.since = math.MaxInt64, arrived
	}
	a.seen = arrived
	a.low = min(a.low, late)
	lasted := arrived - a.since
	if lasted >= settle && a.low > drift || lasted >= soon && a.low > behind {
		a.base += a.low
		at += a.low
		lasted = settle
	}
	if lasted >= settle {
		a.low, a.since = math.MaxInt64, arrived
	}
	return at
}

func (a *anchor) restart(per int64, stamp uint32, arrived int64) int64 {
	*a = anchor{per: per, base: arrived, stamp: stamp, seen: arrived, low: math.MaxInt64, since: arrived}
	return arrived
}

// unitsPer is how many units of the format's RTP clock one of our samples
// lasts. G.722 is sampled at 16 kHz and counts at 8 (RFC 3551 §4.5.2).
func unitsPer(f media.Format) int64 {
	if f == media.FormatOpus {
		return 48000 / Rate
	}
	return 1
}
