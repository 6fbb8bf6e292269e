// Package g722 is ITU-T G.722 at 64 kbit/s: 16 kHz audio in one octet for each
// two samples. Two bands of 8 kHz come out of a quadrature mirror filter; each
// is coded as the difference from a prediction that coder and decoder make from
// what both know (ADPCM), the lower one with 6 bits, the upper one with 2.
//
//	16 kHz ─► mirror filter ─┬─ 0..4 kHz ─► 6 bits ─┐
//	                         └─ 4..8 kHz ─► 2 bits ─┴─► octet
//
// Names and numbers are those of the recommendation, so that each block can be
// laid beside its page (§6.2). Arithmetic is that of 16-bit registers with
// saturation, in integers: the output is the same, bit for bit, on every
// machine and as that of other makers' coders.
//
// Values are not safe for concurrent use; the package starts no goroutine. RTP
// counts G.722 at 8000 Hz although it is 16 kHz audio (RFC 3551 §4.5.2): that
// is the affair of who makes packets.
package g722

// SampleRate is the rate of the audio in Hz.
const SampleRate = 16000
