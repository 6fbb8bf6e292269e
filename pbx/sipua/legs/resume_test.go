package legs

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
)

// inVault is inBubble with a journal.
func inVault(t *testing.T, f func(w *memnet, store *memjournal.Journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := &memjournal.Journal{}
		w := newMemnet(t)
		w.renew(store)
		defer w.close()
		f(w, store)
	})
}

// renew begins another table in the place of the one that is there.
func (w *memnet) renew(store journal.Store) {
	cfg := w.legs.cfg
	cfg.Journal = store
	w.legs.HandOver()
	w.legs = New(cfg)
}

// die lets a new process find what is in the journal at this moment; the old
// one is stopped without a word.
func (w *memnet) die(store *memjournal.Journal) {
	w.t.Helper()
	found := store.Copy()
	w.renew(found)
}

// pass lets the leg write what can wait a second.
func (w *memnet) pass() {
	w.t.Helper()
	w.nothing(saveWithin + time.Millisecond)
}

// takeUp goes on with a leg.
func (w *memnet) takeUp(id pbx.LegID) leg.Leg {
	w.t.Helper()
	l, ok := w.legs.TakeUp(id, listener{w})
	if !ok {
		w.t.Fatalf("leg %s is not taken up", id)
	}
	return l
}

func TestALegGoesOnInAnotherProcess(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		p, l := w.talk()
		w.pass()
		w.die(store)
		again := w.takeUp(l.ID())
		if again.ID() != l.ID() || again.SIPCallID() != l.SIPCallID() {
			t.Error("it is another leg")
		}
		if owner, ok := w.legs.Owner(p.callID, p.tag); !ok || owner.Extension != "101" || owner.Source != phoneAddr {
			t.Errorf("its peer is %+v", owner)
		}
		if _, ok := w.legs.TakeUp(l.ID(), listener{w}); ok {
			t.Error("it is taken up twice")
		}
		// The probe is a request with a number far ahead, and goes unnoticed.
		update := w.expect("UPDATE ")
		if seq := update.request().CSeq().SeqNo; seq <= seqJump {
			t.Errorf("its number is %d", seq)
		}
		w.reply(update, 200, "", "")
		p.do("OPTIONS", "")
		w.expect("200 ")
		p.do("INVITE", strings.Replace(phoneSDP, "sendrecv", "sendonly", 1))
		ok := w.expect("200 ")
		if !strings.Contains(string(ok.Body()), "m=audio 40000 ") {
			t.Errorf("the answer is\n%s", ok.Body())
		}
		p.ack("")
		p.do("INFO", "Signal=5\r\n")
		w.next()
		p.do("BYE", "", "Reason: Q.850;cause=16")
		for m := w.next(); m.response() == nil || m.response().CSeq().MethodName != sip.BYE; m = w.next() {
			continue
		}
		synctest.Wait()
		if n := w.legs.cfg.Journal.(*memjournal.Journal).Len(); n != 0 {
			t.Errorf("%d records are left of a leg that is over", n)
		}
	})
}

// A 2xx to a re-INVITE that was under way when the process died gets its ACK.
func TestTheAnswerToAnEarlierReINVITE(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		p, l := w.talk()
		w.pass()
		w.die(store)
		w.takeUp(l.ID())
		w.reply(w.expect("UPDATE "), 200, "", "")
		w.legs.Acknowledge("another", p.tag, "peer", 7)
		w.legs.Acknowledge(p.callID, p.tag, "another", 7)
		w.legs.Acknowledge(p.callID, p.tag, "peer", 1<<30) // a number that nobody can have sent
		w.nothing(time.Second)
		w.legs.Acknowledge(p.callID, p.tag, "peer", 7)
		ack := w.expect("ACK ")
		if seq := ack.request().CSeq(); seq.SeqNo != 7 || seq.MethodName != sip.ACK || ack.to.Addr != phoneAddr {
			t.Errorf("the ACK is\n%s", ack)
		}
	})
}

