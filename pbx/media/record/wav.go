package record

import (
	"encoding/binary"
	"errors"
)

// The file: a header of fixed size, then two octets for each sample, the left
// channel's and the right one's.
const (
	headerSize = 58
	frameSize  = 2
	// maxSamples keeps the sizes in the header below 4 GiB: 74 hours.
	maxSamples = (1<<32 - 1 - headerSize) / frameSize
	// silence is A-law's nothing (G.711 Table 1a: +0 with even bits inverted).
	silence = 0xD5
)

// Where the sizes stand in the header.
const (
	atRIFF = 4
	atFact = 46
	atData = 54
)

var errNotOurs = errors.New("the file is no recording: it is left as it is")

// header is a WAV header for so many samples per channel (Microsoft's
// "Multimedia Programming Interface and Data Specifications 1.0"): formats
// that are not PCM have an extension size and a fact chunk.
func header(samples int64) [headerSize]byte {
	var b [headerSize]byte
	le := binary.LittleEndian
	data := uint32(samples * frameSize)
	copy(b[:], "RIFF")
	le.PutUint32(b[atRIFF:], headerSize-8+data)
	copy(b[8:], "WAVEfmt ")
	le.PutUint32(b[16:], 18)
	le.PutUint16(b[20:], 6) // A-law
	le.PutUint16(b[22:], 2) // channels
	le.PutUint32(b[24:], Rate)
	le.PutUint32(b[28:], Rate*frameSize)
	le.PutUint16(b[32:], frameSize)
	le.PutUint16(b[34:], 8) // bits
	copy(b[38:], "fact")
	le.PutUint32(b[42:], 4)
	le.PutUint32(b[atFact:], uint32(samples))
	copy(b[50:], "data")
	le.PutUint32(b[atData:], data)
	return b
}

// isHeader reports whether b is a header of ours, whatever its sizes.
func isHeader(b [headerSize]byte) bool {
	want := header(0)
	for _, at := range []int{atRIFF, atFact, atData} {
		copy(b[at:at+4], want[at:at+4])
	}
	return b == want
}
