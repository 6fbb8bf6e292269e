package rtpio

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"

	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

// FuzzParse compares with an independent parser: what we take it takes too,
// and reads the same out of it.
func FuzzParse(f *testing.F) {
	whole := rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: 7, Timestamp: 160, SSRC: 9, CSRC: []uint32{1, 2}},
		Payload: []byte{1, 2, 3},
	}
	if err := whole.SetExtension(1, []byte{5, 6}); err != nil {
		f.Fatal(err)
	}
	b, err := whole.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0x80, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1})
	f.Add([]byte{0xA0, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 3})
	f.Add([]byte{0x90, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0xFF, 0xFF})
	f.Add([]byte{0xBF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h header
		var start, end int
		var ok bool
		bounded.Run(t, len(b), func() { h, start, end, ok = parse(b) })
		if !ok {
			return
		}
		if start < headerSize || start > end || end > len(b) {
			t.Fatalf("payload %d..%d of %d octets", start, end, len(b))
		}
		var p rtp.Packet
		if err := p.Unmarshal(b); err != nil {
			return // it also looks into the extension, which we pass over
		}
		if p.PayloadType != h.payloadType || p.Marker != h.marker || p.SequenceNumber != h.seq ||
			p.Timestamp != h.timestamp || p.SSRC != h.ssrc || !bytes.Equal(p.Payload, b[start:end]) {
			t.Fatalf("%+v, payload %x; want %+v", h, b[start:end], p)
		}
	})
}

func TestPutIsReadBack(t *testing.T) {
	want := header{payloadType: 101, marker: true, seq: 65535, timestamp: 0xFFFFFFFF, ssrc: 0x01020304}
	b := make([]byte, headerSize)
	want.put(b)
	if got, start, end, ok := parse(b); !ok || got != want || start != headerSize || end != headerSize {
		t.Errorf("read %+v %d..%d %v, want %+v", got, start, end, ok, want)
	}
}

func TestIsControl(t *testing.T) {
	for pt := range 256 {
		b := []byte{0x80, byte(pt), 0, 1, 0, 0, 0, 0}
		want := pt >= 192 && pt <= 223 // RFC 5761 §4; RTP with the marker has 128..255 too
		if got := isControl(b); got != want {
			t.Errorf("second octet %d: control %v, want %v", pt, got, want)
		}
	}
}
