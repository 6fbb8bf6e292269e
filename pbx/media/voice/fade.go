package voice

// fade conceals a loss where the codec cannot: the last 10 ms are said again,
// ever more softly. Four repetitions are heard as the sound dying away, silence
// would be heard as a click.
type fade struct {
	last []int16
	n    int // how much of last is set
	at   int
	gain int // in 1/256
}

// The way of the gain: from whole to nothing in 40 ms.
const (
	full  = 256
	lower = full / 4
)

// heard keeps the end of what was decoded.
func (f *fade) heard(samples []int16) {
	if f.last == nil {
		f.last = make([]int16, 160) // 10 ms at 16 kHz, 20 ms at 8 kHz: once for each stream
	}
	f.n = copy(f.last, samples[max(0, len(samples)-len(f.last)):])
	f.at, f.gain = 0, full
}

// stop forgets it: after a pause nothing is to be said again.
func (f *fade) stop() { f.gain = 0 }

func (f *fade) fill(out []int16) {
	for i := range out {
		if f.n == 0 || f.gain <= 0 {
			clear(out[i:])
			return
		}
		if f.at == 0 {
			f.gain -= lower
		}
		out[i] = int16(int(f.last[f.at]) * f.gain / full)
		f.at = (f.at + 1) % f.n
	}
}
