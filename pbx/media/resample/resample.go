package resample

import (
	"fmt"
	"math"
)

const (
	taps    = 40  // samples of the lower rate under the filter
	blocked = 960 // input samples that are filtered at once; every step divides it
)

// Resampler takes one stream from one rate to another. New makes one.
type Resampler struct {
	up, down int // out = in × up / down
	phases   [][]float32
	history  []float32 // the last samples, then room for a block
}

// New returns a resampler between two of 8000, 16000 and 48000 Hz.
func New(from, to int) (*Resampler, error) {
	for _, rate := range []int{from, to} {
		if rate != 8000 && rate != 16000 && rate != 48000 {
			return nil, fmt.Errorf("sample rate %d Hz: want 8000, 16000 or 48000", rate)
		}
	}
	divisor := gcd(from, to)
	r := &Resampler{up: to / divisor, down: from / divisor}
	r.phases = filter(r.up, r.down)
	r.history = make([]float32, len(r.phases[0])-1+blocked)
	return r, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// filter returns the taps by phase, the oldest sample's first.
func filter(up, down int) [][]float32 {
	perPhase := taps * max(1, down/up)
	n := perPhase * up
	cutoff := 0.485 / float64(max(up, down)) // of the rate up × in
	const beta = 8.0
	centre := float64(n-1) / 2
	phases := make([][]float32, up)
	for p := range phases {
		phases[p] = make([]float32, perPhase)
	}
	for i := range n {
		x := float64(i) - centre
		h := 2 * cutoff
		if x != 0 {
			h = math.Sin(2*math.Pi*cutoff*x) / (math.Pi * x)
		}
		h *= bessel(beta*math.Sqrt(max(0, 1-x*x/centre/centre))) / bessel(beta) * float64(up)
		phases[i%up][perPhase-1-i/up] = float32(h)
	}
	return phases
}

// bessel is the modified Bessel function of the first kind and order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= x / 2 / k * (x / 2 / k)
		sum += term
	}
	return sum
}

// Sample is a linear sample, or a sum of such that may be larger.
type Sample interface{ int16 | int32 }

// Do filters src into dst and returns how many samples were written: len(src)
// × to / from, which dst must hold. len(src) is a multiple of from / to where
// the rate falls; what is over is left out. What is too loud is cut off at 16
// bits.
func Do[S Sample](r *Resampler, dst, src []S) int {
	src = src[:len(src)/r.down*r.down]
	n := 0
	for len(src) > 0 {
		block := src[:min(len(src), blocked)]
		n += filterBlock(r, dst[n:], block)
		src = src[len(block):]
	}
	return n
}

func filterBlock[S Sample](r *Resampler, dst, src []S) int {
	kept := len(r.history) - blocked
	for i, v := range src {
		r.history[kept+i] = float32(v)
	}
	n := len(src) * r.up / r.down
	dst = dst[:n]
	at, phase := 0, 0
	for i := range dst {
		dst[i] = S(clip(dot(r.phases[phase], r.history[at:])))
		for phase += r.down; phase >= r.up; phase -= r.up {
			at++
		}
	}
	copy(r.history[:kept], r.history[len(src):len(src)+kept])
	return n
}

func dot(h, x []float32) float32 {
	x = x[:len(h)]
	var a, b, c, d float32
	for i := 0; i+3 < len(h); i += 4 {
		a += h[i] * x[i]
		b += h[i+1] * x[i+1]
		c += h[i+2] * x[i+2]
		d += h[i+3] * x[i+3]
	}
	return a + b + c + d
}

func clip(v float32) int32 {
	if v < 0 {
		return int32(max(v-0.5, math.MinInt16))
	}
	return int32(min(v+0.5, math.MaxInt16))
}