func TestALegThatWeDialledGoesOn(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		l, invite := w.ring()
		w.reply(invite, 200, "peer", phoneSDP, "Allow: INVITE, ACK, BYE", "Session-Expires: 90;refresher=uac", "Require: timer")
		w.expect("ACK ")
		w.told("answered")
		w.pass()
		w.die(store)
		again := w.takeUp("out")
		reinvite := w.expect("INVITE ")
		if !strings.Contains(string(reinvite.Body()), "m=audio 40000 ") || reinvite.to.Addr != phoneAddr {
			t.Errorf("the refresh is\n%s", reinvite)
		}
		w.reply(reinvite, 200, "", phoneSDP)
		w.expect("ACK ")
		again.End(pbx.Cause{Q850: 16, Text: "hung up"})
		bye := w.expect("BYE ")
		if bye.request().To().Params.GetOr("tag", "") != "peer" || bye.request().From().Params.GetOr("tag", "") == "" {
			t.Errorf("BYE\n%s", bye)
		}
		w.told("over")
		w.reply(bye, 200, "", "")
		_ = l
	})
}

// The peer of a leg that is gone ends it.
func TestAPeerThatIsGoneEndsALegThatWasTakenUp(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.takeUp(l.ID())
		w.reply(w.expect("UPDATE "), 481, "", "")
		w.expect("BYE ")
		w.told("over 408 q102 the peer answers no more")
	})
}

// A 200 whose ACK had not come is sent again by the new process.
func TestTheAnswerIsRepeatedAfterARestart(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		l := w.calls.in.Leg
		l.Answer()
		first := p.learn(w.expect("200 "))
		w.die(store)
		w.takeUp(l.ID())
		again := w.expect("200 ")
		if again.String() != first.String() || again.to.Addr != phoneAddr {
			t.Errorf("sent again\n%s, first\n%s", again, first)
		}
		w.expect("200 ") // until the ACK comes
		p.ack("")
		w.told("answered")
	})
}

// The ACK may have come while nobody was there.
func TestTheACKThatNobodyHeard(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		l := w.calls.in.Leg
		l.Answer()
		p.learn(w.expect("200 "))
		w.die(store)
		w.takeUp(l.ID())
		var m sent
		for m = w.next(); m.response() != nil; m = w.next() {
			continue
		}
		if m.request().Method != sip.UPDATE {
			t.Fatalf("a good call gets\n%s", m)
		}
		w.reply(m, 200, "", "")
		p.do("BYE", "")
		w.expect("200 ")
		w.told("over 0 q16 hung up")
	})
}

// An ACK that was heard is written within a second.
func TestTheACKIsNoted(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.takeUp(l.ID())
		w.expect("UPDATE ")
	})
}

// At another address the peer is told by a re-INVITE.
func TestALegFollowsToAnotherAddress(t *testing.T) {
	moved := netip.MustParseAddr("192.0.2.77")
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.own = moved
		w.takeUp(l.ID())
		invite := w.expect("INVITE ")
		if c := invite.request().Contact(); c.Address.Host != moved.String() || !strings.Contains(string(invite.Body()), "c=IN IP4 "+moved.String()) {
			t.Errorf("the re-INVITE is\n%s", invite)
		}
		w.reply(invite, 200, "", phoneSDP)
		w.expect("ACK ")
		w.nothing(time.Minute)
	})
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.own = moved
		w.takeUp(l.ID())
		w.reply(w.expect("INVITE "), 488, "", "")
		w.expect("ACK ")
		w.expect("BYE ")
		w.told("over 408 q102 the peer did not follow the PBX to its new address")
	})
}

// An ACK that was heard and not noted in time is not waited for at another
// address: it goes to the old one.
func TestALegThatFollowsWaitsForNoACK(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.die(store)
		w.own = netip.MustParseAddr("192.0.2.77")
		w.takeUp(l.ID())
		w.reply(w.expect("INVITE "), 200, "", phoneSDP)
		w.expect("ACK ")
		w.nothing(time.Minute)
	})
}

// The same if the answer was an offer, which nobody will answer any more.
func TestALegThatFollowsForgetsItsLateOffer(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		w.phone().invite("")
		w.told("incoming")
		l := w.calls.in.Leg
		l.Answer()
		w.expect("200 ")
		w.die(store)
		w.own = netip.MustParseAddr("192.0.2.77")
		w.takeUp(l.ID())
		w.reply(w.expect("INVITE "), 200, "", phoneSDP)
		w.expect("ACK ")
	})
}

