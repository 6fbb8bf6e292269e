package legs

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

func TestOutgoingCallToAPhone(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.ring()
		if inv.to.Addr != phoneAddr || !strings.HasPrefix(inv.String(), "INVITE sip:101@10.0.0.7:5062;line=1 ") {
			t.Errorf("INVITE to %v:\n%s", inv.to, inv)
		}
		if got := inv.request().From().String(); !strings.Contains(got, `"Hong \"G\"" <sip:01012345678@acme.example.com>`) {
			t.Errorf("From is %s", got)
		}
		if got := message.Value(inv.Message, "Supported"); got != "100rel, timer" {
			t.Errorf("Supported is %q", got)
		}
		if got := message.Value(inv.Message, "Session-Expires"); got != "1800" {
			t.Errorf("Session-Expires is %q", got)
		}
		w.reply(inv, 100, "", "")
		w.reply(inv, 180, "a", "")
		w.reply(inv, 180, "a", "")
		w.reply(inv, 183, "a", phoneSDP)
		w.told("ringing", "progress")
		w.reply(inv, 200, "a", phoneSDP)
		ack := w.expect("ACK sip:peer@198.51.100.7:5062 ")
		if ack.to.Addr != phoneAddr || message.Tag(ack.request().To().Params) != "a" {
			t.Errorf("ACK is\n%s", ack)
		}
		w.told("answered")
		w.reply(inv, 200, "a", phoneSDP)
		w.expect("ACK ") // ours was lost
		l.End(pbx.Cause{})
		w.reply(w.expect("BYE "), 200, "", "")
		w.told("over 0 q16")
	})
}

func TestOutgoingIdentity(t *testing.T) {
	tests := []struct {
		name string
		dial leg.Dial
		want map[string]string
	}{
		{"permitted number", leg.Dial{From: pbx.Party{Number: "02-555-0123", Name: "Kim"}}, map[string]string{
			"From": "<sip:025550123@192.0.2.1>;tag=id2", "P-Asserted-Identity": "<sip:025550123@192.0.2.1>", "Privacy": "",
		}},
		{"foreign number", leg.Dial{From: pbx.Party{Number: "010-9999-9999"}}, map[string]string{
			"From": "<sip:025550100@192.0.2.1>;tag=id2",
		}},
		{"withheld", leg.Dial{}, map[string]string{
			"From": `"Anonymous" <sip:anonymous@anonymous.invalid>;tag=id2`, "P-Asserted-Identity": "<sip:025550100@192.0.2.1>", "Privacy": "id",
		}},
		{"diverted", leg.Dial{From: pbx.Party{Number: "02-555-0123"}, Diverted: "101", MaxForwards: 9}, map[string]string{
			"Diversion":    "<sip:101@192.0.2.1>;reason=unknown",
			"History-Info": "<sip:101@192.0.2.1>;index=1, <sip:01012345678@203.0.113.10:5060>;index=1.1;mp=1",
			"Max-Forwards": "9",
		}},
		{"auto-answer", leg.Dial{AutoAnswer: true}, map[string]string{
			"Answer-Mode": "Auto", "Call-Info": "<sip:acme.example.com>;answer-after=0",
			"Alert-Info": "<http://acme.example.com>;info=alert-autoanswer;delay=0",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *memnet) {
				_, inv := w.dialTrunk(tt.dial)
				for name, want := range tt.want {
					if got := message.Value(inv.Message, name); got != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
				w.reply(inv, 404, "a", "")
				w.expect("ACK ")
				w.told("over 404 q1")
			})
		})
	}
}

func TestTheNextHostGetsItsTurn(t *testing.T) {
	inBubble(t, func(w *memnet) {
		start := time.Now()
		_, first := w.dialTrunk(leg.Dial{})
		second := first
		for second.to.Addr == hostA {
			second = w.expect("INVITE ") // first come the repetitions to the first host
		}
		if got := time.Since(start); got != 2*time.Second || second.to.Addr != hostB {
			t.Errorf("%v was tried after %v", second.to, got)
		}
		if a, b := first.request().CallID().Value(), second.request().CallID().Value(); a != b {
			t.Error("the Call-ID changed")
		}
		w.reply(second, 180, "b", "")
		w.told("ringing")
		// The first host wakes up: it is cancelled, and its late answer ended.
		w.reply(first, 100, "", "")
		if c := w.expect("CANCEL "); c.to.Addr != hostA {
			t.Errorf("CANCEL went to %v", c.to)
		}
		w.reply(first, 200, "late", phoneSDP)
		w.expect("ACK ")
		if bye := w.expect("BYE "); bye.to.Addr != hostA {
			t.Errorf("BYE went to %v", bye.to)
		} else {
			w.reply(bye, 200, "", "")
		}
		w.reply(second, 200, "b", phoneSDP)
		w.expect("ACK ")
		w.told("answered")
	})
}

