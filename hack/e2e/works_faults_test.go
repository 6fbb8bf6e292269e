package e2e

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// metric reads one number from the PBX's metrics page; the name may go on with
// the first labels (`name{label="value"`).
func metric(t *testing.T, admin, name string) float64 {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 || !strings.HasPrefix(line, name) || (line[:cut] != name && !strings.ContainsRune("{,", rune(line[len(name)]))) {
			continue
		}
		v, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	t.Fatalf("the metrics have no %s", name)
	return 0
}

func (r *rig) waiting() float64 {
	return metric(r.t, r.server.AdminAddr(), "dipcast_works_messages_waiting")
}

// TestNoFaultOfNaverWorksHoldsUpACall: the phone rings, the caller hears it
// ring, the call is answered and both hear each other, all before NAVER WORKS
// answers anything but the fault. No time is measured: were the call to wait
// for the service, it would wait for ever.
func TestNoFaultOfNaverWorksHoldsUpACall(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]sim.Fault{
		"500":         {{Status: 500}},
		"429":         {{Status: 429, Reset: 1}},
		"hangs":       {{Hang: true}},
		"cuts off":    {{Abort: true}},
		"token hangs": {{Operation: "token", Hang: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{})
			for _, f := range faults {
				if f.Operation == "token" {
					r.sim.RevokeTokens()
				}
				r.sim.SetFault(f)
			}
			before := r.sim.Calls("bot.message.user")
			c := r.conversation()
			eventually(t, "the card to be tried", func() bool {
				return r.sim.Calls("bot.message.user") > before || r.sim.Calls("token") > 1
			})
			c.goesOn(t)
			if n := len(r.sim.Messages(haneul)); n != 0 {
				t.Errorf("%d messages came through the fault", n)
			}
			r.sim.ClearFaults()

			// The service is back: the next call's card comes.
			second := r.desk("102")
			if _, err := second.Dial(within(t), "101", phone.DialOptions{}); err != nil {
				t.Fatal(err)
			}
			rings(t, c.phone)
			r.cardWith(haneul, "내부 전화 102")
			c.goesOn(t)
		})
	}
}

// queueLimit is how many bot messages may wait.
const queueLimit = 256

// TestTheQueueIsBoundedAndTheNewestCallComesFirst: while NAVER WORKS refuses
// everything, more calls come and go than the queue has room for. When it is
// back, the call that rings now is told of before all the old ones.
func TestTheQueueIsBoundedAndTheNewestCallComesFirst(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	r.sim.SetFault(sim.Fault{Status: 429, Reset: 1})
	for n := range queueLimit/2 + 20 { // a card and a missed call each
		old := r.callIn("025550101")
		ringing := rings(t, desk)
		if err := old.Hangup(within(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := ringing.WaitEnded(within(t)); err != nil {
			t.Fatal(err)
		}
		if n%16 == 0 {
			if w := r.waiting(); w > queueLimit {
				t.Fatalf("%v messages wait, at most %d may", w, queueLimit)
			}
		}
	}
	eventually(t, "messages to be dropped", func() bool {
		return metric(t, r.server.AdminAddr(), "dipcast_works_messages_dropped_total") >= 20
	})
	if w := r.waiting(); w < queueLimit-8 || w > queueLimit { // a few may be on their way
		t.Errorf("%v messages wait, want about %d", w, queueLimit)
	}

	newest, err := r.carrier.Dial(within(t), "sip:025550101@"+r.sip, phone.DialOptions{From: "0212345678"})
	if err != nil {
		t.Fatal(err)
	}
	newest.Play(tone.Sine(440, loud))
	ringing := rings(t, desk)
	if n := len(r.sim.Messages(haneul)); n != 0 {
		t.Fatalf("%d messages came through the fault", n)
	}
	r.sim.ClearFaults()
	r.cardWith(haneul, "외부 전화 02-1234-5678")
	answer(t, ringing)
	ringing.Play(tone.Sine(660, loud))
	hears(t, newest, "the caller", 660)
	eventually(t, "the queue to empty", func() bool { return r.waiting() == 0 })
	place := -1
	for i, m := range r.sim.Messages(haneul) {
		if strings.HasPrefix(m.Text.Text, "외부 전화 02-1234-5678") {
			place = i
		}
	}
	// Several workers send at once, and one may overtake another on the way:
	// the first of more than 250 need not arrive as the very first.
	const overtaking = 16
	if place < 0 || place >= overtaking {
		t.Errorf("the newest call's card came as number %d of %d", place+1, len(r.sim.Messages(haneul)))
	}
}

// TestStaleNoticesAreDropped: a card that could not be sent for a minute is
// not sent any more, the missed call is. The outage is a real one of more than
// a minute; TestQueueGivesUpStaleMessages of pbx/works proves the rule with a
// clock of its own.
func TestStaleNoticesAreDropped(t *testing.T) {
	t.Parallel() // it waits for most of its time
	r := newRig(t, setup{})
	desk := r.desk("101")
	r.sim.SetFault(sim.Fault{Status: 429, Reset: 1})
	old := r.callIn("025550101")
	ringing := rings(t, desk)
	if err := old.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := ringing.WaitEnded(within(t)); err != nil {
		t.Fatal(err)
	}
	outage := time.NewTimer(65 * time.Second)
	defer outage.Stop()
	<-outage.C
	r.sim.ClearFaults()
	r.cardWith(haneul, "부재중")
	eventually(t, "the queue to empty", func() bool { return r.waiting() == 0 })
	for _, m := range r.sim.Messages(haneul) {
		if strings.HasPrefix(m.Text.Text, "외부 전화") {
			t.Errorf("a card of a call that ended a minute ago was sent: %q", m.Text.Text)
		}
	}
}
