package tone

import (
	"math"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

// Rate is the sampling rate of every source, in Hz.
const Rate = 8000

// Step is one part of a pattern: the sum of some tones, or silence.
type Step struct {
	Tones []float64     // Hz; none = silence
	AM    float64       // Hz by which the sum is modulated, 0 = not
	For   time.Duration // 0 = for ever
}

// Peak is the peak of each tone in a sum of two, about -13 dBm0 a tone, as
// networks send call progress tones.
const Peak = 0.22

// pattern plays its steps in order.
type pattern struct {
	steps  []Step
	repeat bool
	level  float64

	step int
	left int // samples left of the step, -1 = for ever
	at   int // samples since the pattern's begin, for the phase
}

// Pattern returns a source that plays the steps once, or over and over. Level
// is the peak of each tone as a share of full scale; the sum is clipped.
func Pattern(level float64, repeat bool, steps ...Step) media.Source {
	p := &pattern{steps: steps, repeat: repeat, level: level}
	p.enter(0)
	return p
}

// Sine returns an endless pure tone. Level is its peak as a share of full scale.
func Sine(freq, level float64) media.Source {
	return Pattern(level, true, Step{Tones: []float64{freq}})
}

// Silence returns an endless silent source.
func Silence() media.Source { return Pattern(0, true, Step{}) }

// For ends a source after some time, rounded down to whole frames of the
// reader.
func For(s media.Source, d time.Duration) media.Source {
	return &limited{source: s, left: samples(d)}
}

type limited struct {
	source media.Source
	left   int
}

func (l *limited) Read(frame []int16) bool {
	if l.left < len(frame) {
		return false
	}
	l.left -= len(frame)
	return l.source.Read(frame)
}

// Read implements media.Source. The last frame of a pattern that ends is
// filled up with silence.
func (p *pattern) Read(frame []int16) bool {
	if p.step >= len(p.steps) {
		return false
	}
	for i := range frame {
		if p.left == 0 {
			p.enter(p.step + 1)
		}
		if p.step >= len(p.steps) {
			clear(frame[i:])
			return true
		}
		frame[i] = p.sample()
		p.at++
		if p.left > 0 {
			p.left--
		}
	}
	return true
}

func (p *pattern) enter(step int) {
	if step >= len(p.steps) && p.repeat {
		step, p.at = 0, 0
	}
	p.step = step
	if step < len(p.steps) {
		p.left = samples(p.steps[step].For)
		if p.left == 0 {
			p.left = -1
		}
	}
}

func (p *pattern) sample() int16 {
	s := &p.steps[p.step]
	v, t := 0.0, float64(p.at)/Rate
	for _, f := range s.Tones {
		v += math.Sin(2 * math.Pi * f * t)
	}
	v *= p.level
	if s.AM > 0 {
		v *= (1 + math.Cos(2*math.Pi*s.AM*t)) / 2
	}
	return int16(math.MaxInt16 * max(-1, min(1, v)))
}

func samples(d time.Duration) int { return int(d * Rate / time.Second) }