// Where another trunk is left, one whose hosts say nothing at all is given up.
func TestASilentTrunkWithAnotherOneLeft(t *testing.T) {
	inBubble(t, func(w *memnet) {
		start := time.Now()
		w.dialTrunk(leg.Dial{MoreWays: true})
		w.told("over 408 q102")
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("given up after %v, want two seconds for each host", got)
		}
	})
}

func TestHostsThatFail(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.fail[hostA] = errors.New("connection refused")
		_, inv := w.dialTrunk(leg.Dial{})
		if inv.to.Addr != hostB {
			t.Fatalf("INVITE went to %v", inv.to)
		}
		w.reply(inv, 503, "x", "")
		w.expect("ACK ")
		w.told("over 503 q41")
	})
	inBubble(t, func(w *memnet) {
		_, inv := w.dialTrunk(leg.Dial{})
		w.reply(inv, 503, "x", "")
		w.expect("ACK ")
		if inv = w.expect("INVITE "); inv.to.Addr != hostB {
			t.Fatalf("INVITE went to %v", inv.to)
		}
		w.reply(inv, 486, "x", "", `Reason: Q.850;cause=17;text="user busy"`)
		w.expect("ACK ")
		w.told("over 486 q17 busy here")
	})
}

func TestAPhoneThatVanished(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.ring()
		w.told("over 408 q102")
	})
}

const challengeFor = `WWW-Authenticate: Digest realm="%", nonce="n1", algorithm=MD5, qop="auth"`

func TestTheTrunksChallengeIsAnswered(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.dialTrunk(leg.Dial{})
		w.reply(inv, 401, "x", "", strings.ReplaceAll(challengeFor, "%", "carrier.example"))
		w.expect("ACK ")
		inv = w.expect("INVITE ")
		auth := message.Value(inv.Message, "Authorization")
		if !strings.Contains(auth, `username="0255501"`) || !strings.Contains(auth, `realm="carrier.example"`) || inv.request().CSeq().SeqNo != 2 {
			t.Errorf("INVITE is\n%s", inv)
		}
		w.reply(inv, 200, "a", phoneSDP)
		if ack := w.expect("ACK "); message.Value(ack.Message, "Authorization") != auth {
			t.Error("the ACK lacks the credentials of the INVITE")
		}
		w.told("answered")
		l.End(pbx.Cause{})
		w.told("over")
		bye := w.expect("BYE ")
		w.reply(bye, 407, "", "", strings.Replace(strings.ReplaceAll(challengeFor, "%", "carrier.example"), "WWW-", "Proxy-", 1))
		// Requests go where the contact says: not a host of the trunk.
		w.nothing(time.Minute)
	})
}

func TestChallengesThatMustNotBeAnswered(t *testing.T) {
	tests := []struct {
		name  string
		phone bool
		realm string
	}{
		{"a foreign realm behind the trunk", false, "evil.example"},
		{"a phone with the trunk's realm", true, "carrier.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *memnet) {
				var inv sent
				if tt.phone {
					_, inv = w.ring()
				} else {
					_, inv = w.dialTrunk(leg.Dial{})
				}
				w.reply(inv, 407, "x", "", strings.Replace(strings.ReplaceAll(challengeFor, "%", tt.realm), "WWW-", "Proxy-", 1))
				w.expect("ACK ")
				w.told("over 403 q21 a challenge came that must not be answered")
				w.nothing(time.Minute)
			})
		})
	}
}

func TestTheWrongPasswordIsNotTriedForEver(t *testing.T) {
	inBubble(t, func(w *memnet) {
		_, inv := w.dialTrunk(leg.Dial{})
		for range 2 {
			w.reply(inv, 401, "x", "", strings.ReplaceAll(challengeFor, "%", "carrier.example"))
			w.expect("ACK ")
			if len(w.events) == 0 {
				select {
				case inv = <-w.out:
				case <-time.After(time.Minute):
				}
			}
		}
		w.told("over 403 q21 the trunk refuses the credentials")
		w.nothing(time.Minute)
	})
}

