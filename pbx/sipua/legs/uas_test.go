package legs

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

func TestIncomingCallFromRingToBye(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming 101 for 102 PCMA")
		l := w.calls.in.Leg
		if in := w.calls.in; in.From.Extension != "101" || in.From.Name != "Kim Haneul" || in.MaxForwards != 70 {
			t.Errorf("incoming is %+v", in)
		}
		l.Ring()
		ringing := p.learn(w.expect("180 "))
		if len(ringing.Body()) > 0 || p.tag == "" || ringing.response().Contact() == nil {
			t.Errorf("180 is\n%s", ringing)
		}
		l.Answer()
		ok := w.expect("200 ")
		if message.Tag(ok.response().To().Params) != p.tag {
			t.Error("the tag changed between 180 and 200")
		}
		if !strings.Contains(string(ok.Body()), "m=audio 40000 RTP/AVP 8 101\r\n") {
			t.Errorf("answer is\n%s", ok.Body())
		}
		p.ack("")
		w.told("answered")
		s := w.ports[0].last()
		if s.Codec.Name != "PCMA" || s.DTMF != 101 || s.Remote.String() != "198.51.100.7:20000" || !s.TrustSource {
			t.Errorf("stream is %+v", s)
		}
		p.do("BYE", "", "Reason: Q.850;cause=16")
		w.expect("200 ")
		w.told("over 0 q16 hung up")
		if w.legs.Count() != 0 || !w.ports[0].isClosed() {
			t.Error("the leg or its port is left")
		}
	})
}

// TestTheAnswerTakesTheOtherSidesCodec, as long as it is not told.
func TestTheAnswerTakesTheOtherSidesCodec(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming 101 for 102 PCMA")
		l := w.calls.in.Leg
		l.Prefer("G729") // neither speaks it
		l.Prefer("PCMU")
		l.Answer()
		ok := p.learn(w.expect("200 "))
		if !strings.Contains(string(ok.Body()), "m=audio 40000 RTP/AVP 0 101\r\n") {
			t.Errorf("answer is\n%s", ok.Body())
		}
		l.Prefer("PCMA") // too late
		p.ack("")
		w.told("answered")
		if s := w.ports[0].last(); s.Codec.Name != "PCMU" {
			t.Errorf("stream is %+v", s)
		}
	})
}

func TestTheAnswerIsRepeatedUntilTheACK(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		start := time.Now()
		w.calls.in.Leg.Answer()
		p.learn(w.expect("200 "))
		for _, at := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 7500 * time.Millisecond, 11500 * time.Millisecond} {
			w.expect("200 ")
			if got := time.Since(start); got != at {
				t.Errorf("repeated after %v, want %v", got, at)
			}
		}
		p.ack("")
		w.told("answered")
		w.nothing(40 * time.Second)
	})
}

func TestWithoutACKTheCallEnds(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		start := time.Now()
		w.calls.in.Leg.Answer()
		for m := w.next(); m.request() == nil; m = w.next() {
			continue
		}
		if got := time.Since(start); got != 32*time.Second {
			t.Errorf("BYE after %v, want 64*T1", got)
		}
		w.told("over 408 q102 no ACK came")
	})
}

func TestEndBeforeTheACKWaitsForIt(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		w.calls.in.Leg.Answer()
		p.learn(w.expect("200 "))
		w.calls.in.Leg.End(pbx.Cause{Q850: 16})
		w.nothing(100 * time.Millisecond)
		p.ack("")
		w.reply(w.expect("BYE "), 200, "", "")
		w.told("over 0 q16")
	})
}

func TestCancelBeforeTheAnswer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		l := w.calls.in.Leg
		l.Ring()
		p.learn(w.expect("180 "))
		tag := p.tag
		p.tag = ""
		p.request("CANCEL", p.seq, "invite", "", `Reason: SIP;cause=200;text="Call completed elsewhere"`)
		w.expect("200 ")
		no := w.expect("487 ")
		if got := message.Tag(no.response().To().Params); got != tag {
			t.Errorf("the 487 has tag %q, the 180 had %q", got, tag)
		}
		p.tag = tag
		p.request("ACK", p.seq, "invite", "")
		w.told("over 487 q16 the caller gave up true")
		l.Answer()
		l.End(pbx.Cause{})
		w.toldNothing()
	})
}

