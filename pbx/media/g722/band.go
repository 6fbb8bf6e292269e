package g722

import "math/bits"

// band is the predictor and the quantiser's scale of one of the two bands: the
// part that coder and decoder run alike (G.722 §3.6, §6.2). Signs are as good
// as random, so nothing branches by them.
type band struct {
	s  int // the prediction of the next sample
	sz int // its part from the zeros
	r  int // the last reconstructed sample, doubled
	p  [2]int
	a1 int // pole coefficients
	a2 int
	b  [6]int // zero coefficients
	d  [6]int // quantised differences, doubled, newest first

	nb  int // logarithm of the scale
	det int // scale
}

// The limits of the logarithmic scale (blocks LOGSCL and LOGSCH).
const (
	maxScaleLow  = 18432
	maxScaleHigh = 22528
)

// scaleLow adapts the lower band's scale to a code of four bits (blocks LOGSCL
// and SCALEL).
func (n *band) scaleLow(code int) {
	n.nb = min(max(n.nb*127>>7+logLow[levelLow[code]], 0), maxScaleLow)
	n.det = linearScale(n.nb, 8)
}

// scaleHigh adapts the upper band's scale (blocks LOGSCH and SCALEH).
func (n *band) scaleHigh(code int) {
	n.nb = min(max(n.nb*127>>7+logHigh[levelHigh[code]], 0), maxScaleHigh)
	n.det = linearScale(n.nb, 10)
}

func linearScale(nb, shift int) int {
	mantissa, down := inverseLog[nb>>6&31], shift-nb>>11
	if down < 0 {
		return mantissa << -down << 2
	}
	return mantissa >> down << 2
}

// predict takes the quantised difference of a sample and predicts the next
// one (block 4 of figures 2 and 3: RECONS to PREDIC).
func (n *band) predict(d int) {
	r, p := saturate(2*saturate(n.s+d)), saturate(n.sz+d)
	a2 := n.secondPole(p)
	a1 := n.firstPole(p, a2)
	poles := saturate(a1*r>>15 + a2*n.r>>15)
	n.a1, n.a2, n.r = a1, a2, r
	n.p[1], n.p[0] = n.p[0], p
	n.sz = n.zeros(saturate(2 * d))
	n.s = saturate(poles + n.sz)
}

// secondPole is block UPPOL2.
func (n *band) secondPole(p int) int {
	toward := min(flip(saturate(4*n.a1), ^differ(p, n.p[0])), 1<<15-1)
	step := flip(128, differ(p, n.p[1]))
	return min(max(toward>>7+step+n.a2*32512>>15, -12288), 12288)
}

// firstPole is block UPPOL1; the second pole bounds it.
func (n *band) firstPole(p, a2 int) int {
	step := flip(192, differ(p, n.p[0]))
	bound := saturate(15360 - a2)
	return min(max(saturate(step+n.a1*32640>>15), -bound), bound)
}

// zeros moves the zero coefficients (block UPZERO), takes a doubled difference
// in and returns the zeros' part of the next prediction (block FILTEZ). No
// coefficient can leave its 16 bits: at their ends it falls back by the step.
func (n *band) zeros(d int) int {
	step := 128
	if d == 0 {
		step = 0
	}
	sum, next := 0, d
	for i := range n.d {
		old := n.d[i]
		b := flip(step, differ(d, old)) + n.b[i]*32640>>15
		n.b[i], n.d[i] = b, next
		sum += b * next >> 15
		next = old
	}
	return saturate(sum)
}

// differ is -1 if the signs of the two differ, otherwise 0.
func differ(a, b int) int { return (a ^ b) >> (bits.UintSize - 1) }

// flip is -v where negative is -1, and v where it is 0.
func flip(v, negative int) int { return v ^ negative - negative }

// saturate keeps a value within a 16-bit register.
func saturate(v int) int { return min(max(v, -1<<15), 1<<15-1) }
