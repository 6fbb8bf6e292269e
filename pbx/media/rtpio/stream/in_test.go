package stream

import (
	"testing"
	"time"
)

func TestIn(t *testing.T) {
	type packet struct {
		seq   uint16
		ssrc  uint32
		after time.Duration
		want  Place
	}
	const frame = 20 * time.Millisecond
	tests := []struct {
		name      string
		packets   []packet
		lost      uint64
		highest   uint32
		restarted bool
	}{
		{"in order", []packet{{1, 1, frame, InOrder}, {2, 1, frame, InOrder}}, 0, 2, false},
		{"two lost", []packet{{1, 1, frame, InOrder}, {4, 1, frame, InOrder}}, 2, 4, false},
		{"late, not lost", []packet{{1, 1, frame, InOrder}, {3, 1, frame, InOrder}, {2, 1, frame, InOrder}}, 0, 3, false},
		{"twice", []packet{{1, 1, frame, InOrder}, {1, 1, frame, Repeated}}, 0, 1, false},
		{"round the end", []packet{{65535, 1, frame, InOrder}, {0, 1, frame, InOrder}, {1, 1, frame, InOrder}}, 0, 1<<16 + 1, false},
		{"a jump is a new stream", []packet{{1, 1, frame, InOrder}, {30000, 1, frame, InOrder}}, 0, 30000, true},
		{"another SSRC after a pause", []packet{{1, 1, frame, InOrder}, {500, 2, time.Second, InOrder}}, 0, 500, true},
		{"another SSRC at once", []packet{{1, 1, frame, InOrder}, {500, 2, frame, Forged}, {501, 2, frame, Forged}, {502, 2, frame, InOrder}}, 0, 502, true},
		{"a forged packet between", []packet{{1, 1, frame, InOrder}, {500, 2, frame, Forged}, {2, 1, frame, InOrder}, {900, 2, frame, Forged}, {3, 1, frame, InOrder}}, 0, 3, false},
		{"forged packets now and then", []packet{
			{1, 1, frame, InOrder},
			{500, 2, 0, Forged},
			{2, 1, frame, InOrder},
			{501, 2, 0, Forged},
			{3, 1, frame, InOrder},
			{502, 2, 0, Forged},
			{4, 1, frame, InOrder},
			{503, 2, 0, Forged},
		}, 0, 4, false},
		{"what was lost before a restart stays lost", []packet{{1, 1, frame, InOrder}, {4, 1, frame, InOrder}, {9, 2, time.Second, InOrder}}, 2, 9, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var in In
			sources := uint64(0)
			now := int64(time.Second)
			for i, p := range tt.packets {
				now += int64(p.after)
				if got := in.Take(p.ssrc, Stamp{Seq: p.seq}, 0, now, func() uint64 { sources++; return sources }); got != p.want {
					t.Fatalf("packet %d: %d, want %d", i, got, p.want)
				}
			}
			if got := in.Figures.Lost.Load(); got != tt.lost {
				t.Errorf("%d lost, want %d", got, tt.lost)
			}
			if got := in.Figures.Highest.Load(); got != tt.highest {
				t.Errorf("highest %d, want %d", got, tt.highest)
			}
			if got := sources > 1; got != tt.restarted {
				t.Errorf("restarted %v, want %v", got, tt.restarted)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	var in In
	h, now := Stamp{}, int64(time.Second)
	source := func() uint64 { return 1 }
	for range 100 { // as regular as can be
		h.Seq, h.Time, now = h.Seq+1, h.Time+160, now+int64(20*time.Millisecond)
		in.Take(1, h, 8, now, source)
	}
	if got := in.Figures.Jitter.Load(); got != 0 {
		t.Errorf("jitter %d of a regular stream, want 0", got)
	}
	for i := range 2000 { // each second packet 10 ms late: every difference is 80 units
		h.Seq, h.Time, now = h.Seq+1, h.Time+160, now+int64(20*time.Millisecond)
		late := int64(i%2) * int64(10*time.Millisecond)
		in.Take(1, h, 8, now+late, source)
	}
	if got := in.Figures.Jitter.Load(); got < 78 || got > 80 {
		t.Errorf("jitter %d units, want 80", got)
	}
	h.Time += 1 << 30 // another time base
	in.Take(1, h, 8, now, source)
	if got := in.Figures.Jitter.Load(); got > 80 {
		t.Errorf("jitter %d after the time base changed, want 80 or less", got)
	}
}
