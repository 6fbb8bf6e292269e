package mix

// What counts as a voice.
const (
	audible = 48 // the mean of absolute samples: some -50 dBm0, what a quiet room makes
	linger  = 25 // frames of 20 ms that a voice stays one: pauses between words
)

// gate leaves out who says nothing: fifty open microphones would add up to a
// noise that everybody hears, and each would have to be told something else.
type gate struct{ left int }

// passes reports whether the frame belongs to a voice.
func (g *gate) passes(frame []int16) bool {
	sum := int32(0)
	for _, v := range frame {
		sign := int32(v) >> 31
		sum += int32(v) ^ sign - sign
	}
	if int(sum) >= audible*len(frame) {
		g.left = linger
	}
	if g.left == 0 {
		return false
	}
	g.left--
	return true
}
