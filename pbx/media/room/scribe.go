package room

import (
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// scribe encodes what all who say nothing hear, once for all who have its codec.
type scribe struct {
	codec   string
	mouth   *voice.Mouth
	earlier *voice.Mouth // as the mouth was before this frame
	frame   uint64       // the number of the last one
	payload []byte
	calm    int // frames of silence in a row
}

// scribe returns the one for a codec.
func (r *Room) scribe(c media.Codec) (w *scribe, err error) {
	for _, w := range r.scribes {
		if strings.EqualFold(w.codec, c.Name) {
			return w, nil
		}
	}
	w = &scribe{codec: c.Name}
	if w.mouth, err = voice.NewMouth(c); err == nil {
		w.earlier, err = voice.NewMouth(c)
	}
	if err != nil {
		return nil, err
	}
	r.scribes = append(r.scribes, w)
	return w, nil
}

// say returns the payload of the frame that is common now.
func (w *scribe) say(frame []int16, now uint64) []byte {
	if w.frame == now {
		return w.payload
	}
	if w.calm++; !silent(frame) {
		w.calm = 0
	}
	w.earlier.Follow(w.mouth)
	w.frame, w.payload = now, w.mouth.Say(frame)
	return w.payload
}

// before returns the mouth as it was when the frame before this one was said.
func (w *scribe) before(now uint64) *voice.Mouth {
	if w.frame == now {
		return w.earlier
	}
	return w.mouth
}

// adopt takes the place of a mouth, if nobody has heard the scribe lately.
func (w *scribe) adopt(m *voice.Mouth, now uint64) bool {
	if w.frame+1 >= now {
		return false
	}
	w.mouth.Follow(m)
	w.calm = 0
	return true
}
