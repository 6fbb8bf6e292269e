package txn

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// served is a request of a peer, and what its user was told.
type served struct {
	*wire
	t     *testing.T
	layer *Layer
	tx    *Server
	req   *sip.Request
	text  string
	told  []string
}

// statuses is a wire that notes status codes.
type statuses struct{ *wire }

func (s statuses) Send(b []byte) error {
	return s.wire.Send([]byte(strings.TrimPrefix(string(b), "SIP/2.0 ")))
}

// begin lets a request of a peer come, in a bubble, where time passes by itself.
func begin(t *testing.T, method, transport string, f func(s *served)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &served{wire: &wire{began: time.Now()}, t: t, layer: New(Places{All: 10}, time.Now)}
		defer s.layer.Close()
		s.text = strings.ReplaceAll(strings.ReplaceAll(invite("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKpeer"), "7 INVITE", "7 "+method), "INVITE sip", method+" sip")
		m := gate.Scan([]byte(s.text))
		from := netip.MustParseAddrPort("192.0.2.1:5060")
		var err error
		if s.req, err = Parse(m, &gate.Flow{Transport: transport, Remote: from}); err != nil {
			t.Fatal(err)
		}
		s.req.To().Params.Add("tag", "ours")
		err = s.layer.begin(m, statuses{s.wire}, from, transport == "UDP", Ordinary, func(tx *Server) {
			s.tx = tx
			tx.Listen(User{
				Cancelled: func(*sip.Request) { s.told = append(s.told, "cancelled") },
				ACK:       func(*sip.Request) { s.told = append(s.told, "ack") },
				Lost:      func() { s.told = append(s.told, "lost") },
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		f(s)
	})
}

func (s *served) respond(status int) error {
	return s.tx.Respond(sip.NewResponseFromRequest(s.req, status, "X", nil))
}

// comes lets the request come again, or what belongs to it.
func (s *served) comes(method string) bool {
	text := strings.ReplaceAll(s.text, "INVITE", method)
	return s.layer.Receive(gate.Scan([]byte(text)))
}

func (s *served) pass(d time.Duration) { time.Sleep(d); synctest.Wait() } //nolint:forbidigo // time is the bubble's own

// wantSent compares what was sent, wantTold what the user was told, wantLive how
// many transactions are left.
func (s *served) wantSent(want ...int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var text []string
	for _, status := range want {
		text = append(text, strconv.Itoa(status))
	}
	if strings.Join(s.sent, " ") != strings.Join(text, " ") {
		s.t.Errorf("sent %q, want %q", s.sent, text)
	}
}

func (s *served) wantTold(want ...string) {
	s.t.Helper()
	if strings.Join(s.told, " ") != strings.Join(want, " ") {
		s.t.Errorf("told %q, want %q", s.told, want)
	}
}

func (s *served) wantLive(want int) {
	s.t.Helper()
	if n, _ := s.layer.Len(); n != want {
		s.t.Errorf("%d transactions are live, want %d", n, want)
	}
}

// TestTrying: a 100 is sent for an INVITE that nobody answers (RFC 3261
// §17.2.1), and only then.
func TestTrying(t *testing.T) {
	begin(t, "INVITE", "UDP", func(s *served) {
		s.comes("INVITE")
		s.pass(tryingAfter - 1)
		s.wantSent()
		s.pass(1)
		s.comes("INVITE")
		s.wantSent(100, 100)
	})
	begin(t, "INVITE", "UDP", func(s *served) {
		_ = s.respond(180)
		s.pass(time.Hour)
		s.comes("INVITE")
		s.wantSent(180, 180)
	})
	begin(t, "BYE", "UDP", func(s *served) {
		s.pass(time.Hour)
		s.wantSent()
	})
}

// TestARefusalIsSentAgain until its ACK comes, or Timer H (RFC 3261 §17.2.1).
func TestARefusalIsSentAgain(t *testing.T) {
	begin(t, "INVITE", "UDP", func(s *served) {
		_ = s.respond(486)
		s.pass(giveUpAfter - 1)
		var at []float64
		for _, d := range s.at {
			at = append(at, d.Seconds())
		}
		want := []float64{0, .5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5}
		if !slices.Equal(at, want) {
			t.Errorf("sent at %v, want %v", at, want)
		}
		s.wantLive(1)
		s.pass(1)
		s.wantLive(0)
		s.pass(time.Hour)
		if len(s.at) != len(want) {
			t.Error("it is sent after Timer H")
		}
	})
	begin(t, "INVITE", "UDP", func(s *served) {
		_ = s.respond(486)
		s.comes("INVITE")
		s.comes("ACK")
		s.comes("INVITE") // a late one is absorbed
		s.pass(time.Minute)
		s.wantSent(486, 486)
		s.wantTold()
		s.wantLive(0)
	})
	begin(t, "INVITE", "TCP", func(s *served) {
		_ = s.respond(486)
		s.wantLive(0)
	})
}

// TestA2xxIsItsUsersToRepeat (RFC 6026 §7.1): the transaction absorbs the
// INVITE and hands over an ACK with the same branch.
func TestA2xxIsItsUsersToRepeat(t *testing.T) {
	begin(t, "INVITE", "UDP", func(s *served) {
		_ = s.respond(200)
		s.comes("INVITE")
		s.pass(t1)
		if err := s.respond(200); err != nil {
			t.Error(err)
		}
		if s.respond(180) == nil || s.respond(486) == nil {
			t.Error("something else is sent after a 2xx")
		}
		s.comes("ACK")
		s.comes("CANCEL") // too late
		s.wantTold("ack")
		s.wantSent(200, 200)
		s.tx.Settle()
		s.wantLive(0)
		if !s.comes("INVITE") {
			t.Error("a late INVITE is a new one")
		}
		s.wantSent(200, 200)
	})
	begin(t, "INVITE", "UDP", func(s *served) {
		_ = s.respond(200)
		s.pass(giveUpAfter - 1)
		s.wantLive(1)
		s.pass(1) // Timer L
		s.wantLive(0)
		if s.respond(200) == nil {
			t.Error("a 2xx is sent after Timer L")
		}
	})
}

func TestAnotherRequestIsAnsweredOnce(t *testing.T) {
	begin(t, "BYE", "UDP", func(s *served) {
		_ = s.respond(200)
		s.wantLive(0)
		s.comes("BYE")
		s.wantSent(200, 200)
		if s.respond(500) == nil {
			t.Error("it is answered twice")
		}
	})
	begin(t, "BYE", "UDP", func(s *served) {
		s.layer.settled.limit = 0 // no room: it lives on until Timer J
		_ = s.respond(200)
		s.comes("BYE")
		s.wantLive(1)
		s.pass(giveUpAfter)
		s.wantLive(0)
		s.wantSent(200, 200)
	})
	begin(t, "BYE", "TCP", func(s *served) {
		_ = s.respond(200)
		s.wantLive(0)
		if s.comes("BYE") {
			t.Error("a stream repeats nothing")
		}
	})
}

// TestACancelledINVITE gets its 487, whatever its user says later.
func TestACancelledINVITE(t *testing.T) {
	begin(t, "INVITE", "UDP", func(s *served) {
		_ = s.respond(180)
		s.comes("CANCEL")
		s.comes("CANCEL")
		if s.respond(200) == nil {
			t.Error("a 2xx is sent for an INVITE that was taken back")
		}
		if s.tx.Listen(User{}) {
			t.Error("who comes late is not told that it was taken back")
		}
		s.comes("ACK")
		s.pass(time.Minute)
		s.wantTold("cancelled")
		s.wantSent(180, 487)
		s.wantLive(0)
	})
}

// TestTheUserIsToldALoss: of the way to the peer, or of the table.
func TestTheUserIsToldALoss(t *testing.T) {
	begin(t, "INVITE", "UDP", func(s *served) {
		s.fails.Store(true)
		if s.respond(180) == nil {
			t.Error("no error")
		}
		s.wantTold("lost")
		s.wantLive(0)
	})
	begin(t, "INVITE", "UDP", func(s *served) {
		s.layer.Close()
		s.wantTold("lost")
		s.wantLive(0)
	})
	begin(t, "INVITE", "UDP", func(s *served) {
		s.tx.Settle() // nobody will answer
		s.pass(time.Hour)
		s.wantTold()
		s.wantSent()
		s.wantLive(0)
	})
	begin(t, "INVITE", "UDP", func(s *served) {
		_ = s.respond(200)
		s.layer.Close()
		s.wantTold() // it has answered
	})
}
