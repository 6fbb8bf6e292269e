package mix

import (
	"math"
	"testing"
)

// singer says one tone for ever and keeps what it is told.
type singer struct {
	rate  int
	hertz float64
	level float64
	at    int
	heard []int16
	// common counts the frames that all silent ones have heard.
	common int
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

func (s *singer) Say(frame []int16, common bool) {
	s.heard = append(s.heard, frame...)
	if common {
		s.common++
	}
}

// hears is the amplitude of a tone in the second half of what was heard.
func (s *singer) hears(hertz float64) float64 { return level(s.heard[len(s.heard)/2:], hertz, s.rate) }

func level(y []int16, hertz float64, rate int) float64 {
	var si, co float64
	for i, v := range y {
		a, b := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate))
		si, co = si+float64(v)*a, co+float64(v)*b
	}
	return 2 * math.Hypot(si, co) / float64(len(y))
}

func join(t testing.TB, m *Mixer, voices ...*singer) {
	t.Helper()
	for _, v := range voices {
		if err := m.Join(v); err != nil {
			t.Fatal(err)
		}
	}
}

// mixed mixes voices for a second.
func mixed(t *testing.T, voices ...*singer) {
	t.Helper()
	var m Mixer
	join(t, &m, voices...)
	for range 50 {
		m.Tick()
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

func TestComingAndGoing(t *testing.T) {
	var m Mixer
	a, b := &singer{rate: narrow, hertz: 500, level: 5000}, &singer{rate: wide, hertz: 700, level: 5000}
	join(t, &m, a, b)
	for range 20 {
		m.Tick()
	}
	m.Leave(b)
	if got := b.hears(500); math.Abs(got-5000) > 100 {
		t.Errorf("the other is heard with %.0f, want 5000", got)
	}
	heard := len(b.heard)
	a.heard = nil
	for range 20 {
		m.Tick()
	}
	m.Leave(a)
	m.Leave(a) // again: nothing happens
	if len(b.heard) != heard {
		t.Error("who has left is told of the others")
	}
	if got := a.hears(700); got > 10 {
		t.Errorf("who has left is heard with %.0f", got)
	}
}

func TestRefused(t *testing.T) {
	var m Mixer
	if err := m.Join(&singer{rate: 48000}); err == nil {
		t.Error("a voice of 48 kHz was taken")
	}
	m.Leave(&singer{})
	m.Tick()
}

// TestOnlyVoicesAreMixed: the hum of open microphones is not heard, those who
// hum are told what all of them hear, and a voice is one in its pauses, too.
func TestOnlyVoicesAreMixed(t *testing.T) {
	hum, speaker, listener := &singer{rate: narrow, hertz: 100, level: 30}, &singer{rate: narrow, hertz: 500, level: 5000}, &singer{rate: narrow}
	var m Mixer
	join(t, &m, hum, speaker, listener)
	for range 50 {
		m.Tick()
	}
	if got := listener.hears(100); got > 1 {
		t.Errorf("a hum is heard with %.0f", got)
	}
	if got := hum.hears(500); math.Abs(got-5000) > 100 {
		t.Errorf("who hums hears the voice with %.0f, want 5000", got)
	}
	if speaker.common != 0 || hum.common != 50 || listener.common != 50 {
		t.Errorf("%d, %d and %d frames were common, want none for the speaker and all for the others", speaker.common, hum.common, listener.common)
	}
	speaker.level = 30
	heard := len(listener.heard)
	for range 2 * linger {
		m.Tick()
	}
	if speaker.common != linger+1 {
		t.Errorf("%d of %d frames after the last word were common, want %d", speaker.common, 2*linger, linger+1)
	}
	if last := listener.heard[heard:]; level(last[:narrow/5], 500, narrow) < 20 || level(last[len(last)-narrow/5:], 500, narrow) > 1 {
		t.Error("a voice is not heard in its pause, or for ever")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var m Mixer
	for i := range 10 {
		if err := m.Join(&still{rate: narrow * (1 + i%2)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, m.Tick); n != 0 {
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
func (s *still) Say([]int16, bool) {}

// Benchmark50 is one frame of a room of 50 who all speak at once.
func Benchmark50(b *testing.B) {
	for name, wideband := range map[string]int{"narrow": 0, "half": 25, "wide": 50} {
		b.Run(name, func(b *testing.B) {
			var m Mixer
			for i := range 50 {
				rate := narrow
				if i < wideband {
					rate = wide
				}
				if err := m.Join(&still{rate: rate}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				m.Tick()
			}
			perFrame := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			b.ReportMetric(perFrame*50/50/1e6, "ms/member-second")
		})
	}
}
