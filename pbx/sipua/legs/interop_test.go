package legs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
)

// TestTheACKGoesWhereTheRoutesSay: a carrier's proxy may leave the path, or
// hand us to another of its hosts, with the 200.
func TestTheACKGoesWhereTheRoutesSay(t *testing.T) {
	for name, row := range map[string]struct {
		header string
		to     string
	}{
		"the contact":      {"X: y", "198.51.100.7:5062"},
		"a recorded route": {"Record-Route: <sip:203.0.113.99:5080;lr>", "203.0.113.99:5080"},
		"two in one line":  {"Record-Route: <sip:203.0.113.98:5081;lr>, <sip:203.0.113.99:5080;lr>", "203.0.113.99:5080"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *memnet) {
				l, inv := w.dialTrunk(leg.Dial{})
				w.reply(inv, 200, "a", phoneSDP, row.header)
				to := netip.MustParseAddrPort(row.to)
				if ack := w.expect("ACK "); ack.to.Addr != to {
					t.Errorf("the ACK went to %s", ack.to.Addr)
				}
				w.told("answered")
				w.reply(inv, 200, "a", phoneSDP, row.header)
				if ack := w.expect("ACK "); ack.to.Addr != to {
					t.Errorf("the repeated ACK went to %s", ack.to.Addr)
				}
				l.End(pbx.Cause{})
				if bye := w.expect("BYE "); bye.to.Addr != to {
					t.Errorf("the BYE went to %s", bye.to.Addr)
				}
				w.told("over")
			})
		})
	}
}

// TestARepeatedAnswerIsEndedOnce: each copy of a 200 that crossed our CANCEL is
// acknowledged, and one BYE ends the dialog.
func TestARepeatedAnswerIsEndedOnce(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.ring()
		w.reply(inv, 180, "a", "")
		w.told("ringing")
		l.End(pbx.Cause{SIP: 480})
		w.expect("CANCEL ")
		w.reply(inv, 200, "a", phoneSDP)
		w.expect("ACK ")
		bye := w.expect("BYE ")
		w.reply(inv, 200, "a", phoneSDP)
		w.expect("ACK ")
		if next := w.next(); next.request().CSeq().SeqNo != bye.request().CSeq().SeqNo {
			t.Errorf("after the BYE came\n%s", next)
		}
		w.reply(bye, 200, "", "")
		w.told("over 480")
	})
}

// TestEachBranchMayAnswer: 180, 183 and 200 with a To tag each, as a carrier's
// forking proxy sends them.
func TestEachBranchMayAnswer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.dialTrunk(leg.Dial{})
		w.reply(inv, 180, "a", "")
		w.told("ringing")
		w.reply(inv, 183, "b", sdpBody("198.51.100.8", 20000, "sendrecv"))
		w.told("progress")
		w.reply(inv, 200, "c", sdpBody("198.51.100.9", 30000, "sendrecv"))
		if ack := w.expect("ACK "); ack.request().To().Params.GetOr("tag", "") != "c" {
			t.Errorf("ACK is\n%s", ack)
		}
		w.told("answered")
		if at := w.ports[0].last().Remote.String(); at != "198.51.100.9:30000" {
			t.Errorf("audio goes to %s", at)
		}
		l.End(pbx.Cause{})
		if bye := w.expect("BYE "); bye.request().To().Params.GetOr("tag", "") != "c" {
			t.Errorf("BYE is\n%s", bye)
		}
		w.told("over")
	})
}

// TestChallengesInsideTheDialog: a carrier may ask for credentials once more.
func TestChallengesInsideTheDialog(t *testing.T) {
	inBubble(t, func(w *memnet) {
		l, inv := w.dialTrunk(leg.Dial{})
		w.reply(inv, 200, "a", phoneSDP, "Record-Route: <sip:203.0.113.10;lr>")
		w.expect("ACK ")
		w.told("answered")
		l.End(pbx.Cause{})
		bye := w.expect("BYE ")
		w.told("over")
		w.reply(bye, 407, "", "", `Proxy-Authenticate: Digest realm="carrier.example", nonce="n", algorithm=MD5, qop="auth"`)
		second := w.expect("BYE ")
		if len(second.GetHeaders("Proxy-Authorization")) == 0 || second.request().CSeq().SeqNo != bye.request().CSeq().SeqNo+1 {
			t.Errorf("after the challenge came\n%s", second)
		}
		w.reply(second, 200, "", "")
	})
}

// TestACarrierIsNotToldWhoIsInside: names and extensions stay with phones.
func TestACarrierIsNotToldWhoIsInside(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.fromTrunk()
		p := w.phone()
		p.from = hostA
		p.invite(phoneSDP)
		w.told("incoming")
		l := w.calls.in.Leg
		l.Present(pbx.Party{Extension: "103", Name: "Lee"})
		l.Ring()
		ringing := p.learn(w.expect("180 "))
		l.Answer()
		answer := w.expect("200 ")
		p.ack("")
		w.told("answered")
		l.Present(pbx.Party{Extension: "104", Name: "Kim"})
		if s := ringing.String() + answer.String(); strings.Contains(s, "Asserted") || strings.Contains(s, "103") {
			t.Errorf("the carrier was told\n%s", s)
		}
		p.do("BYE", "")
		w.expect("200 ") // and no UPDATE before it
		w.told("over")
	})
}

// TestFaxAfterTheAnswer: a carrier's re-INVITE for T.38 is refused, and the
// call goes on as it was.
func TestFaxAfterTheAnswer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, l := w.talk()
		before := w.ports[0].last()
		fax := "v=0\r\no=- 1 2 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\nm=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n"
		p.do("INVITE", fax)
		w.expect("488 ")
		p.request("ACK", p.seq, fmt.Sprintf("r%d", p.seq), "")
		if w.ports[0].last() != before {
			t.Error("the audio changed")
		}
		l.End(pbx.Cause{})
		w.reply(w.expect("BYE "), 200, "", "")
		w.told("over")
	})
}
