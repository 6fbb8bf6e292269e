package mix

import (
	"fmt"
	"math"
	"slices"

	"github.com/dipcast/dipcast/pbx/media/resample"
)

// The rates of voices in Hz, and the samples of their frames.
const (
	narrow      = 8000
	wide        = 16000
	narrowFrame = narrow / 50
	wideFrame   = wide / 50
)

// Voice is a way to speak and to hear. Its methods are called by Tick alone
// and must not block.
type Voice interface {
	// Rate is 8000 or 16000 Hz and never changes.
	Rate() int
	// Hear writes what is said in the next 20 ms, and reports false if that is
	// nothing.
	Hear(frame []int16) bool
	// Say tells what the others say. common: the voice itself says nothing, and
	// all such voices of its rate are told this very frame. The frame is the
	// mixer's.
	Say(frame []int16, common bool)
}

// member is a voice with what it has said in this frame.
type member struct {
	voice Voice
	frame int // samples
	said  [wideFrame]int16
	gate  gate
	spoke bool
}

// band is the part of the voices that has one rate.
type band struct {
	members int
	own     [wideFrame]int32 // the sum of its members
	other   [wideFrame]int32 // the sum of the other band, at this one's rate
	all     [wideFrame]int16 // both, cut off: what silent members hear
}

// Mixer mixes voices. The zero value has none.
type Mixer struct {
	members []*member
	low     band
	high    band
	up      *resample.Resampler // nil as long as one band was enough
	down    *resample.Resampler
	out     [wideFrame]int16
}

// Join takes a voice in; from the next frame on it is heard. An error tells a
// rate that voices do not have.
func (m *Mixer) Join(v Voice) error {
	n := &member{voice: v}
	switch rate := v.Rate(); rate {
	case narrow:
		n.frame = narrowFrame
	case wide:
		n.frame = wideFrame
	default:
		return fmt.Errorf("a voice of %d Hz: want %d or %d", rate, narrow, wide)
	}
	m.band(n).members++
	m.members = append(m.members, n)
	if !m.both() || m.up != nil {
		return nil
	}
	var err error
	if m.up, err = resample.New(narrow, wide); err == nil {
		m.down, err = resample.New(wide, narrow)
	}
	return err
}

// Leave takes a voice out.
func (m *Mixer) Leave(v Voice) {
	at := slices.IndexFunc(m.members, func(n *member) bool { return n.voice == v })
	if at < 0 {
		return
	}
	m.band(m.members[at]).members--
	m.members = slices.Delete(m.members, at, at+1)
}

func (m *Mixer) band(n *member) *band {
	if n.frame == wideFrame {
		return &m.high
	}
	return &m.low
}

// both reports whether there are voices of both rates.
func (m *Mixer) both() bool { return m.low.members > 0 && m.high.members > 0 }

// Tick is one frame: all are heard, then all are told.
func (m *Mixer) Tick() {
	clear(m.low.own[:narrowFrame])
	clear(m.high.own[:])
	for _, n := range m.members {
		said := n.said[:n.frame]
		if n.spoke = n.voice.Hear(said) && n.gate.passes(said); n.spoke {
			add(m.band(n).own[:n.frame], said)
		}
	}
	m.cross()
	m.low.sum(narrowFrame)
	m.high.sum(wideFrame)
	for _, n := range m.members {
		n.voice.Say(m.without(n), !n.spoke)
	}
}

// cross carries the sum of each band over to the other. One band alone needs
// no filter.
func (m *Mixer) cross() {
	if !m.both() {
		clear(m.low.other[:])
		clear(m.high.other[:])
		return
	}
	resample.Do(m.up, m.high.other[:], m.low.own[:narrowFrame])
	resample.Do(m.down, m.low.other[:narrowFrame], m.high.own[:])
}

// without is what a member hears: all but itself.
func (m *Mixer) without(n *member) []int16 {
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
