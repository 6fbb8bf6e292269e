package g722

// Encoder turns 16 kHz samples into octets. NewEncoder makes one.
type Encoder struct {
	last history // the last samples
	low  band
	high band
}

// NewEncoder returns an encoder in the state that both sides begin with.
func NewEncoder() *Encoder {
	return &Encoder{low: band{det: 32}, high: band{det: 8}}
}

// Encode writes one octet for each two samples and returns how many were
// written: as many as both slices allow.
func (e *Encoder) Encode(dst []byte, samples []int16) int {
	n := min(len(dst), len(samples)/2)
	for i := range n {
		low, high := e.split(int(samples[2*i]), int(samples[2*i+1]))
		dst[i] = byte(e.codeHigh(high)<<6 | e.codeLow(low))
	}
	return n
}

// split is the transmitting mirror filter: two samples give one of each band.
func (e *Encoder) split(first, second int) (low, high int) {
	x := e.last.push(int32(first), int32(second))
	even, odd := int32(0), int32(0)
	for i := range mirror {
		odd += x[2*i] * mirror[i]
		even += x[2*i+1] * mirror[len(mirror)-1-i]
	}
	return int(even+odd) >> 14, int(even-odd) >> 14
}

// codeLow quantises one sample of the lower band with six bits (blocks SUBTRA
// and QUANTL). The difference reaches a decision level if it is not below level
// × det / 4096, rounded down: one division tells of all of them.
func (e *Encoder) codeLow(x int) int {
	diff := saturate(x - e.low.s)
	reached := (uint32(magnitude(diff)+1)<<12 - 1) / uint32(e.low.det)
	code := int(codesLow[differ(diff, 0)&1][min(reached, highestLow)])
	d := e.low.det * outLow4[code>>2] >> 15
	e.low.scaleLow(code >> 2)
	e.low.predict(d)
	return code
}

// codeHigh quantises one sample of the upper band with two bits (blocks SUBTRA
// and QUANTH).
func (e *Encoder) codeHigh(x int) int {
	diff := saturate(x - e.high.s)
	code := 2 + 2*differ(diff, 0) - differ(magnitude(diff)-564*e.high.det>>12, 0)
	d := e.high.det * outHigh[code] >> 15
	e.high.scaleHigh(code)
	e.high.predict(d)
	return code
}

// magnitude is the absolute value in ones' complement, as the quantisers want it.
func magnitude(v int) int { return v ^ differ(v, 0) }
