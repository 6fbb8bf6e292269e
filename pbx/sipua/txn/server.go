package txn

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// User is what a server transaction tells whoever answers its request. It is
// called from where the socket is read, or a timer, and must neither block nor
// call the transaction. Every field may be nil.
type User struct {
	Tag string // of ours in the 487
	// Cancelled is told the CANCEL of an INVITE that is not answered; the 487
	// follows by itself, and no other response is sent any more.
	Cancelled func(cancel *sip.Request)
	// ACK is told an ACK of a 2xx that has the branch of its INVITE, as phones
	// of RFC 2543 send it.
	ACK func(ack *sip.Request)
	// Lost is told that nothing can be answered any more: a provisional
	// response could not be sent, or the table is closed.
	Lost func()
}

// Server is a server transaction (RFC 3261 §17.2, RFC 6026 §7.1). It is bytes
// and a timer; answered, it is mostly less, see settled.
type Server struct {
	l        *Layer
	key      string
	way      sender
	from     netip.AddrPort // where the request came from
	invite   bool
	datagram bool // what is lost must be sent again

	mu    sync.Mutex
	state serverState
	user  User
	m     *gate.Message // until it is answered
	told  func()        // that it is answered
	text  []byte        // of the last response, to be sent again
	wait  time.Duration // until a refusal is sent again
	left  time.Duration // until the transaction ends
	armed time.Duration // what the timer was set to
	due   time.Time     // when it fires; one that came too late to be stopped is none
	timer *time.Timer
}

type serverState int

const (
	trying    serverState = iota // no response was sent; Proceeding in the RFC if it is an INVITE
	ringing                      // a provisional one was: Proceeding
	succeeded                    // a 2xx to an INVITE: Accepted
	answered                     // another final response: Completed
	ended
)

// tryingAfter is when an INVITE that nobody has answered gets a 100 (RFC 3261
// §17.2.1). Whoever rings before that is spared it.
const tryingAfter = 200 * time.Millisecond

// Listen sets who is told what happens; false if the request was taken back
// before.
func (s *Server) Listen(u User) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = u
	return s.state == trying || s.state == ringing
}

// Answered has f told once that no answer is owed any more: a final response
// is being sent, or there will be none. f must neither block nor call the
// transaction.
func (s *Server) Answered(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != trying && s.state != ringing {
		f()
		return
	}
	s.told = f
}

// tell tells who waits for it. It is called under mu.
func (s *Server) tell() {
	if s.told != nil {
		s.told()
		s.told = nil
	}
}

// Respond sends a response. Once there is a final one, only a 2xx to an INVITE
// can be sent again. Errors: the request was cancelled, or answered; the peer
// cannot be reached, which ends the transaction unless its answer settled it.
func (s *Server) Respond(res *sip.Response) error {
	b := s.l.write(res)
	defer s.l.buffers.Put(b)
	s.mu.Lock()
	open := s.state == trying || s.state == ringing
	switch {
	case !open && (s.state != succeeded || !res.IsSuccess()):
		s.mu.Unlock()
		return sip.ErrTransactionTerminated
	case res.IsProvisional():
		s.state, s.text = ringing, bytes.Clone(b.Bytes())
		if s.timer != nil {
			s.timer.Stop()
		}
	case open:
		s.answer(res.IsSuccess(), b.Bytes())
	}
	s.mu.Unlock()
	err := s.way.Send(b.Bytes())
	if err == nil {
		return nil
	}
	if res.IsProvisional() {
		s.Terminate()
	} else if s.invite {
		s.end()
	}
	return fmt.Errorf("send %d: %w", res.StatusCode, err)
}

// answer takes the final response. It is called under mu.
func (s *Server) answer(success bool, text []byte) {
	s.user.Cancelled, s.user.Lost, s.m, s.text = nil, nil, nil, nil
	s.tell()
	switch {
	case s.invite && success:
		s.state = succeeded // the dialog sends it again
		s.arm(giveUpAfter)  // Timer L
	case !s.datagram:
		s.state = ended
		s.forget(nil)
	case s.invite:
		s.state, s.text, s.wait, s.left = answered, bytes.Clone(text), t1, giveUpAfter
		s.arm(t1) // Timer G
	default:
		s.state, s.text = answered, bytes.Clone(text)
		if s.forget(&remembered{s.way, s.text}) {
			s.state = ended
			return
		}
		s.left = giveUpAfter
		s.arm(giveUpAfter) // Timer J
	}
}

