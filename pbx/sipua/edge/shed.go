package edge

import (
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/load"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// Shed counts what was answered with 503 since there was too much of it; its
// fields only grow.
type Shed struct {
	Phones        atomic.Uint64 // new calls of phones
	Trunks        atomic.Uint64 // new calls of trunks
	Registrations atomic.Uint64
	Users         atomic.Uint64 // requests of phones that ask too often
}

// SetLoad says who may begin a call from now on.
func (e *Edge) SetLoad(l load.Level) { e.load.Store(int32(l)) }

func (e *Edge) level() load.Level { return load.Level(e.load.Load()) }

// shed refuses an INVITE that begins a call if there is no room for one of its
// kind. Phones are refused before they are asked who they are: to prove it
// takes two more messages, and nobody learns from the answer who exists. Only
// phones call for help: a datagram with the address of a trunk proves nothing,
// whatever number is in it.
func (e *Edge) shed(idx *index, m *gate.Message, f *gate.Flow, trunk bool) bool {
	from, count := load.ShedPhones, &e.shedded.Phones
	if trunk {
		from, count = load.ShedTrunks, &e.shedded.Trunks
	}
	if e.level() < from || m.Method != "INVITE" || !trunk && idx.emergencyCall(m) {
		return false
	}
	count.Add(1)
	e.busy(m, f, "Service Unavailable (overloaded)", e.jitter(m, callWait, callWait))
	return true
}

// callWait is how long a caller is asked to wait, and as much again by chance.
const callWait = 5 * time.Second

// busy answers 503 with when to come back, in whole seconds.
func (e *Edge) busy(m *gate.Message, f *gate.Flow, reason string, after time.Duration) {
	seconds := strconv.Itoa(int((after + time.Second - 1) / time.Second))
	e.answer(m, f, 503, reason, gate.Header{Name: "Retry-After", Value: seconds})
}

// jitter spreads those who are refused together over [d, d+spread). A
// retransmission is told the same.
func (e *Edge) jitter(m *gate.Message, d, spread time.Duration) time.Duration {
	return d + time.Duration(maphash.String(e.branches, m.CallID)%uint64(spread))
}

// allowed reports whether an extension may ask for one more call or
// registration.
func (e *Edge) allowed(number string, m *gate.Message, f *gate.Flow) bool {
	if e.users.Take(number, e.cfg.Now()) {
		return true
	}
	e.shedded.Users.Add(1)
	e.busy(m, f, "Service Unavailable (too many requests of this extension)", e.jitter(m, callWait, callWait))
	return false
}

// What registrations are spread by when they come all at once: after a power
// cut, or when this process was away.
const (
	// newWaiting is how many answers may wait for the store before phones that
	// have no binding yet are told to come back; for a binding that is renewed
	// it is the registrar's own limit, twice as much.
	newWaiting = 2048
	// newRate is how many new bindings a second are taken under load, and
	// newBurst at once.
	newRate, newBurst = 200, 200
	// comeBack is how many a second are asked to come back at the same time:
	// far fewer than are served, so that nobody is refused twice.
	comeBack = 1000
	// firstWait and lastWait bound how long a phone is asked to wait.
	firstWait, lastWait = 2 * time.Second, time.Minute
)

// storm spreads registrations. Its methods may be called from any goroutine.
type storm struct {
	mu     sync.Mutex
	tokens float64 // for new bindings under load
	at     time.Time
	next   time.Time // when the next one who is refused shall come back
}

// take reports whether one more new binding may be made under load.
func (s *storm) take(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = min(newBurst, s.tokens+newRate*max(0, now.Sub(s.at).Seconds()))
	s.at = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// later returns how long the next phone that is refused shall wait. Each gets
// a moment after the one before it.
func (s *storm) later(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := now.Add(firstWait)
	if s.next.Before(first) {
		s.next = first
	}
	wait := s.next.Sub(now)
	if wait > lastWait { // so many that they begin anew
		s.next, wait = first, firstWait
	}
	s.next = s.next.Add(time.Second / comeBack)
	return wait
}

// refuse tells a phone to register later.
func (e *Edge) refuse(m *gate.Message, f *gate.Flow) {
	e.shedded.Registrations.Add(1)
	wait := e.storm.later(e.cfg.Now())
	e.busy(m, f, "Service Unavailable (many phones register)", e.jitter(m, wait, wait/2))
}

// room reports whether a REGISTER is carried out now. One that renews bindings,
// removes them or asks for them is; new ones wait while the store has much to
// write, or the machine much to do.
func (e *Edge) room(renews bool) bool {
	if renews {
		return true
	}
	switch e.level() {
	case load.Normal:
		return e.cfg.Registrar.Waiting() < newWaiting
	case load.EmergencyOnly:
		return false
	}
	return e.cfg.Registrar.Waiting() < newWaiting && e.storm.take(e.cfg.Now())
}