func TestRefusals(t *testing.T) {
	bad := "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\nnonsense\r\n"
	video := "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=video 4000 RTP/AVP 31\r\n"
	tests := []struct {
		name, body string
		headers    []string
		want       string
		header     string
	}{
		{"malformed SDP", bad, nil, "400 ", "Warning"},
		{"no audio", video, nil, "488 ", "Warning"},
		{"short session interval", phoneSDP, []string{"Session-Expires: 30", "Supported: timer"}, "422 ", "Min-SE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *memnet) {
				w.phone().invite(tt.body, tt.headers...)
				if m := w.expect(tt.want); m.GetHeaders(tt.header) == nil {
					t.Errorf("%s is missing in\n%s", tt.header, m)
				}
				w.toldNothing()
			})
		})
	}
}

func TestRefusalsWithoutALeg(t *testing.T) {
	tests := []struct{ name, header, want string }{
		{"unknown extension", "Require: x-odd", "420 "},
		{"no more hops", "Max-Forwards: 0", "483 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *memnet) {
				w.phone().request("INVITE", 1, "x", phoneSDP, tt.header)
				w.expect(tt.want)
			})
		})
	}
}

func TestTheEngineRefuses(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.calls.refusal = &leg.Refusal{Cause: pbx.Cause{SIP: 503, Text: "draining"}, RetryAfter: 30}
		w.phone().invite(phoneSDP)
		m := w.expect("503 ")
		if got := message.Value(m.Message, "Retry-After"); got != "30" {
			t.Errorf("Retry-After is %q", got)
		}
		if w.calls.in.Leg.Media() == nil || !w.ports[0].isClosed() {
			t.Error("the port was not closed")
		}
	})
}

func TestAMergedInviteIsALoop(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		p.request("INVITE", p.seq, "otherpath", phoneSDP)
		w.expect("482 ")
	})
}

func TestReliableProvisionalAndPRACK(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP, "Supported: 100rel")
		w.told("incoming")
		l := w.calls.in.Leg
		l.Progress()
		m := p.learn(w.expect("183 "))
		if message.Value(m.Message, "Require") != "100rel" || message.Value(m.Message, "RSeq") != "1" || len(m.Body()) == 0 {
			t.Fatalf("183 is\n%s", m)
		}
		l.Ring()
		l.Answer()
		w.expect("183 ") // again after T1: the 180 and the 200 wait for the PRACK
		p.do("PRACK", "", "RAck: 1 99 INVITE")
		w.expect("481 ")
		p.do("PRACK", "", "RAck: 1 100 INVITE")
		if m := w.expect("200 "); m.response().CSeq().MethodName != "PRACK" {
			t.Fatalf("200 is\n%s", m)
		}
		if m := w.expect("200 "); len(m.Body()) != 0 {
			t.Errorf("the 200 repeats an answer that was given reliably:\n%s", m)
		}
		p.request("ACK", 100, "a", "")
		w.told("answered")
	})
}

func TestNoPRACKEndsTheCall(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP, "Require: 100rel")
		w.told("incoming")
		w.calls.in.Leg.Ring()
		for m := w.next(); m.response().StatusCode != sip.StatusGatewayTimeout; m = w.next() {
			continue
		}
		w.told("over 504")
	})
}

func TestLateOffer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite("")
		w.told("incoming 101 for 102")
		l := w.calls.in.Leg
		l.Progress()
		p.learn(w.expect("180 ")) // no early media without an offer
		l.Answer()
		m := w.expect("200 ")
		if !strings.Contains(string(m.Body()), "m=audio 40000 RTP/AVP 8 0 101\r\n") {
			t.Fatalf("our offer is\n%s", m.Body())
		}
		p.ack(sdpBody("198.51.100.7", 21000, "sendrecv"))
		w.told("answered")
		if s := w.ports[0].last(); s.Remote.Port() != 21000 {
			t.Errorf("stream is %+v", s)
		}
	})
}

