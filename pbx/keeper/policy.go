package keeper

import "time"

// How a child that dies is started again: at once, and slower if it dies soon
// after it served, or never served. The last try is half a minute after the
// first; then whoever started the parent is to know.
const (
	steady     = 2 * time.Second // it served for so long: its death is a new story
	firstDelay = 50 * time.Millisecond
	lastDelay  = 5 * time.Second
	tries      = 12
)

// policy counts deaths in a row.
type policy struct {
	row      int // children that died without having been steady
	restarts int
}

// died takes the death of a child that has served for so long (0: never). It
// returns the pause until the next start, or false when it has died too often.
func (p *policy) died(served time.Duration) (pause time.Duration, again bool) {
	p.restarts++
	if served >= steady {
		p.row = 0
	}
	p.row++
	switch {
	case p.row >= tries:
		return 0, false
	case p.row == 1:
		return 0, true
	}
	return min(firstDelay<<(p.row-2), lastDelay), true
}