func TestTheSessionIntervalIsRaised(t *testing.T) {
	inBubble(t, func(w *memnet) {
		_, inv := w.ring()
		w.reply(inv, 422, "x", "", "Min-SE: 3600")
		w.expect("ACK ")
		inv = w.expect("INVITE ")
		if message.Value(inv.Message, "Session-Expires") != "3600" || message.Value(inv.Message, "Min-SE") != "3600" {
			t.Errorf("INVITE is\n%s", inv)
		}
		w.reply(inv, 491, "x", "")
		w.expect("ACK ")
		start := time.Now()
		w.expect("INVITE ")
		if got := time.Since(start); got != 2100*time.Millisecond {
			t.Errorf("tried again after %v; the caller waits 2.1 to 4 s, here 2.1", got)
		}
	})
}

func TestForkDownstream(t *testing.T) {
	inBubble(t, func(w *memnet) {
		_, inv := w.ring()
		w.reply(inv, 180, "a", "")
		w.reply(inv, 183, "b", sdpBody("198.51.100.7", 30000, "sendrecv"))
		w.told("ringing", "progress")
		w.reply(inv, 200, "b", sdpBody("198.51.100.7", 30000, "sendrecv"))
		w.expect("ACK ")
		w.told("answered")
		w.reply(inv, 200, "a", sdpBody("198.51.100.7", 31000, "sendrecv"))
		if ack := w.expect("ACK "); message.Tag(ack.request().To().Params) != "a" {
			t.Errorf("ACK is\n%s", ack)
		}
		bye := w.expect("BYE ")
		if message.Tag(bye.request().To().Params) != "a" {
			t.Errorf("BYE is\n%s", bye)
		}
		w.reply(bye, 200, "", "")
		w.toldNothing()
		if s := w.ports[0].last(); s.Remote.Port() != 30000 {
			t.Errorf("the losing branch has the media: %+v", s)
		}
	})
}

func TestPRACKForReliableResponses(t *testing.T) {
	inBubble(t, func(w *memnet) {
		_, inv := w.ring()
		rel := []string{"Require: 100rel", "RSeq: 7"}
		w.reply(inv, 183, "a", phoneSDP, rel...)
		w.told("progress")
		p := w.expect("PRACK ")
		if message.Value(p.Message, "RAck") != "7 1 INVITE" {
			t.Errorf("PRACK is\n%s", p)
		}
		w.reply(p, 200, "", "")
		w.reply(inv, 183, "a", phoneSDP, rel...) // repeated: no second PRACK
		w.nothing(time.Second)
		w.reply(inv, 200, "a", "")
		w.expect("ACK ")
		w.told("answered")
	})
}

func TestTheAnswerOfTheEarlyDialogCounts(t *testing.T) {
	inBubble(t, func(w *memnet) {
		_, inv := w.ring()
		w.reply(inv, 183, "a", phoneSDP)
		w.told("progress")
		w.reply(inv, 200, "a", "")
		w.expect("ACK ")
		w.told("answered")
	})
	inBubble(t, func(w *memnet) {
		_, inv := w.ring()
		w.reply(inv, 200, "a", "")
		w.expect("ACK ")
		w.reply(w.expect("BYE "), 200, "", "")
		w.told("over 488 q88")
	})
}

func TestCancelWithReason(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.ring()
		w.reply(inv, 180, "a", "")
		w.told("ringing")
		l.End(pbx.Cause{Elsewhere: true})
		c := w.expect("CANCEL ")
		if got := message.Value(c.Message, "Reason"); got != `SIP;cause=200;text="Call completed elsewhere"` {
			t.Errorf("Reason is %q", got)
		}
		w.toldNothing()
		w.reply(inv, 487, "a", "")
		w.expect("ACK ")
		w.told("over 0 q16  true")
	})
}

func TestCancelCrossesTheAnswer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.ring()
		w.reply(inv, 180, "a", "")
		w.told("ringing")
		l.End(pbx.Cause{SIP: 480})
		w.expect("CANCEL ")
		w.reply(inv, 200, "a", phoneSDP)
		w.expect("ACK ")
		w.reply(w.expect("BYE "), 200, "", "")
		w.told("over 480")
		w.toldNothing()
	})
}

