package tone

import "math"

// Level returns the peak level of one frequency in the samples as a share of
// full scale, by Goertzel's algorithm: about 0.5 for a sine of half the range.
// The resolution is Rate/len(samples) Hz.
func Level(samples []int16, freq float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	return 2 * math.Sqrt(power(samples, freq)) / float64(len(samples)) / math.MaxInt16
}

// Share returns which part of the samples' energy lies at the frequencies
// together, 0..1: 1 for a clean tone, about 0 for noise, silence or other tones.
func Share(samples []int16, freqs ...float64) float64 {
	total := 0.0
	for _, s := range samples {
		total += float64(s) * float64(s)
	}
	if total == 0 {
		return 0
	}
	found := 0.0
	for _, f := range freqs {
		found += power(samples, f)
	}
	return min(1, 2*found/float64(len(samples))/total)
}

// power is the squared magnitude of the spectrum at freq.
func power(samples []int16, freq float64) float64 {
	w := 2 * math.Pi * freq / Rate
	c := 2 * math.Cos(w)
	var s1, s2 float64
	for _, x := range samples {
		s1, s2 = float64(x)+c*s1-s2, s1
	}
	return max(0, s1*s1+s2*s2-c*s1*s2)
}
