package legs

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fromTrunk makes the peer a trunk.
func (w *memnet) fromTrunk() {
	w.id = edge.Identity{Trunk: "carrier", Source: hostA, Transport: "UDP"}
}

func TestACallFromATrunk(t *testing.T) {
	tests := []struct {
		name    string
		headers []string
		want    string
	}{
		{"From", nil, "incoming 101 for 102 PCMU"},
		{"asserted", []string{`P-Asserted-Identity: "Hong" <sip:01012345678@carrier.example>, <tel:+821012345678>`}, "incoming 01012345678 for 102"},
		{"asserted by tel", []string{"P-Asserted-Identity: <tel:+821012345678>"}, "incoming +821012345678 for 102"},
		{"withheld", []string{"Privacy: id", "P-Asserted-Identity: <sip:01012345678@carrier.example>"}, "incoming  for 102"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(w *memnet) {
				w.fromTrunk()
				w.phone().invite(phoneSDP, tt.headers...)
				w.told(tt.want)
				if in := w.calls.in; in.From.Trunk != "carrier" || in.From.Extension != "" || in.Emergency {
					t.Errorf("incoming is %+v", in)
				}
				w.calls.in.Leg.End(pbx.Cause{Q850: 17})
				w.expect("486 ")
				w.told("over 0 q17")
			})
		})
	}
}

func TestTheNameOfTheAnswererIsShown(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		l := w.calls.in.Leg
		l.Present(pbx.Party{Extension: "103", Name: "Lee \"L\"\r\nX: y"})
		l.Ring()
		if m := p.learn(w.expect("180 ")); !strings.Contains(m.String(), `P-Asserted-Identity: "Lee \"L\"X: y" <sip:103@acme.example.com>`) {
			t.Errorf("180 is\n%s", m)
		}
		l.Answer()
		w.expect("200 ")
		p.ack("")
		w.told("answered")
		l.Present(pbx.Party{Number: "010-1234-5678"})
		if m := w.expect("UPDATE "); !strings.Contains(m.String(), "P-Asserted-Identity: <sip:01012345678@acme.example.com>") {
			t.Errorf("UPDATE is\n%s", m)
		} else {
			w.reply(m, 405, "", "") // it said Allow: UPDATE and did not mean it
		}
		m := w.expect("INVITE ")
		w.reply(m, 488, "", "")
		w.expect("ACK ")
		w.toldNothing()
	})
}

func TestA18xIsRepeatedEveryMinute(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.phone().invite(phoneSDP)
		w.told("incoming")
		start := time.Now()
		w.calls.in.Leg.Ring()
		w.expect("180 ")
		w.expect("180 ")
		if got := time.Since(start); got != time.Minute {
			t.Errorf("repeated after %v", got)
		}
	})
}

func TestPRACKWithAnOfferAndWithABadAnswer(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite(phoneSDP, "Supported: 100rel")
		w.told("incoming")
		l := w.calls.in.Leg
		l.Progress()
		p.learn(w.expect("183 "))
		p.do("PRACK", sdpBody("198.51.100.7", 22000, "sendrecv"), "RAck: 1 100 INVITE")
		if m := w.expect("200 "); !strings.Contains(string(m.Body()), "m=audio") {
			t.Errorf("the offer in the PRACK was not answered:\n%s", m)
		}
		p.do("UPDATE", sdpBody("198.51.100.7", 23000, "sendrecv"))
		w.expect("200 ")
		if s := w.ports[0].last(); s.Remote.Port() != 23000 {
			t.Errorf("stream is %+v", s)
		}
		p.do("BYE", "")
		w.expect("200 ")
		w.expect("487 ")
		w.told("over 0 q16 hung up")
	})
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.invite("", "Require: 100rel")
		w.told("incoming")
		w.calls.in.Leg.Ring()
		p.learn(w.expect("180 "))
		p.do("PRACK", "", "RAck: 1 100 INVITE")
		w.expect("400 ")
		w.expect("488 ")
		w.told("over 488")
	})
}

func TestMultipartAndOtherBodies(t *testing.T) {
	body := "--b\r\nContent-Type: application/isup\r\n\r\nxx\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" + phoneSDP + "\r\n--b--\r\n"
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.kind = "multipart/mixed;boundary=b"
		p.invite(body)
		w.told("incoming 101 for 102 PCMA")
	})
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.kind = "text/plain"
		p.invite("hello")
		if m := w.expect("415 "); m.GetHeaders("Accept") == nil {
			t.Errorf("415 is\n%s", m)
		}
	})
}

func TestTheMediaPlaneSpeaksInOrder(t *testing.T) {
	inBubble(t, func(w *memnet) {
		_, l := w.talk()
		n := w.ports[0].n
		n.Digit('1')
		n.Silent()
		n.Played()
		w.told("digit 1", "silent", "played")
		w.ports[0].takes = true
		l.SendDigit('5')
		w.nothing(time.Second)
		if l.Media() != media.Port(w.ports[0]) || l.SIPCallID() != "call-1" || l.ID() == "" {
			t.Error("the leg does not know itself")
		}
	})
}

func TestAPhoneThatMoves(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p, l := w.talk()
		moved := netip.MustParseAddrPort("198.51.100.99:40000")
		p.from = moved
		p.do("OPTIONS", "")
		w.expect("200 ")
		l.End(pbx.Cause{})
		if bye := w.expect("BYE "); bye.to.Addr != moved {
			t.Errorf("BYE went to %v", bye.to)
		}
	})
}

func TestAReliableNetworkThatBreaks(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.phone().invite(phoneSDP)
		w.told("incoming")
		w.mu.Lock()
		w.fail[phoneAddr] = errors.New("connection reset")
		w.mu.Unlock()
		w.calls.in.Leg.Answer()
		w.told("over 503")
	})
}

func TestNoPortIsLeft(t *testing.T) {
	inBubble(t, func(w *memnet) {
		w.noPorts = true
		w.phone().invite(phoneSDP)
		if m := w.expect("503 "); m.GetHeaders("Retry-After") == nil {
			t.Errorf("503 is\n%s", m)
		}
		l := w.legs.Dial(leg.Dial{Leg: "x"}, listener{w})
		w.told("over 503 q34 no media port is free")
		p := l.Media()
		p.Apply(media.Stream{})
		p.Hear(nil)
		p.Play(nil)
		p.Close()
		if p.Local().IsValid() || p.SendDigit('1', 0) || p.Quality() != (pbx.Quality{}) {
			t.Error("the port that is none does something")
		}
	})
}

func TestEmergencyNumbers(t *testing.T) {
	inBubble(t, func(w *memnet) {
		p := w.phone()
		p.to = "9119"
		p.invite(phoneSDP)
		w.told("incoming 101 for 9119")
		if !w.calls.in.Emergency {
			t.Error("9 119 is an emergency call")
		}
	})
}
