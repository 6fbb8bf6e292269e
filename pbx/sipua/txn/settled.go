package txn

import "time"

// settledFor is how long the peer may send a request again whose answer we
// gave: 64*T1, Timer J of RFC 3261 §17.2.2 and Timer L of RFC 6026 §7.1.
const settledFor = 32 * time.Second

// settled remembers server transactions that have nothing left to do but to
// repeat their answer. It holds the answer's bytes, a tenth of what the live
// transaction holds, so that the number of calls in a second is not bounded by
// transactions that wait for a timer. There are two generations: a young one
// that grows for settledFor, and an old one that is forgotten after as long.
// The table's mutex guards it.
type settled struct {
	limit      int // of each generation
	young, old map[string]remembered
	since      time.Time // when young began
}

// remembered is how a retransmission is answered; without text it is absorbed.
type remembered struct {
	way  sender
	text []byte
}

// keep takes a transaction over; false means that there is no room.
func (s *settled) keep(key string, r remembered, now time.Time) bool {
	s.turn(now)
	if len(s.young) >= s.limit {
		return false
	}
	if s.young == nil {
		s.young, s.since = make(map[string]remembered), now
	}
	s.young[key] = r
	return true
}

func (s *settled) find(key []byte, now time.Time) (remembered, bool) {
	s.turn(now)
	r, ok := s.young[string(key)]
	if !ok {
		r, ok = s.old[string(key)]
	}
	return r, ok
}

// turn forgets what is old enough.
func (s *settled) turn(now time.Time) {
	switch age := now.Sub(s.since); {
	case age >= 2*settledFor:
		s.young, s.old = nil, nil
	case age >= settledFor:
		s.young, s.old, s.since = nil, s.young, now
	}
}
