package g722

// band is the predictor and the quantiser's scale of one of the two bands: the
// part that coder and decoder run alike (G.722 §3.6, §6.2).
type band struct {
	s  int // the prediction of the next sample
	sz int // its part from the zeros
	r  [3]int
	p  [3]int
	a  [3]int // pole coefficients; [0] is not used
	b  [7]int // zero coefficients; [0] is not used
	d  [7]int // quantised differences, newest first

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
	r, p := saturate(n.s+d), saturate(n.sz+d)
	n.d[0] = d
	a2 := n.secondPole(p)
	a1 := n.firstPole(p, a2)
	n.zeros()
	n.r[2], n.r[1] = n.r[1], r
	n.p[2], n.p[1] = n.p[1], p
	n.a[1], n.a[2] = a1, a2

	poles := saturate(a1*saturate(2*n.r[1])>>15 + a2*saturate(2*n.r[2])>>15)
	n.sz = 0
	for i := 6; i > 0; i-- {
		n.d[i] = n.d[i-1]
		n.sz += n.b[i] * saturate(2*n.d[i]) >> 15
	}
	n.sz = saturate(n.sz)
	n.s = saturate(poles + n.sz)
}

// secondPole is block UPPOL2.
func (n *band) secondPole(p int) int {
	toward := saturate(4 * n.a[1])
	if sameSign(p, n.p[1]) {
		toward = saturate(-toward)
	}
	step := -128
	if sameSign(p, n.p[2]) {
		step = 128
	}
	return min(max(toward>>7+step+n.a[2]*32512>>15, -12288), 12288)
}

// firstPole is block UPPOL1; the second pole bounds it.
func (n *band) firstPole(p, a2 int) int {
	step := -192
	if sameSign(p, n.p[1]) {
		step = 192
	}
	bound := saturate(15360 - a2)
	return min(max(saturate(step+n.a[1]*32640>>15), -bound), bound)
}

// zeros is block UPZERO.
func (n *band) zeros() {
	step := 128
	if n.d[0] == 0 {
		step = 0
	}
	for i := 1; i <= 6; i++ {
		move := -step
		if sameSign(n.d[0], n.d[i]) {
			move = step
		}
		n.b[i] = saturate(move + n.b[i]*32640>>15)
	}
}

func sameSign(a, b int) bool { return a^b >= 0 }

// saturate keeps a value within a 16-bit register.
func saturate(v int) int { return min(max(v, -1<<15), 1<<15-1) }
