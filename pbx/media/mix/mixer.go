package mix

import (
	"math"
	"slices"

	"github.com/dipcast/dipcast/pbx/media/resample"
)

// The rates of members in Hz, and the samples of their frames.
const (
	narrow      = 8000
	wide        = 16000
	narrowFrame = narrow / 50
	wideFrame   = wide / 50
)

// member is a voice with what it has said in this frame.
type member struct {
	voice Voice
	frame int // samples
	said  [wideFrame]int16
	spoke bool
}

// band is the part of a room that speaks at one rate.
type band struct {
	members int
	own     [wideFrame]int32 // the sum of its members
	other   [wideFrame]int32 // the sum of the other band, at this one's rate
	all     [wideFrame]int16 // both, cut off: what silent members hear
}

// mixer is the room without its goroutine.
type mixer struct {
	members []*member
	low     band
	high    band
	up      *resample.Resampler
	down    *resample.Resampler
	out     [wideFrame]int16
}

func newMixer() (*mixer, error) {
	up, err := resample.New(narrow, wide)
	if err != nil {
		return nil, err
	}
	down, err := resample.New(wide, narrow)
	if err != nil {
		return nil, err
	}
	return &mixer{up: up, down: down}, nil
}

func (m *mixer) join(v Voice) {
	n := &member{voice: v, frame: narrowFrame}
	if v.Rate() == wide {
		n.frame = wideFrame
	}
	m.band(n).members++
	m.members = append(m.members, n)
}

func (m *mixer) leave(v Voice) {
	at := slices.IndexFunc(m.members, func(n *member) bool { return n.voice == v })
	if at < 0 {
		return
	}
	m.band(m.members[at]).members--
	m.members = slices.Delete(m.members, at, at+1)
}

func (m *mixer) band(n *member) *band {
	if n.frame == wideFrame {
		return &m.high
	}
	return &m.low
}

// tick is one frame: all are heard, then all are told.
func (m *mixer) tick() {
	clear(m.low.own[:narrowFrame])
	clear(m.high.own[:])
	for _, n := range m.members {
		said := n.said[:n.frame]
		if n.spoke = n.voice.Hear(said); n.spoke {
			add(m.band(n).own[:n.frame], said)
		}
	}
	m.cross()
	m.low.sum(narrowFrame)
	m.high.sum(wideFrame)
	for _, n := range m.members {
		n.voice.Say(m.without(n))
	}
}

// cross carries the sum of each band over to the other. A room of one band
// needs no filter.
func (m *mixer) cross() {
	if m.low.members == 0 || m.high.members == 0 {
		clear(m.low.other[:])
		clear(m.high.other[:])
		return
	}
	resample.Do(m.up, m.high.other[:], m.low.own[:narrowFrame])
	resample.Do(m.down, m.low.other[:narrowFrame], m.high.own[:])
}

// without is what a member hears: all but itself.
func (m *mixer) without(n *member) []int16 {
	b := m.band(n)
	if !n.spoke {
		return b.all[:n.frame]
	}
	out, own, other, said := m.out[:n.frame], b.own[:n.frame], b.other[:n.frame], n.said[:n.frame]
	for i := range out {
		out[i] = clip(own[i] + other[i] - int32(said[i]))
	}
	return out
}

// sum makes what silent members hear.
func (b *band) sum(n int) {
	if b.members == 0 {
		return
	}
	own, other, all := b.own[:n], b.other[:n], b.all[:n]
	for i := range all {
		all[i] = clip(own[i] + other[i])
	}
}

func add(sum []int32, said []int16) {
	sum = sum[:len(said)]
	for i, v := range said {
		sum[i] += int32(v)
	}
}

func clip(v int32) int16 { return int16(min(max(v, math.MinInt16), math.MaxInt16)) }
