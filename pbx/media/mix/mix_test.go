package mix

import (
	"math"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// singer says one tone for ever and keeps what it is told.
type singer struct {
	rate  int
	hertz float64
	level float64
	at    int
	heard []int16
}

func (s *singer) Rate() int { return s.rate }

func (s *singer) Hear(frame []int16) bool {
	if s.hertz == 0 {
		return false
	}
	for i := range frame {
		frame[i] = int16(math.Round(s.level * math.Sin(2*math.Pi*s.hertz*float64(s.at)/float64(s.rate))))
		s.at++
	}
	return true
}

func (s *singer) Say(frame []int16) { s.heard = append(s.heard, frame...) }

// level is the amplitude of a tone in the second half of what was heard.
func (s *singer) hears(hertz float64) float64 {
	y := s.heard[len(s.heard)/2:]
	var si, co float64
	for i, v := range y {
		a, b := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(s.rate))
		si, co = si+float64(v)*a, co+float64(v)*b
	}
	return 2 * math.Hypot(si, co) / float64(len(y))
}

// mixed runs a room for a second without its goroutine.
func mixed(t *testing.T, voices ...*singer) {
	t.Helper()
	m, err := newMixer()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range voices {
		m.join(v)
	}
	for range 50 {
		m.tick()
	}
}

// TestEachHearsAllOthers puts 30 people into a room, every third of them in
// wideband, each with a tone of its own.
func TestEachHearsAllOthers(t *testing.T) {
	var all []*singer
	for i := range 30 {
		s := &singer{rate: narrow, hertz: 300 + 100*float64(i), level: 900}
		if i%3 == 0 {
			s.rate = wide
		}
		all = append(all, s)
	}
	mixed(t, all...)
	for i, s := range all {
		for j, other := range all {
			level, want := s.hears(other.hertz), 900.0
			if i == j {
				want = 0
			}
			if math.Abs(level-want) > 60 {
				t.Errorf("member %d (%d Hz) hears the tone of %d with %.0f, want %.0f", i, s.rate, j, level, want)
			}
		}
	}
}

// TestWideband: 6 kHz is for those who can hear it; the others hear nothing
// else in its place.
func TestWideband(t *testing.T) {
	high, listener, phone := &singer{rate: wide, hertz: 6000, level: 5000}, &singer{rate: wide}, &singer{rate: narrow}
	mixed(t, high, listener, phone)
	if got := listener.hears(6000); math.Abs(got-5000) > 50 {
		t.Errorf("6 kHz is heard with %.0f in wideband, want 5000", got)
	}
	if got := phone.hears(2000); got > 10 {
		t.Errorf("6 kHz comes as 2 kHz with %.0f to a narrowband phone", got)
	}
}

func TestLoudIsCutOff(t *testing.T) {
	a, b, c := &singer{rate: narrow, hertz: 500, level: 30000}, &singer{rate: narrow, hertz: 500, level: 30000}, &singer{rate: narrow}
	mixed(t, a, b, c)
	for i, v := range c.heard {
		if want := math.Sin(2 * math.Pi * 500 * float64(i) / narrow); want > 0.7 && v != math.MaxInt16 || want < -0.7 && v != math.MinInt16 {
			t.Fatalf("sample %d is %d", i, v)
		}
	}
	if got := a.hears(500); math.Abs(got-30000) > 100 {
		t.Errorf("one of two loud ones hears the other with %.0f, want 30000", got)
	}
}

// open opens a room whose ticks the test gives.
func open(t *testing.T) (*Room, chan<- time.Time) {
	t.Helper()
	ticks := make(chan time.Time)
	r, err := New(ticks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, ticks
}

func TestComingAndGoing(t *testing.T) {
	r, ticks := open(t)
	a, b := &singer{rate: narrow, hertz: 500, level: 5000}, &singer{rate: wide, hertz: 700, level: 5000}
	for _, v := range []*singer{a, b} {
		if err := r.Join(v); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		ticks <- time.Time{}
	}
	r.Leave(b)
	if got := b.hears(500); math.Abs(got-5000) > 100 {
		t.Errorf("the other is heard with %.0f, want 5000", got)
	}
	heard := len(b.heard)
	a.heard = nil
	for range 20 {
		ticks <- time.Time{}
	}
	r.Leave(a)
	r.Leave(a) // again: nothing happens
	if len(b.heard) != heard {
		t.Error("who has left is told of the room")
	}
	if got := a.hears(700); got > 10 {
		t.Errorf("who has left is heard with %.0f", got)
	}
}

func TestRefused(t *testing.T) {
	r, _ := open(t)
	if err := r.Join(&singer{rate: 48000}); err == nil {
		t.Error("a voice of 48 kHz was taken")
	}
	r.Close()
	r.Close()
	if err := r.Join(&singer{rate: narrow}); err == nil {
		t.Error("a closed room was joined")
	}
	r.Leave(&singer{})
}

func TestNothingIsAllocated(t *testing.T) {
	m, err := newMixer()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		m.join(&still{rate: narrow * (1 + i%2)})
	}
	if n := testing.AllocsPerRun(100, m.tick); n != 0 {
		t.Errorf("%v allocations in a tick", n)
	}
}

// still speaks noise and forgets what it hears.
type still struct{ rate int }

func (s *still) Rate() int { return s.rate }
func (s *still) Hear(frame []int16) bool {
	for i := range frame {
		frame[i] = int16(i * 77)
	}
	return true
}
func (s *still) Say([]int16) {}

// BenchmarkRoom50 is one frame of a room of 50 who all speak at once.
func BenchmarkRoom50(b *testing.B) {
	for name, wideband := range map[string]int{"narrow": 0, "half": 25, "wide": 50} {
		b.Run(name, func(b *testing.B) {
			m, err := newMixer()
			if err != nil {
				b.Fatal(err)
			}
			for i := range 50 {
				rate := narrow
				if i < wideband {
					rate = wide
				}
				m.join(&still{rate: rate})
			}
			for b.Loop() {
				m.tick()
			}
			perFrame := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			b.ReportMetric(perFrame*50/50/1e6, "ms/member-second")
		})
	}
}
