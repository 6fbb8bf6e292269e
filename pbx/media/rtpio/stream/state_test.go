package stream

import (
	"testing"
	"time"
)

// TestRestoredOut: whatever was saved when, and by whose clock, a restored
// stream sends no number again, and goes on exactly where the mapping is right.
func TestRestoredOut(t *testing.T) {
	const frame = int64(20 * time.Millisecond)
	relay := func(o *Out, source uint64, seq uint16) {
		h := Stamp{Seq: seq, Time: uint32(seq) * 160}
		o.Relay(source, &h, 160, int64(seq)*frame)
	}
	for _, tc := range []struct {
		name         string
		before       func(o *Out) // until it is saved
		after        func(o *Out) // what nobody saves
		ago          time.Duration
		sealed       bool
		source       uint64 // of the first packet in the next process
		seq          uint16
		ahead, limit uint32 // how far the first packet is ahead of the last one that was sent
	}{
		{
			name:   "the mapping is right",
			before: func(o *Out) { relay(o, 1, 100) },
			after:  func(o *Out) { relay(o, 1, 101) },
			ago:    time.Minute, source: 1, seq: 105, ahead: 4, limit: 4,
		},
		{
			name:   "saved after a key press, which covers 160 ms",
			before: func(o *Out) { o.Event(o.Begin(0), 1280, false, 0) },
			after: func(o *Out) {
				for range 50 {
					o.Own(7, 160, 0)
				}
			},
			ago: time.Second, source: 1, seq: 9, ahead: 1, limit: 60,
		},
		{
			name:   "the mapping is of before the peer began anew",
			before: func(o *Out) { relay(o, 1, 40000) },
			after:  func(o *Out) { relay(o, 2, 7) },
			ago:    time.Second, source: 1, seq: 8, ahead: 1, limit: 100,
		},
		{
			name:   "encrypted, by a clock that is seconds behind",
			before: func(o *Out) { relay(o, 1, 100) },
			after: func(o *Out) {
				for range 500 {
					o.Own(7, 160, 0)
				}
			},
			ago: 0, sealed: true, source: 1, seq: 101, ahead: 1, limit: maxDropout,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := &Out{}
			o.Start(5, 65500, 0)
			for range 1000 {
				o.Own(6, 160, 0)
			}
			tc.before(o)
			saved := o.Save(0)
			tc.after(o)
			next := &Out{}
			next.Restore(&saved, 1, 0, tc.ago, tc.sealed)
			relay(next, tc.source, tc.seq)
			if ahead := next.Highest() - o.Highest(); ahead < tc.ahead || ahead > tc.limit {
				t.Errorf("%d packets ahead, want %d to %d", int32(ahead), tc.ahead, tc.limit)
			}
		})
	}
}

func TestSince(t *testing.T) {
	for _, tc := range []struct {
		t         time.Duration
		span, khz uint32
		want      uint32
	}{
		{time.Second, 0, 8, 50},
		{time.Second, 160, 8, 50},
		{time.Second, 80, 8, 100},
		{time.Second, 1280, 8, 50}, // a key press
		{time.Second, 960, 48, 50}, // Opus
		{time.Second, 1, 48, 1000}, // nobody sends so short ones
		{0, 160, 8, 0},
	} {
		if got := since(tc.t, tc.span, tc.khz); got != tc.want {
			t.Errorf("since(%v, %d, %d) = %d, want %d", tc.t, tc.span, tc.khz, got, tc.want)
		}
	}
}
