package ports

import (
	"slices"
	"time"
)

// Stock is the stock of port numbers: those that may be used, drawn at
// random so that they cannot be guessed, and those that rest, so that late
// packets of an ended call do not reach the next one. It is not safe for
// concurrent use.
type Stock struct {
	rest    time.Duration
	rested  []uint16
	resting []rester // oldest first
	random  func() uint64
}

type rester struct {
	number uint16
	until  int64
}

// NewStock fills the stock with the even numbers whose next is in the range
// as well.
func NewStock(from, to int, rest time.Duration, random func() uint64) *Stock {
	n := &Stock{rest: rest, random: random}
	for p := from + from&1; p+1 <= to; p += 2 {
		n.rested = append(n.rested, uint16(p))
	}
	return n
}

// Take draws a number. When every number is in use or rests, the one that has
// rested longest is given.
func (n *Stock) Take(now int64) (uint16, bool) {
	for len(n.resting) > 0 && n.resting[0].until <= now {
		n.rested = append(n.rested, n.resting[0].number)
		n.resting = n.resting[1:]
	}
	if last := len(n.rested) - 1; last >= 0 {
		i := int(n.random() % uint64(last+1))
		p := n.rested[i]
		n.rested[i] = n.rested[last]
		n.rested = n.rested[:last]
		return p, true
	}
	if len(n.resting) == 0 {
		return 0, false
	}
	p := n.resting[0].number
	n.resting = n.resting[1:]
	return p, true
}

// Remove takes that number, whether it rests or not; false if it is not here.
func (n *Stock) Remove(number uint16) bool {
	if i := slices.Index(n.rested, number); i >= 0 {
		n.rested = slices.Delete(n.rested, i, i+1)
		return true
	}
	i := slices.IndexFunc(n.resting, func(r rester) bool { return r.number == number })
	if i >= 0 {
		n.resting = slices.Delete(n.resting, i, i+1)
	}
	return i >= 0
}

// Put gives a number back, to rest.
func (n *Stock) Put(p uint16, now int64) {
	n.resting = append(n.resting, rester{number: p, until: now + int64(n.rest)})
}

// Left is how many numbers Take can still give.
func (n *Stock) Left() int { return len(n.rested) + len(n.resting) }