// Settle says that the user has nothing more to say: the ACK of a 2xx has
// come, or nobody will answer.
func (s *Server) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == answered || s.state == ended {
		return
	}
	s.absorb(s.state == succeeded)
}

// absorb ends an INVITE; with quietly it is remembered, so that one that is
// sent again is no new one. It is called under mu.
func (s *Server) absorb(quietly bool) {
	s.state, s.user, s.m, s.text = ended, User{}, nil, nil
	s.tell()
	if s.timer != nil {
		s.timer.Stop()
	}
	if quietly && s.datagram {
		s.forget(&remembered{})
		return
	}
	s.forget(nil)
}

// forget takes the transaction out of the table and leaves what is to be
// remembered there; false means that there was no room, and a transaction with
// an answer stays.
func (s *Server) forget(r *remembered) bool {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	kept := r != nil && s.l.settled.keep(s.key, *r, s.l.now())
	if r != nil && !kept && r.text != nil {
		return false
	}
	if s.l.server[s.key] == s {
		delete(s.l.server, s.key)
	}
	return kept
}

// receive takes a request that belongs to the transaction.
func (s *Server) receive(m *gate.Message) {
	switch m.Method {
	case "ACK":
		s.acked(m)
	case "CANCEL":
		s.cancel(m)
	default:
		s.mu.Lock()
		text := s.text
		s.mu.Unlock()
		if text != nil {
			_ = s.way.Send(text) // the peer asks again
		}
	}
}

// acked takes an ACK. That of a refusal ends the transaction; Timer I is not
// needed, since one that comes again belongs to nothing.
func (s *Server) acked(m *gate.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == answered && s.invite:
		s.absorb(true)
	case s.state == succeeded && s.user.ACK != nil:
		if ack, err := Parse(m, nil); err == nil {
			s.user.ACK(ack)
		}
	}
}

// cancel refuses an INVITE that the peer takes back (RFC 3261 §9.2).
func (s *Server) cancel(m *gate.Message) {
	cancel, err := Parse(m, nil)
	if err != nil {
		return
	}
	s.mu.Lock()
	if !s.invite || s.state != trying && s.state != ringing {
		s.mu.Unlock()
		return
	}
	if s.user.Cancelled != nil {
		s.user.Cancelled(cancel)
	}
	text := (&gate.Reply{Status: 487, Reason: "Request Terminated", Tag: s.user.Tag}).Bytes(s.m, s.from)
	s.answer(false, text)
	s.mu.Unlock()
	_ = s.way.Send(text) // it is sent again until the ACK
}

// arm sets the timer.
func (s *Server) arm(d time.Duration) {
	s.armed, s.due = d, time.Now().Add(d)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.fire)
		return
	}
	s.timer.Reset(d)
}

// await arms the 100 of an INVITE, unless somebody was faster.
func (s *Server) await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.invite && s.state == trying {
		s.arm(tryingAfter)
	}
}

// fire sends what is due, or ends the transaction.
func (s *Server) fire() {
	s.mu.Lock()
	var text []byte
	switch {
	case time.Now().Before(s.due):
	case s.state == trying:
		s.text = (&gate.Reply{Status: 100, Reason: "Trying"}).Bytes(s.m, s.from)
		s.state, text = ringing, s.text
	case s.state == answered && s.invite && s.left > s.armed:
		s.left -= s.armed
		s.wait = min(2*s.wait, t2)
		s.arm(min(s.wait, s.left))
		text = s.text
	case s.state == answered || s.state == succeeded:
		s.absorb(false) // timers H, J and L
	}
	s.mu.Unlock()
	if text != nil {
		_ = s.way.Send(text) // the peer asks again
	}
}

// Terminate ends the transaction; a user who has not answered is told.
func (s *Server) Terminate() {
	if lost := s.end(); lost != nil {
		lost()
	}
}

func (s *Server) end() (lost func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost = s.user.Lost
	s.absorb(false)
	return lost
}
