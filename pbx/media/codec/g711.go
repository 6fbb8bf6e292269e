package codec

import "math/bits"

// Table maps each octet of one law to the octet of the other.
type Table [256]byte

// The tables below are written here and only read afterwards.
var (
	ulawLinear = linearTable(expandULaw)
	alawLinear = linearTable(expandALaw)
	ulawToALaw = pairTable(&valueULawToALaw, 0xFF, 0xD5, 1)
	alawToULaw = pairTable(&valueALawToULaw, 0xD5, 0xFF, 0)
)

// valueULawToALaw is Table 3/G.711: the A-law decoder output value number
// (1..128) for each µ-law decoder output value number (0..127).
var valueULawToALaw = [128]uint8{
	1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8,
	9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
	25, 27, 29, 31, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44,
	46, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
	64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79,
	81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96,
	97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
	113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128,
}

// valueALawToULaw is Table 4/G.711: the µ-law decoder output value number
// (0..127) for each A-law decoder output value number (1..128).
var valueALawToULaw = [128]uint8{
	1, 3, 5, 7, 9, 11, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23,
	24, 25, 26, 27, 28, 29, 30, 31, 32, 32, 33, 33, 34, 34, 35, 35,
	36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 48, 49, 49,
	50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 64,
	65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 79,
	80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95,
	96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111,
	112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
}

// Transcoder returns the table from one law to the other as G.711 §3.3 asks,
// or nil if nothing needs to be changed.
func Transcoder(from, to Law) *Table {
	switch {
	case from == ULaw && to == ALaw:
		return &ulawToALaw
	case from == ALaw && to == ULaw:
		return &alawToULaw
	}
	return nil
}

// Apply replaces each octet of the payload in place. A nil table changes
// nothing.
func (t *Table) Apply(payload []byte) {
	if t == nil {
		return
	}
	for i, b := range payload {
		payload[i] = t[b]
	}
}

// Decode expands the payload to 16-bit linear samples and returns how many
// were written: the shorter of both lengths.
func (l Law) Decode(dst []int16, payload []byte) int {
	t := &ulawLinear
	if l == ALaw {
		t = &alawLinear
	}
	n := min(len(dst), len(payload))
	dst = dst[:n]
	for i, b := range payload[:n] {
		dst[i] = t[b]
	}
	return n
}

// Encode compresses linear samples and returns how many octets were written:
// the shorter of both lengths.
func (l Law) Encode(dst []byte, samples []int16) int {
	n := min(len(dst), len(samples))
	dst, samples = dst[:n], samples[:n]
	if l == ALaw {
		for i, v := range samples {
			dst[i] = compressALaw(v)
		}
		return n
	}
	for i, v := range samples {
		dst[i] = compressULaw(v)
	}
	return n
}

// compressULaw is G.711 Table 2 on 14-bit values; the low two bits of the
// sample are below its resolution.
func compressULaw(sample int16) byte {
	const bias, clip = 33, 8159
	v, sign := int(sample)>>2, byte(0xFF)
	if sample < 0 {
		v, sign = -v, 0x7F
	}
	v = min(v, clip) + bias
	segment := bits.Len(uint(v)) - 6
	if segment > 7 {
		return sign ^ 0x7F
	}
	return sign ^ byte(segment<<4|(v>>(segment+1))&0x0F)
}

// compressALaw is G.711 Table 1 on 13-bit values with the even bits inverted.
func compressALaw(sample int16) byte {
	v, sign := int(sample)>>3, byte(0xD5)
	if v < 0 {
		v, sign = -v-1, 0x55
	}
	segment := max(bits.Len(uint(v))-5, 0)
	if segment == 0 {
		return sign ^ byte(v>>1)
	}
	return sign ^ byte(segment<<4|(v>>segment)&0x0F)
}

func expandULaw(octet byte) int16 {
	const bias = 33
	u := ^octet
	v := (int(u&0x0F)<<1+bias)<<(u>>4&7) - bias
	if u&0x80 != 0 {
		v = -v
	}
	return int16(v * 4)
}

func expandALaw(octet byte) int16 {
	a := octet ^ 0x55
	v, segment := int(a&0x0F)<<1+1, a>>4&7
	if segment > 0 {
		v = (v + 32) << (segment - 1)
	}
	if a&0x80 == 0 {
		v = -v
	}
	return int16(v * 8)
}

func linearTable(expand func(byte) int16) (t [256]int16) {
	for i := range t {
		t[i] = expand(byte(i))
	}
	return t
}

// pairTable turns a table of value numbers into one of octets. The octet of
// the n-th value is zero^n with the sign in the highest bit; first is the
// number of the target's smallest value.
func pairTable(values *[128]uint8, zeroFrom, zeroTo byte, first uint8) (t Table) {
	for i, v := range values {
		positive := zeroFrom ^ byte(i)
		t[positive] = zeroTo ^ (v - first)
		t[positive^0x80] = t[positive] ^ 0x80
	}
	return t
}
