package txn

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// wire notes what is sent and when. Timers send from goroutines of their own.
type wire struct {
	mu    sync.Mutex
	began time.Time
	sent  []string
	at    []time.Duration
	fails atomic.Bool
}

func (w *wire) Send(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	first, _, _ := strings.Cut(string(b), " ")
	w.sent, w.at = append(w.sent, first), append(w.at, time.Since(w.began))
	if w.fails.Load() {
		return errors.New("no route")
	}
	return nil
}

// asked is a request on its way and what its user was told.
type asked struct {
	*wire
	layer *Layer
	tx    *Client
	told  []string
}

// ask begins a client transaction in a bubble, where time passes by itself.
func ask(t *testing.T, method, transport string, f func(a *asked)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &asked{wire: &wire{began: time.Now()}, layer: New(Places{All: 10}, time.Now)}
		defer a.layer.Close()
		text := strings.ReplaceAll(strings.ReplaceAll(invite("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours"), "7 INVITE", "7 "+method), "INVITE sip", method+" sip")
		req, err := Parse(gate.Scan([]byte(text)), nil)
		if err != nil {
			t.Fatal(err)
		}
		a.tx, err = a.layer.request(req, a.wire, transport == "UDP", func(res *sip.Response, err error, again bool) {
			a.mu.Lock()
			defer a.mu.Unlock()
			switch {
			case errors.Is(err, sip.ErrTransactionTimeout):
				a.told = append(a.told, "timeout")
			case err != nil:
				a.told = append(a.told, "error")
			default:
				a.told = append(a.told, strconv.Itoa(res.StatusCode)+map[bool]string{true: " again"}[again])
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		f(a)
	})
}

// answer is a response of the peer; it reports whether it was taken.
func (a *asked) answer(status int, method string) bool {
	return a.layer.Response(gate.Scan([]byte("SIP/2.0 " + strconv.Itoa(status) + " X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours\r\n" +
		"From: <sip:101@pbx.example>;tag=a\r\nTo: <sip:102@pbx.example>;tag=peer\r\nCall-ID: c\r\nCSeq: 7 " + method + "\r\n\r\n")))
}

func (a *asked) pass(d time.Duration) { time.Sleep(d); synctest.Wait() } //nolint:forbidigo // time is the bubble's own

// wantTold and wantSent compare what the user was told and what was sent.
func (a *asked) wantTold(t *testing.T, want ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.told, want) {
		t.Errorf("told %q, want %q", a.told, want)
	}
}

func (a *asked) wantSent(t *testing.T, want ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Equal(a.sent, want) {
		t.Errorf("sent %q, want %q", a.sent, want)
	}
}

// TestARequestIsSentAgain: timers A and B, E and F (RFC 3261 §17.1.1.2,
// §17.1.2.2).
func TestARequestIsSentAgain(t *testing.T) {
	for _, tc := range []struct {
		method, transport string
		at                []float64 // seconds
	}{
		{"INVITE", "UDP", []float64{0, .5, 1.5, 3.5, 7.5, 15.5, 31.5}},
		{"BYE", "UDP", []float64{0, .5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5}},
		{"INVITE", "TCP", []float64{0}},
		{"BYE", "TCP", []float64{0}},
	} {
		ask(t, tc.method, tc.transport, func(a *asked) {
			a.pass(32*time.Second - time.Millisecond)
			a.wantTold(t)
			a.pass(time.Minute)
			a.wantTold(t, "timeout")
			a.mu.Lock()
			defer a.mu.Unlock()
			var at []float64
			for _, d := range a.at {
				at = append(at, d.Seconds())
			}
			if !slices.Equal(at, tc.at) {
				t.Errorf("%s over %s was sent at %v, want %v", tc.method, tc.transport, at, tc.at)
			}
		})
	}
}

// TestProvisionalResponses stop the repetition of an INVITE and slow that of
// another request down.
func TestProvisionalResponses(t *testing.T) {
	ask(t, "INVITE", "UDP", func(a *asked) {
		a.answer(180, "INVITE")
		a.pass(time.Hour)
		a.answer(183, "INVITE")
		a.wantTold(t, "180", "183")
		a.wantSent(t, "INVITE")
	})
	ask(t, "BYE", "UDP", func(a *asked) {
		a.answer(100, "BYE")
		a.pass(10 * time.Second)
		a.wantSent(t, "BYE", "BYE", "BYE", "BYE") // 0, 0.5, 4.5, 8.5 s
		a.pass(time.Minute)
		a.wantTold(t, "100", "timeout")
	})
}