func TestLateOfferWithoutAnswer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite("")
		w.told("incoming")
		w.calls.in.Leg.Answer()
		p.learn(w.expect("200 "))
		p.ack("")
		w.reply(w.expect("BYE "), 200, "", "")
		w.told("over 488 q88")
	})
}

func TestLateOfferInAReliableResponse(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite("", "Require: 100rel")
		w.told("incoming")
		l := w.calls.in.Leg
		l.Ring()
		m := p.learn(w.expect("180 "))
		if len(m.Body()) == 0 {
			t.Fatal("the first reliable response must carry our offer (RFC 3262 §5)")
		}
		p.do("PRACK", phoneSDP, "RAck: 1 100 INVITE")
		w.expect("200 ")
		if s := w.ports[0].last(); s.Codec.Name != "PCMA" {
			t.Errorf("stream is %+v", s)
		}
		l.Answer()
		if m := w.expect("200 "); len(m.Body()) > 0 {
			t.Errorf("the 200 offers again:\n%s", m)
		}
		p.request("ACK", 100, "a", "")
		w.told("answered")
	})
}

func TestHoldAndResumeByReinvite(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, _ := w.talk()
		p.do("INVITE", sdpBody("198.51.100.7", 20000, "sendonly"))
		m := w.expect("200 ")
		if !strings.Contains(string(m.Body()), "a=recvonly") {
			t.Errorf("answer to hold is\n%s", m.Body())
		}
		w.told("held true")
		p.ack("")
		p.do("INVITE", "") // many phones resume with a late offer
		m = w.expect("200 ")
		if !strings.Contains(string(m.Body()), "a=sendrecv") {
			t.Errorf("our offer is\n%s", m.Body())
		}
		p.ack(phoneSDP)
		w.told("held false")
		if d := w.ports[0].last().Direction; d != media.SendRecv {
			t.Errorf("direction is %v", d)
		}
	})
}

func TestReinviteThatWeCannotTake(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, _ := w.talk()
		fax := "v=0\r\no=- 1 2 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=image 4000 udptl t38\r\n"
		p.do("INVITE", fax)
		w.expect("488 ")
		p.request("ACK", p.seq, "r101", "")
		p.do("OPTIONS", "")
		w.expect("200 ")
		w.toldNothing()
	})
}

func TestUpdateHoldsAndMovesTheTarget(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, l := w.talk()
		p.do("UPDATE", sdpBody("0.0.0.0", 20000, "sendrecv"), "Contact: <sip:101@10.9.9.9:5062>")
		if m := w.expect("200 "); !strings.Contains(string(m.Body()), "a=recvonly") {
			t.Errorf("answer is\n%s", m.Body())
		}
		w.told("held true")
		l.End(pbx.Cause{SIP: 486, Q850: 17, Text: "busy"})
		bye := w.expect("BYE sip:101@10.9.9.9:5062 ")
		if bye.to.Addr != phoneAddr {
			t.Errorf("BYE went to %v, not to the packet source", bye.to)
		}
		if got := message.Value(bye.Message, "Reason"); got != `Q.850;cause=17;text="busy"` {
			t.Errorf("Reason is %q", got)
		}
		w.reply(bye, 200, "", "")
		w.told("over 486 q17")
	})
}

func TestGlare(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.allow = "INVITE, ACK, BYE, CANCEL"
		_, l := w.talkTo(p)
		// Without UPDATE a name is shown by re-INVITE.
		l.Present(pbx.Party{Number: "103", Name: "Lee", Extension: "103"})
		ours := w.expect("INVITE ")
		if message.Value(ours.Message, "P-Asserted-Identity") != `"Lee" <sip:103@acme.example.com>` {
			t.Errorf("re-INVITE is\n%s", ours)
		}
		p.do("INVITE", phoneSDP)
		w.expect("491 ")
		p.request("ACK", p.seq, "r101", "")
		start := time.Now()
		w.reply(ours, 491, "", "")
		w.expect("ACK ")
		again := w.expect("INVITE ")
		if got := time.Since(start); got != 0 {
			t.Errorf("tried again after %v; the callee waits 0 to 2 s, here 0", got)
		}
		w.reply(again, 200, "", phoneSDP)
		w.expect("ACK ")
		w.reply(again, 200, "", phoneSDP)
		w.expect("ACK ") // the ACK was lost
		w.toldNothing()
	})
}

