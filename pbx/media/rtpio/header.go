package rtpio

import (
	"encoding/binary"

	"github.com/dipcast/dipcast/pbx/media/rtpio/stream"
)

// Sizes of packets in octets. maxPacket is what fits into one Ethernet frame:
// 180 ms of G.711. The buffer is larger, so that a longer packet is noticed.
const (
	headerSize = 12
	maxPacket  = 1500
	bufferSize = maxPacket + headerSize + 1
)

// header is what the relay needs of an RTP header (RFC 3550 §5.1).
type header struct {
	payloadType uint8
	marker      bool
	seq         uint16
	timestamp   uint32
	ssrc        uint32
}

// parse reads an RTP packet and returns where its payload lies, behind the
// contributing sources and the extension and before the padding. It reports
// false for what is not RTP of version 2 or contradicts itself.
func parse(b []byte) (h header, start, end int, ok bool) {
	if len(b) < headerSize || len(b) > maxPacket || b[0]>>6 != 2 {
		return h, 0, 0, false
	}
	start, end = headerSize+4*int(b[0]&0x0F), len(b)
	if b[0]&0x10 != 0 {
		if start+4 > end {
			return h, 0, 0, false
		}
		start += 4 + 4*int(binary.BigEndian.Uint16(b[start+2:]))
	}
	if b[0]&0x20 != 0 {
		padding := int(b[end-1])
		if padding == 0 {
			return h, 0, 0, false
		}
		end -= padding
	}
	if start > end {
		return h, 0, 0, false
	}
	h = header{
		payloadType: b[1] & 0x7F,
		marker:      b[1]&0x80 != 0,
		seq:         binary.BigEndian.Uint16(b[2:]),
		timestamp:   binary.BigEndian.Uint32(b[4:]),
		ssrc:        binary.BigEndian.Uint32(b[8:]),
	}
	return h, start, end, true
}

// put writes the header without contributing sources, extension and padding.
func (h header) put(b []byte) {
	_ = b[headerSize-1]
	b[0], b[1] = 2<<6, h.payloadType
	if h.marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], h.seq)
	binary.BigEndian.PutUint32(b[4:], h.timestamp)
	binary.BigEndian.PutUint32(b[8:], h.ssrc)
}

// isControl tells RTCP from RTP on one socket (RFC 5761 §4).
func isControl(b []byte) bool { return len(b) >= 8 && b[1] >= 192 && b[1] <= 223 }

// stamp is what of the header a stream is numbered by.
func (h *header) stamp() stream.Stamp {
	return stream.Stamp{Seq: h.seq, Time: h.timestamp, Marker: h.marker}
}

// stamped is the header of a packet of ours, but for its payload type.
func stamped(o *stream.Out, s stream.Stamp) header {
	return header{ssrc: o.SSRC, seq: s.Seq, timestamp: s.Time, marker: s.Marker}
}
