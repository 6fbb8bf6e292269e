package stream

import (
	"testing"
	"time"
)

func TestOutRelay(t *testing.T) {
	const frame = int64(20 * time.Millisecond)
	o := Out{SSRC: 7, highest: 65534, ts: 0xFFFFFFF0}
	relay := func(source uint64, seq uint16, ts uint32, now int64) (Stamp, bool) {
		h := Stamp{Seq: seq, Time: ts}
		return h, o.Relay(source, &h, 160, now)
	}
	steps := []struct {
		name   string
		source uint64
		seq    uint16
		ts     uint32
		now    int64
		want   Stamp
		ok     bool
	}{
		{"the first packet", 1, 100, 1000, frame, Stamp{Seq: 65535, Time: 0xFFFFFFF0, Marker: true}, true},
		{"the next", 1, 101, 1160, 2 * frame, Stamp{Seq: 0, Time: 0x90}, true},
		{"one is lost", 1, 103, 1480, 4 * frame, Stamp{Seq: 2, Time: 0x1D0}, true},
		{"and comes late", 1, 102, 1320, 4 * frame, Stamp{Seq: 1, Time: 0x130}, true},
		{"one from before the beginning", 1, 99, 840, 4 * frame, Stamp{}, false},
		{"another source at once", 2, 5, 5, 4 * frame, Stamp{Seq: 3, Time: 0x1D0 + 160, Marker: true}, true},
		{"another source after a second", 3, 9, 9, 4*frame + int64(time.Second), Stamp{Seq: 4, Time: 0x1D0 + 160 + 8000, Marker: true}, true},
	}
	for _, s := range steps {
		h, ok := relay(s.source, s.seq, s.ts, s.now)
		if ok != s.ok || ok && h != s.want {
			t.Errorf("%s: %+v %v, want %+v %v", s.name, h, ok, s.want, s.ok)
		}
	}
}

func TestOutLongStream(t *testing.T) {
	o := Out{SSRC: 7}
	for i := range 200_000 { // more than an hour: the sequence numbers go round three times
		h := Stamp{Seq: uint16(i), Time: uint32(i * 160)}
		if !o.Relay(1, &h, 160, int64(i)*int64(20*time.Millisecond)) || h.Seq != uint16(i+1) {
			t.Fatalf("packet %d became %+v", i, h)
		}
	}
}

func TestOutClaim(t *testing.T) {
	var o Out
	if !o.Claim() || o.Claim() {
		t.Fatal("two had the stream at once")
	}
	o.Release()
	if !o.Claim() {
		t.Fatal("nobody could have it again")
	}
}
