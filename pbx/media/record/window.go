package record

import "github.com/dipcast/dipcast/pbx/media/codec"

// window is the stretch of one recording in which packets are placed. There
// is one, which the writer uses for each take in turn; between two it is all
// silence.
type window struct {
	b      [windowSize * frameSize]byte
	silent [windowSize * frameSize]byte
	used   int // octets that may hold more than silence
}

func newWindow() *window {
	w := new(window)
	for i := range w.silent {
		w.silent[i] = silence
	}
	w.b = w.silent
	return w
}

// take begins with what an earlier pass has left.
func (w *window) take(tail []byte) { w.used = copy(w.b[:], tail) }

// put writes samples into one channel; from is where the first belongs.
func (w *window) put(from int64, channel int, octets []byte, table *codec.Table) {
	dst := w.b[from*frameSize:]
	w.used = max(w.used, int(from*frameSize)+len(octets)*frameSize)
	if table == nil {
		for i, o := range octets {
			dst[i*frameSize+channel] = o
		}
		return
	}
	for i, o := range octets {
		dst[i*frameSize+channel] = table[o]
	}
}

// octets returns the first n samples.
func (w *window) octets(n int) []byte { return w.b[:n*frameSize] }

// forward moves the window by n samples.
func (w *window) forward(n int) {
	n = min(n*frameSize, w.used)
	left := copy(w.b[:], w.b[n:w.used])
	w.silence(left)
	w.used = left
}

func (w *window) clear() {
	w.silence(0)
	w.used = 0
}

// silence makes silent what was used from there on.
func (w *window) silence(from int) {
	copy(w.b[from:w.used], w.silent[:])
}
