package pbx

import (
	"math"
	"strings"
	"time"
)

// The transmission rating of ITU-T G.107 (E-model) with its default values:
// what it leaves when nothing is impaired, and the share of it that packet loss
// can take.
const (
	ratingDefault = 93.2
	ratingSpeech  = 95
)

// impairment is what ITU-T G.113 Appendix I says of a codec: its equipment
// impairment factor Ie and its packet-loss robustness factor Bpl.
type impairment struct{ ie, bpl float64 }

// impairmentOf returns the figures of a codec, by its name in SDP. G.711 counts
// with the concealment of G.711 Appendix I, as phones have it. Codecs that
// G.113 has no narrow-band figures for (G.722, Opus) count as G.711: they sound
// no worse.
func impairmentOf(codec string) impairment {
	switch strings.ToUpper(codec) {
	case "G729":
		return impairment{ie: 11, bpl: 19} // G.729A with VAD
	case "G723":
		return impairment{ie: 15, bpl: 16.1} // 6.3 kbit/s with VAD
	case "GSM-EFR":
		return impairment{ie: 5, bpl: 10}
	}
	return impairment{ie: 0, bpl: 25.1}
}

// MOS estimates how people would rate what they hear, 1 (bad) to 4.41
// (excellent), for a codec by its name in SDP, a share of packets lost at random
// (0..1) and a delay from mouth to ear. It is the E-model of ITU-T G.107 without
// echo, with packet loss by §7.5 and the scale of Annex B.
func MOS(codec string, loss float64, delay time.Duration) float64 {
	return opinion(ratingDefault - impairedByDelay(delay) - impairedByLoss(codec, loss))
}

// impairedByLoss is Ie,eff of G.107 §7.5 for random loss.
func impairedByLoss(codec string, loss float64) float64 {
	i, percent := impairmentOf(codec), 100*min(1, max(0, loss))
	return i.ie + (ratingSpeech-i.ie)*percent/(percent+i.bpl)
}

// impairedByDelay is Idd of G.107 §7.4: what too long a delay takes.
func impairedByDelay(delay time.Duration) float64 {
	ms := delay.Seconds() * 1000
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	sixth := func(v float64) float64 { return math.Pow(1+math.Pow(v, 6), 1./6) }
	return 25 * (sixth(x) - 3*sixth(x/3) + 2)
}

// opinion turns a rating into a mean opinion score (G.107 Annex B).
func opinion(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	default:
		return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
	}
}

// packetTime is what a packet of speech waits for before it can be sent.
const packetTime = 20 * time.Millisecond

// Rated returns the quality with the estimates of both directions, in steps of
// a hundredth. Each is about this leg alone: the delay is half of the round trip,
// one packet, and a jitter buffer of twice the jitter. A direction without packets
// has none.
func (q Quality) Rated() Quality {
	rate := func(packets, lost, expected uint64, jitter time.Duration) float64 {
		if packets == 0 {
			return 0
		}
		mos := MOS(q.Codec, float64(lost)/float64(expected), q.RoundTrip/2+packetTime+2*jitter)
		return math.Round(mos*100) / 100
	}
	q.MOSIn = rate(q.PacketsIn, q.LostIn, q.PacketsIn+q.LostIn, q.JitterIn)
	q.MOSOut = rate(q.PacketsOut, q.LostOut, q.PacketsOut, q.JitterOut)
	return q
}