func TestNoResponseAfterTheCancel(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.ring()
		w.reply(inv, 180, "a", "")
		w.told("ringing")
		start := time.Now()
		l.End(pbx.Cause{SIP: 480})
		w.told("over 480")
		if got := time.Since(start); got != 32*time.Second {
			t.Errorf("over after %v, want 64*T1", got)
		}
		w.expect("CANCEL ")
	})
}

func TestEndBeforeAnyResponse(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.ring()
		l.End(pbx.Cause{SIP: 480})
		w.told("over 480")
		w.nothing(100 * time.Millisecond) // no CANCEL before a response
		w.reply(inv, 180, "a", "")
		w.expect("CANCEL ")
		w.reply(inv, 200, "a", phoneSDP)
		w.expect("ACK ")
		w.reply(w.expect("BYE "), 200, "", "")
		w.toldNothing()
	})
}

func TestRedirection(t *testing.T) {
	tests := []struct{ name, contact, want string }{
		{"a number", "<sip:0255501234@evil.example>", "moved 0255501234"},
		{"a name", "<sip:somebody@evil.example>", "over 302"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *memnet) {
				_, inv := w.ring()
				text := strings.Replace(tt.contact, "<", "Contact: <", 1)
				w.replyMoved(inv, text)
				w.expect("ACK ")
				w.told(tt.want)
				w.nothing(time.Minute)
			})
		})
	}
}

func (w *memnet) replyMoved(m sent, contact string) {
	req := m.request()
	w.deliver(msg("SIP/2.0 302 Moved", "", "Via: "+req.Via().Value(), "From: "+req.From().Value(), "To: "+req.To().Value()+";tag=x",
		"Call-ID: "+req.CallID().Value(), "CSeq: "+req.CSeq().Value(), contact), m.to.Addr)
}

func TestThePeerHangsUpAnOutgoingLeg(t *testing.T) {
	inBubble(t, func(w *memnet) {
		_, inv := w.ring()
		w.reply(inv, 200, "a", phoneSDP)
		w.expect("ACK ")
		w.told("answered")
		req := inv.request()
		hold := sdpBody("198.51.100.7", 20000, "inactive")
		in := func(method, body string, seq int) {
			w.deliver(msg(method+" sip:192.0.2.1 SIP/2.0", body, "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKb"+itoa(seq),
				"From: "+req.To().Value()+";tag=a", "To: "+req.From().Value(), "Call-ID: "+req.CallID().Value(), "CSeq: "+itoa(seq)+" "+method), phoneAddr)
		}
		in("INVITE", hold, 1)
		w.expect("200 ")
		in("ACK", "", 1)
		w.told("held true")
		in("BYE", "", 2)
		w.expect("200 ")
		w.told("over 0 q16 hung up")
	})
}

func TestRequestsGoWhereTheTrunksRoutesSay(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.dialTrunk(leg.Dial{})
		w.reply(inv, 200, "a", phoneSDP, "Record-Route: <sip:203.0.113.99:5080;lr>", "Record-Route: <sip:203.0.113.10;lr>")
		ack := w.expect("ACK ")
		routes := ack.GetHeaders("Route")
		if len(routes) != 2 || !strings.Contains(routes[0].Value(), "203.0.113.10") {
			t.Errorf("ACK is\n%s", ack)
		}
		w.told("answered")
		l.End(pbx.Cause{})
		if bye := w.expect("BYE "); bye.to.Addr != netip.MustParseAddrPort("203.0.113.10:5060") {
			t.Errorf("BYE went to %v", bye.to)
		}
		w.told("over")
	})
}

func TestATrunkThatIsFullOrUnknown(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.legs.Dial(leg.Dial{Leg: "x", Target: leg.Target{Trunk: "nowhere", Number: "1"}}, listener{w})
		w.told("over 503")
	})
}

func TestDialAfterClose(t *testing.T) {
	inBubble(t, func(w *memnet) {
		if err := w.legs.Close(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		w.legs.Dial(leg.Dial{Leg: "x"}, listener{w})
		w.told("over 503 q41 the PBX shuts down")
	})
}
