package g722

// Decoder turns octets into 16 kHz samples. NewDecoder makes one.
type Decoder struct {
	last history // sums and differences of the last samples of both bands
	low  band
	high band
}

// NewDecoder returns a decoder in the state that both sides begin with.
func NewDecoder() *Decoder {
	return &Decoder{low: band{det: 32}, high: band{det: 8}}
}

// Decode writes two samples for each octet and returns how many were written:
// as many as both slices allow. Every octet is a valid code.
func (d *Decoder) Decode(dst []int16, payload []byte) int {
	n := min(len(dst)/2, len(payload))
	for i, octet := range payload[:n] {
		dst[2*i], dst[2*i+1] = d.join(d.lowSample(int(octet&0x3F)), d.highSample(int(octet>>6)))
	}
	return 2 * n
}

// lowSample is the lower band's decoder: the sample takes all six bits, the
// prediction the upper four, so that it bears a lower rate (blocks INVQBL and
// INVQAL).
func (d *Decoder) lowSample(code int) int {
	sample := limit(d.low.s + d.low.det*outLow6[code]>>15)
	diff := d.low.det * outLow4[code>>2] >> 15
	d.low.scaleLow(code >> 2)
	d.low.predict(diff)
	return sample
}

func (d *Decoder) highSample(code int) int {
	diff := d.high.det * outHigh[code] >> 15
	sample := limit(d.high.s + diff)
	d.high.scaleHigh(code)
	d.high.predict(diff)
	return sample
}

// join is the receiving mirror filter: one sample of each band gives two.
func (d *Decoder) join(low, high int) (first, second int16) {
	x := d.last.push(int32(low+high), int32(low-high))
	a, b := int32(0), int32(0)
	for i := range mirror {
		a += x[2*i+1] * mirror[len(mirror)-1-i]
		b += x[2*i] * mirror[i]
	}
	return int16(saturate(int(a >> 11))), int16(saturate(int(b >> 11)))
}

// limit is the 15-bit limiter of a band's output (block LIMIT).
func limit(v int) int { return min(max(v, -1<<14), 1<<14-1) }