func TestOtherRequestsInTheDialog(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, _ := w.talk()
		p.do("REFER", "", "Refer-To: <sip:999@evil.example>")
		w.expect("603 ")
		p.do("MESSAGE", "")
		w.expect("405 ")
		p.do("ODD", "")
		w.expect("501 ")
		p.seq = 50
		p.do("INFO", "") // an old number
		w.expect("500 ")
		p.seq, p.tag = 300, "wrong"
		p.do("BYE", "")
		w.expect("481 ")
	})
}

func TestDigitsByINFO(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, l := w.talk()
		send := func(kind, body string) {
			p.seq++
			head := []string{
				"Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bKi" + itoa(p.seq), "From: <sip:101@acme.example.com>;tag=peer",
				"To: <sip:102@acme.example.com>;tag=" + p.tag, "Call-ID: call-1", "CSeq: " + itoa(p.seq) + " INFO", "Content-Type: " + kind,
			}
			w.deliver("INFO sip:x@192.0.2.1 SIP/2.0\r\n"+strings.Join(head, "\r\n")+"\r\nContent-Length: "+itoa(len(body))+"\r\n\r\n"+body, phoneAddr)
		}
		send("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")
		w.expect("200 ")
		send("application/dtmf", "11")
		w.expect("200 ")
		send("application/dtmf", "hello")
		w.expect("400 ")
		send("text/plain", "x")
		w.expect("415 ")
		w.ports[0].n.Digit('7')
		w.told("digit 5", "digit #", "digit 7")
		// Ours: the port takes none, so INFO, one at a time.
		l.SendDigit('1')
		l.SendDigit('2')
		m := w.expect("INFO ")
		if !strings.Contains(string(m.Body()), "Signal=1") {
			t.Errorf("INFO is\n%s", m)
		}
		w.nothing(100 * time.Millisecond)
		w.reply(m, 200, "", "")
		if m = w.expect("INFO "); !strings.Contains(string(m.Body()), "Signal=2") {
			t.Errorf("INFO is\n%s", m)
		}
		w.reply(m, 200, "", "")
	})
}

func TestSessionTimerOfThePeer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, _ := w.talk("Supported: timer", "Session-Expires: 120;refresher=uac")
		start := time.Now()
		time.AfterFunc(60*time.Second, func() { p.do("UPDATE", "", "Supported: timer", "Session-Expires: 120;refresher=uac") })
		if m := w.expect("200 "); message.Value(m.Message, "Session-Expires") != "120;refresher=uac" || message.Value(m.Message, "Require") != "timer" {
			t.Errorf("answer is\n%s", m)
		}
		w.expect("BYE ")
		if got := time.Since(start); got != 148*time.Second {
			t.Errorf("ended after %v, want the refresh at 60 s and 120-32 s", got)
		}
		w.told("over 408 q102 session expired")
	})
}

func TestSessionTimerOfOurs(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.talk("Supported: timer", "Session-Expires: 1000;refresher=uas")
		start := time.Now()
		m := w.expect("UPDATE ")
		if got := time.Since(start); got != 500*time.Second {
			t.Errorf("refreshed after %v, want half of the interval", got)
		}
		if message.Value(m.Message, "Session-Expires") != "1000;refresher=uac" {
			t.Errorf("UPDATE is\n%s", m)
		}
		w.reply(m, 422, "", "", "Min-SE: 1200")
		m = w.expect("UPDATE ")
		if message.Value(m.Message, "Session-Expires") != "1200;refresher=uac" || message.Value(m.Message, "Min-SE") != "1200" {
			t.Errorf("UPDATE is\n%s", m)
		}
		w.reply(m, 200, "", "", "Session-Expires: 1200;refresher=uac")
		m = w.expect("UPDATE ")
		w.reply(m, 481, "", "")
		w.expect("BYE ")
		w.told("over 408")
	})
}
