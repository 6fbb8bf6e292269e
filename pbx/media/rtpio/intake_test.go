package rtpio

import (
	"testing"
	"time"
)

func TestIntake(t *testing.T) {
	type packet struct {
		seq   uint16
		ssrc  uint32
		after time.Duration
		want  place
	}
	const frame = 20 * time.Millisecond
	tests := []struct {
		name      string
		packets   []packet
		lost      uint64
		highest   uint32
		restarted bool
	}{
		{"in order", []packet{{1, 1, frame, inOrder}, {2, 1, frame, inOrder}}, 0, 2, false},
		{"two lost", []packet{{1, 1, frame, inOrder}, {4, 1, frame, inOrder}}, 2, 4, false},
		{"late, not lost", []packet{{1, 1, frame, inOrder}, {3, 1, frame, inOrder}, {2, 1, frame, inOrder}}, 0, 3, false},
		{"twice", []packet{{1, 1, frame, inOrder}, {1, 1, frame, repeated}}, 0, 1, false},
		{"round the end", []packet{{65535, 1, frame, inOrder}, {0, 1, frame, inOrder}, {1, 1, frame, inOrder}}, 0, 1<<16 + 1, false},
		{"a jump is a new stream", []packet{{1, 1, frame, inOrder}, {30000, 1, frame, inOrder}}, 0, 30000, true},
		{"another SSRC after a pause", []packet{{1, 1, frame, inOrder}, {500, 2, time.Second, inOrder}}, 0, 500, true},
		{"another SSRC at once", []packet{{1, 1, frame, inOrder}, {500, 2, frame, forged}, {501, 2, frame, forged}, {502, 2, frame, inOrder}}, 0, 502, true},
		{"a forged packet between", []packet{{1, 1, frame, inOrder}, {500, 2, frame, forged}, {2, 1, frame, inOrder}, {900, 2, frame, forged}, {3, 1, frame, inOrder}}, 0, 3, false},
		{"forged packets now and then", []packet{
			{1, 1, frame, inOrder},
			{500, 2, 0, forged},
			{2, 1, frame, inOrder},
			{501, 2, 0, forged},
			{3, 1, frame, inOrder},
			{502, 2, 0, forged},
			{4, 1, frame, inOrder},
			{503, 2, 0, forged},
		}, 0, 4, false},
		{"what was lost before a restart stays lost", []packet{{1, 1, frame, inOrder}, {4, 1, frame, inOrder}, {9, 2, time.Second, inOrder}}, 2, 9, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var in intake
			sources := uint64(0)
			now := int64(time.Second)
			for i, p := range tt.packets {
				now += int64(p.after)
				h := header{seq: p.seq, ssrc: p.ssrc}
				if got := in.take(&h, 0, now, func() uint64 { sources++; return sources }); got != p.want {
					t.Fatalf("packet %d: %d, want %d", i, got, p.want)
				}
			}
			if got := in.figures.lost.Load(); got != tt.lost {
				t.Errorf("%d lost, want %d", got, tt.lost)
			}
			if got := in.figures.highest.Load(); got != tt.highest {
				t.Errorf("highest %d, want %d", got, tt.highest)
			}
			if got := sources > 1; got != tt.restarted {
				t.Errorf("restarted %v, want %v", got, tt.restarted)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	var in intake
	h, now := header{ssrc: 1}, int64(time.Second)
	source := func() uint64 { return 1 }
	for range 100 { // as regular as can be
		h.seq, h.timestamp, now = h.seq+1, h.timestamp+160, now+int64(20*time.Millisecond)
		in.take(&h, 8, now, source)
	}
	if got := in.figures.jitter.Load(); got != 0 {
		t.Errorf("jitter %d of a regular stream, want 0", got)
	}
	for i := range 2000 { // each second packet 10 ms late: every difference is 80 units
		h.seq, h.timestamp, now = h.seq+1, h.timestamp+160, now+int64(20*time.Millisecond)
		late := int64(i%2) * int64(10*time.Millisecond)
		in.take(&h, 8, now+late, source)
	}
	if got := in.figures.jitter.Load(); got < 78 || got > 80 {
		t.Errorf("jitter %d units, want 80", got)
	}
	h.timestamp += 1 << 30 // another time base
	in.take(&h, 8, now, source)
	if got := in.figures.jitter.Load(); got > 80 {
		t.Errorf("jitter %d after the time base changed, want 80 or less", got)
	}
}
