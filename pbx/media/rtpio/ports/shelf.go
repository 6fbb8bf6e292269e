package ports

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// Pair is the two sockets of one port.
type Pair struct {
	Number    uint16 // 0: the kernel's, which does not come back to the stock
	RTP, RTCP *poll.Socket
	Held      bool // copies are held for the next process
	Polled    bool // it came from a Shelf: a poller has the sockets already

	family *Family
	since  int64        // when it was laid aside
	heard  atomic.Int64 // when something came since then
}

// Read implements poll.Reader while the pair is on a shelf: what comes late is
// thrown away.
func (p *Pair) Read(_ []byte, _ netip.AddrPort, now int64) { p.heard.Store(now) }

// Close closes both sockets.
func (p *Pair) Close() { _, _ = p.RTP.Close(), p.RTCP.Close() } // nobody is left to tell

const (
	// quiet is how long nothing must have come to a pair before it is used
	// again: who still talks to the call before sends five times as often.
	quiet = 200 * time.Millisecond
	// spare is how many quiet pairs there must be to draw from, so that no one
	// can tell which is next; with fewer a number of the Stock is better.
	spare = 64
	// stale is how long an unused pair stays open.
	stale = 5 * time.Second
	// mostPairs bounds a shelf.
	mostPairs = 1024
)

// Shelf keeps the sockets of ended calls open for the next ones. Opening and
// closing them, and telling another process of it, costs as much as a tenth of
// a call. Only where many calls begin and end does anything come of it: a pair
// that nobody wants within seconds is given up, and its number rests. It is
// not safe for concurrent use.
type Shelf struct {
	most   int
	random func() uint64
	list   []*Pair // oldest first
}

// NewShelf returns the shelf of a stock of so many numbers, in a process that
// may have so many files open. It takes a quarter of the numbers at most, and
// nothing where that would be too few to draw from.
func NewShelf(numbers, files int, random func() uint64) *Shelf {
	s := &Shelf{most: min(mostPairs, numbers/4, files/8), random: random}
	if s.most < 2*spare {
		s.most = 0
	}
	return s
}

// Put lays a pair aside, which must be its own reader from now on; false if
// there is no room.
func (s *Shelf) Put(p *Pair, now int64) bool {
	if len(s.list) >= s.most {
		return false
	}
	p.since, p.Polled = now, true
	s.list = append(s.list, p)
	return true
}

// Take draws one of the pairs of a family to which nothing came for a while;
// nil if there are too few.
func (s *Shelf) Take(f *Family, now int64) *Pair {
	rested, _ := slices.BinarySearchFunc(s.list, now-int64(quiet)+1, func(p *Pair, t int64) int { return int(p.since - t) })
	if rested < spare {
		return nil
	}
	i := int(s.random() % uint64(rested))
	p := s.list[i]
	if p.family != f || now-p.heard.Load() < int64(quiet) {
		return nil
	}
	s.list = slices.Delete(s.list, i, i+1)
	return p
}

// Has reports whether the pair of a number is here.
func (s *Shelf) Has(number uint16) bool {
	return slices.ContainsFunc(s.list, func(p *Pair) bool { return p.Number == number })
}

// Stale takes the pairs that nobody has wanted for long.
func (s *Shelf) Stale(now int64) []*Pair {
	n, _ := slices.BinarySearchFunc(s.list, now-int64(stale)+1, func(p *Pair, t int64) int { return int(p.since - t) })
	return s.first(n)
}

// All takes every pair.
func (s *Shelf) All() []*Pair { return s.first(len(s.list)) }

func (s *Shelf) first(n int) []*Pair {
	out := slices.Clone(s.list[:n])
	s.list = slices.Delete(s.list, 0, n)
	return out
}

// Len is how many pairs are here.
func (s *Shelf) Len() int { return len(s.list) }
