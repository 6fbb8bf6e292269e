package txn

import (
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

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
	young, old map[string]answer
	since      time.Time // when young began
}

// answer is how a retransmission is answered; without text it is absorbed.
type answer struct {
	flow *gate.Flow
	text []byte
}

// keep takes a transaction over; false means that there is no room.
func (s *settled) keep(key string, a answer, now time.Time) bool {
	s.turn(now)
	if len(s.young) >= s.limit {
		return false
	}
	if s.young == nil {
		s.young, s.since = make(map[string]answer), now
	}
	s.young[key] = a
	return true
}

func (s *settled) find(key []byte, now time.Time) (answer, bool) {
	s.turn(now)
	a, ok := s.young[string(key)]
	if !ok {
		a, ok = s.old[string(key)]
	}
	return a, ok
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

// settle ends a transaction that was served, or leaves it to its timers: one
// that refused an INVITE waits for the ACK, and one without room among the
// settled ones goes on as it is. Streams know no retransmissions.
func (l *Layer) settle(key string, tx *sip.ServerTx, c *conn, invite bool) {
	final := c.final.Load()
	if c.flow.Transport != "UDP" || final == nil || invite && !final.success {
		tx.TerminateGracefully()
		return
	}
	a := answer{flow: c.flow, text: final.text}
	if invite {
		a = answer{} // the dialog repeats the 2xx, not the transaction
	}
	l.mu.Lock()
	ok := l.settled.keep(key, a, l.now())
	l.mu.Unlock()
	if !ok {
		tx.TerminateGracefully()
		return
	}
	tx.Terminate()
}
