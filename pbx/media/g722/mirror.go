package g722

// taps is the length of the mirror filter.
const taps = 24

// history is the window of samples under the mirror filter. Each sample stands
// in it twice, half of the array apart, so that the window never has a seam and
// nothing is moved.
type history struct {
	x  [2 * taps]int32
	at int
}

// push takes two samples and returns the last 24, the oldest first.
func (h *history) push(first, second int32) *[taps]int32 {
	at := h.at
	h.x[at], h.x[at+1] = first, second
	h.x[at+taps], h.x[at+taps+1] = first, second
	at += 2
	h.at = at % taps
	return (*[taps]int32)(h.x[at : at+taps])
}
