package rtpio

import (
	"testing"
	"time"
)

func TestOutputRelay(t *testing.T) {
	const frame = int64(20 * time.Millisecond)
	o := output{ssrc: 7, highest: 65534, ts: 0xFFFFFFF0}
	relay := func(source uint64, seq uint16, ts uint32, now int64) (header, bool) {
		h := header{seq: seq, timestamp: ts, ssrc: uint32(source)}
		return h, o.relay(source, &h, 160, now)
	}
	steps := []struct {
		name   string
		source uint64
		seq    uint16
		ts     uint32
		now    int64
		want   header
		ok     bool
	}{
		{"the first packet", 1, 100, 1000, frame, header{seq: 65535, timestamp: 0xFFFFFFF0, marker: true}, true},
		{"the next", 1, 101, 1160, 2 * frame, header{seq: 0, timestamp: 0x90}, true},
		{"one is lost", 1, 103, 1480, 4 * frame, header{seq: 2, timestamp: 0x1D0}, true},
		{"and comes late", 1, 102, 1320, 4 * frame, header{seq: 1, timestamp: 0x130}, true},
		{"one from before the beginning", 1, 99, 840, 4 * frame, header{}, false},
		{"another source at once", 2, 5, 5, 4 * frame, header{seq: 3, timestamp: 0x1D0 + 160, marker: true}, true},
		{"another source after a second", 3, 9, 9, 4*frame + int64(time.Second), header{seq: 4, timestamp: 0x1D0 + 160 + 8000, marker: true}, true},
	}
	for _, s := range steps {
		h, ok := relay(s.source, s.seq, s.ts, s.now)
		s.want.ssrc = 7
		if ok != s.ok || ok && h != s.want {
			t.Errorf("%s: %+v %v, want %+v %v", s.name, h, ok, s.want, s.ok)
		}
	}
}

func TestOutputLongStream(t *testing.T) {
	o := output{ssrc: 7}
	for i := range 200_000 { // more than an hour: the sequence numbers go round three times
		h := header{seq: uint16(i), timestamp: uint32(i * 160)}
		if !o.relay(1, &h, 160, int64(i)*int64(frameTime)) || h.seq != uint16(i+1) {
			t.Fatalf("packet %d became %+v", i, h)
		}
	}
}

func TestOutputClaim(t *testing.T) {
	var o output
	if !o.claim() || o.claim() {
		t.Fatal("two had the stream at once")
	}
	o.release()
	if !o.claim() {
		t.Fatal("nobody could have it again")
	}
}