// TestARefusalIsAcknowledged, each time that it comes, until Timer D.
func TestARefusalIsAcknowledged(t *testing.T) {
	ask(t, "INVITE", "UDP", func(a *asked) {
		a.answer(100, "INVITE")
		a.answer(486, "INVITE")
		a.answer(486, "INVITE")
		a.answer(200, "INVITE") // after a refusal of no effect
		a.wantTold(t, "100", "486")
		a.wantSent(t, "INVITE", "ACK", "ACK")
		a.pass(32 * time.Second)
		if a.answer(486, "INVITE") {
			t.Error("a response after Timer D was taken")
		}
	})
	ask(t, "INVITE", "TCP", func(a *asked) {
		a.answer(486, "INVITE")
		a.pass(0)
		if _, n := a.layer.Len(); n != 0 {
			t.Errorf("%d transactions are left: a stream repeats nothing", n)
		}
	})
}

// TestFurther2xxAreTold until Timer M (RFC 6026 §7.2); nothing is sent by the
// transaction.
func TestFurther2xxAreTold(t *testing.T) {
	ask(t, "INVITE", "UDP", func(a *asked) {
		a.answer(200, "INVITE")
		a.pass(31 * time.Second)
		a.answer(200, "INVITE")
		a.answer(486, "INVITE") // of no effect any more
		a.pass(2 * time.Second)
		if a.answer(200, "INVITE") {
			t.Error("a 2xx after Timer M was taken")
		}
		a.wantTold(t, "200", "200 again")
		a.wantSent(t, "INVITE")
	})
}

func TestAnotherRequestEndsWithItsAnswer(t *testing.T) {
	ask(t, "BYE", "UDP", func(a *asked) {
		a.answer(200, "BYE")
		if a.answer(200, "BYE") {
			t.Error("an answer sent again found a transaction")
		}
		a.pass(time.Minute)
		a.wantTold(t, "200")
		a.wantSent(t, "BYE")
	})
}

// TestTheUserIsToldTheEnd once, whoever ends the transaction.
func TestTheUserIsToldTheEnd(t *testing.T) {
	ask(t, "INVITE", "UDP", func(a *asked) {
		a.tx.Terminate()
		a.tx.Terminate()
		a.pass(time.Minute)
		a.wantTold(t, "error")
	})
	ask(t, "INVITE", "UDP", func(a *asked) {
		a.fails.Store(true)
		a.pass(time.Minute)
		a.wantTold(t, "error")
		a.wantSent(t, "INVITE", "INVITE")
	})
	ask(t, "INVITE", "UDP", func(a *asked) {
		a.answer(200, "INVITE")
		a.tx.Terminate()
		a.wantTold(t, "200")
		if _, n := a.layer.Len(); n != 0 {
			t.Errorf("%d transactions are left", n)
		}
	})
}

// TestTheACKOfARefusal has what RFC 3261 §17.1.1.3 asks for.
func TestTheACKOfARefusal(t *testing.T) {
	m := gate.Scan([]byte(invite("Max-Forwards: 70\r\nRoute: <sip:p1.example;lr>\r\nRoute: <sip:p2.example;lr>")))
	req, err := Parse(m, &gate.Flow{Transport: "UDP", Remote: netip.MustParseAddrPort("192.0.2.1:5060")})
	if err != nil {
		t.Fatal(err)
	}
	res := sip.NewResponseFromRequest(req, 486, "Busy Here", nil)
	res.To().Params.Add("tag", "peer")
	ack := gate.Scan([]byte(ackOf(req, res).String()))
	if ack == nil || ack.Fault != "" {
		t.Fatalf("the ACK is malformed: %+v", ack)
	}
	if ack.Method != "ACK" || ack.URI != m.URI || ack.Via.Branch != m.Via.Branch || ack.From.Tag != "a" || ack.To.Tag != "peer" ||
		ack.CallID != "c" || ack.CSeq != 7 || ack.CSeqMethod != "ACK" || len(ack.Values("route")) != 2 || ack.Get("max-forwards") != "70" {
		t.Errorf("the ACK is\n%s", ack.Text())
	}
}