// A leg that asks its peer twice, since the ACK did not come, takes one of its
// trunk's places.
func TestALegTakenUpCountsOnce(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		w.doc.Trunks[0].MaxCalls = 3
		if _, err := w.trunks.Apply(w.doc.Trunks); err != nil {
			t.Fatal(err)
		}
		w.fromTrunk()
		p := w.phone()
		p.invite(phoneSDP)
		w.told("incoming")
		l := w.calls.in.Leg
		l.Answer()
		p.learn(w.expect("200 "))
		w.die(store) // the old leg keeps its place: the trunks are the same here
		w.takeUp(l.ID())
		for range 2 {
			var m sent
			for m = w.next(); m.response() != nil; m = w.next() {
				continue
			}
			w.reply(m, 200, "", "")
		}
		p.do("BYE", "")
		w.expect("200 ")
		w.told("over")
		synctest.Wait()
		if _, ok := w.trunks.Acquire("carrier"); !ok || w.trunks.Full("carrier") {
			t.Error("a place of the trunk is lost")
		}
	})
}

// A port that is taken is replaced by another one.
func TestALegGetsAnotherPort(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.taken = true
		w.takeUp(l.ID())
		invite := w.expect("INVITE ")
		if strings.Contains(string(invite.Body()), "m=audio 40000 ") {
			t.Errorf("the offer is\n%s", invite.Body())
		}
		w.reply(invite, 200, "", phoneSDP)
		w.expect("ACK ")
	})
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.taken, w.noPorts = true, true
		w.takeUp(l.ID())
		w.expect("BYE ")
		w.told("over 503 q34 no media port was free after the restart")
	})
}

func TestALegWithoutACallIsHungUp(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		w.talk()
		w.pass()
		w.die(store)
		w.legs.EndRest()
		bye := w.expect("BYE ")
		w.reply(bye, 200, "", "")
		synctest.Wait()
		if w.legs.Count() != 0 || w.legs.cfg.Journal.(*memjournal.Journal).Len() != 0 {
			t.Error("something is left of it")
		}
	})
}

// A phone whose connection died with the process is asked where it is now.
func TestAPhoneOverTCPIsFoundAgain(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		w.id.Transport = "TCP"
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.takeUp(l.ID())
		w.nothing(2 * time.Minute) // nowhere: its audio will tell
		w.die(w.legs.cfg.Journal.(*memjournal.Journal))
		now := netip.MustParseAddrPort("198.51.100.7:40123")
		w.legs.cfg.Reach = func(phone edge.Identity, was edge.Hop) (edge.Hop, bool) {
			if phone.Extension != "101" || was.Transport != "TCP" {
				t.Errorf("asked for %s at %v", phone.Extension, was)
			}
			return edge.Hop{Transport: "TCP", Addr: now}, true
		}
		w.takeUp(l.ID())
		if m := w.expect("UPDATE "); m.to.Addr != now {
			t.Errorf("asked at %v", m.to)
		}
	})
}

// Session timers run on from where they were.
func TestSessionTimersGoOn(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk("Session-Expires: 100;refresher=uac", "Supported: timer")
		w.nothing(50 * time.Second)
		w.pass()
		w.die(store)
		w.takeUp(l.ID())
		w.reply(w.expect("UPDATE "), 500, "", "") // no refresh
		start := time.Now()
		w.expect("BYE ")
		if waited := time.Since(start); waited > 25*time.Second {
			t.Errorf("the session expired %v later", waited)
		}
		w.told("over 408 q102 session expired")
	})
}

func TestHandOverLeavesAnsweredLegsAlone(t *testing.T) {
	inVault(t, func(w *memnet, store *memjournal.Journal) {
		_, l := w.talk()
		w.pass()
		w.die(store)
		w.toldNothing()
		if w.ports[0].isClosed() {
			t.Error("its port was closed")
		}
		w.takeUp(l.ID())
		w.expect("UPDATE ")
	})
}

var errTaken = errors.New("the port is taken")
