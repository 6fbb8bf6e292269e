package call

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
)

func TestExtensionCallsExtension(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.extension("101", "102")
		phone := r.w.to(t, "102")
		if phone.dial.From != (pbx.Party{Number: "101", Name: "김하늘", Extension: "101"}) {
			t.Errorf("the phone shows %+v", phone.dial.From)
		}
		r.ringing(phone)
		if !caller.has("ring") || caller.has("answer") {
			t.Errorf("the caller's leg was told %v", caller.did)
		}
		r.answers(phone)
		r.answers(caller) // the ACK
		r.wantTalk(caller, phone)
		c := r.only()
		if c.State != pbx.CallActive || c.Direction != pbx.Internal || c.AnsweredBy.Extension != "102" {
			t.Errorf("the call is %+v", c)
		}
		r.pass(time.Minute)
		r.fails(caller, 0)
		r.wantEnd(phone, 0, false)
		ended := r.wantEvents(pbx.EventEnded, 1)[0].Call
		if ended.Ended.Sub(ended.Answered) != time.Minute || ended.Legs[1].Quality.PacketsIn != 7 {
			t.Errorf("the record is %+v", ended)
		}
		if ended.Legs[1].SIPCallID != "sip-"+string(phone.id) {
			t.Errorf("Call-ID %q", ended.Legs[1].SIPCallID)
		}
		r.wantEvents(pbx.EventUnanswered, 0)
	})
}

func TestOutsideCallRingsTheGroupAndFirstAnswerWins(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.w.register("101", "mobile app")
		caller := r.outside("025550100")
		if n := len(r.w.legs()); n != 3 {
			t.Fatalf("%d legs, want one for each of three contacts", n)
		}
		first, second := r.w.legs()[0], r.w.to(t, "102")
		r.ringing(first)
		r.ringing(second)
		r.answers(second)
		r.answers(first) // crossed: it was cancelled already
		r.wantTalk(caller, second)
		r.wantEnd(first, 200, true)
		c := r.only()
		if c.Direction != pbx.Inbound || c.From.Number != "010-9999-8888" || c.From.Name != "홍길동" {
			t.Errorf("the call is %+v", c)
		}
		if diff := cmp.Diff([]string{"101", "102"}, c.Offered); diff != "" {
			t.Error(diff)
		}
		r.wantEvents(pbx.EventOffered, 2)
		r.wantEvents(pbx.EventAnswered, 1)
	})
}

func TestExtensionCallsOutside(t *testing.T) {
	drama(t, nil, func(r *rig) {
		caller := r.extension("101", "9010-2345-6789")
		out := r.w.to(t, "01023456789")
		if out.dial.Target.Trunk != "one" || out.dial.From.Number != "025550101" {
			t.Errorf("dialled %+v", out.dial)
		}
		out.listener.LegProgress(out.id)
		synctest.Wait()
		if !caller.has("progress") || out.heardBy() != caller || caller.heardBy() != out {
			t.Errorf("no early media: %v", caller.did)
		}
		r.ringing(out)
		if caller.plays() != "" {
			t.Error("ringback covers the early media")
		}
		r.answers(out)
		r.wantTalk(caller, out)
		if len(r.w.all(pbx.EventOffered)) != 0 {
			t.Error("an outside call was offered to somebody")
		}
		r.fails(out, 0)
		r.wantEnd(caller, 0, false)
	})
}

func TestTrunkFailover(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		rang   bool
		second bool
		want   int
	}{
		"unavailable":           {503, false, true, 503},
		"timeout":               {408, false, true, 408},
		"busy is an answer":     {486, false, false, 486},
		"not found":             {404, false, false, 404},
		"failed after it rang":  {503, true, false, 503},
		"challenge stays ours":  {407, false, false, 480},
		"redirect is not taken": {302, false, false, 480},
	} {
		t.Run(name, func(t *testing.T) {
			drama(t, nil, func(r *rig) {
				caller := r.extension("101", "901023456789")
				out := r.w.to(t, "01023456789")
				if tt.rang {
					r.ringing(out)
				}
				out.listener.LegMoved(out.id, "102")
				r.fails(out, tt.status)
				if got := len(r.w.legs()) == 2; got != tt.second {
					t.Fatalf("second trunk tried: %t", got)
				}
				if !out.dial.MoreWays {
					t.Error("the first trunk is waited for as if it were the only one")
				}
				if tt.second {
					if d := r.w.legs()[1].dial; d.MoreWays || d.Target.Trunk != "two" || d.From.Number != "025550200" {
						t.Errorf("dialled %+v", d)
					}
					r.fails(r.w.legs()[1], 503)
				}
				r.wantEnd(caller, tt.want, false)
			})
		})
	}
}

func TestNoTrunkIsUp(t *testing.T) {
	drama(t, nil, func(r *rig) {
		r.w.fail("one", "two")
		r.wantEnd(r.extension("101", "901023456789"), 503, false)
	})
	drama(t, nil, func(r *rig) {
		r.w.fail("one")
		r.extension("101", "112")
		if d := r.w.to(t, "112").dial; d.Target.Trunk != "two" {
			t.Errorf("dialled %+v", d)
		}
	})
}

func TestHowAStageEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		dialled  string
		statuses []int // of the phones, in the order in which they were dialled
		want     int   // towards the caller; 0: the call goes on
		missed   int
	}{
		"busy":                          {"101", []int{486}, 486, 1},
		"declined":                      {"101", []int{603}, 603, 0},
		"busy does not forward":         {"103", []int{486}, 486, 1},
		"gone phone forwards":           {"103", []int{408}, 0, 0},
		"gone phone ends":               {"101", []int{408}, 408, 1},
		"group: one busy":               {"600", []int{486}, 0, 0},
		"group: all busy":               {"600", []int{486, 486}, 486, 2},
		"group: one busy, one declines": {"600", []int{603, 486}, 486, 1},
		"in turn: busy goes on":         {"601", []int{486}, 0, 0},
		"in turn: all busy":             {"601", []int{486, 486}, 486, 2},
		"server failure":                {"101", []int{500}, 500, 1},
		"busy everywhere":               {"101", []int{600}, 600, 0},
	} {
		t.Run(name, func(t *testing.T) {
			drama(t, []string{"101", "102", "103"}, func(r *rig) {
				caller := r.outsideTo(tt.dialled)
				for i, status := range tt.statuses {
					r.fails(r.w.legs()[i], status)
				}
				r.wantEnd(caller, tt.want, false)
				r.wantEvents(pbx.EventUnanswered, tt.missed)
			})
		})
	}
}

// outsideTo calls an internal number from an extension that is none of those
// called.
func (r *rig) outsideTo(dialled string) *fakeLeg {
	r.Helper()
	return r.extension("104", dialled)
}

func TestDeclineEndsThePersonsOtherPhones(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.w.register("101", "app")
		caller := r.outside("025550100")
		legs := r.w.legs()
		r.fails(legs[0], 603)
		r.wantEnd(legs[1], 200, true)
		r.wantEnd(legs[2], 0, false)
		r.answers(legs[2])
		r.wantTalk(caller, legs[2])
	})
}

func TestNoAnswer(t *testing.T) {
	drama(t, []string{"101", "102", "103"}, func(r *rig) {
		caller := r.outsideTo("103")
		first := r.w.to(t, "103")
		r.ringing(first)
		r.pass(10 * time.Second)
		r.wantEnd(first, 480, false)
		second := r.w.to(t, "102")
		if second.dial.Diverted != "103" {
			t.Errorf("diverted by %q", second.dial.Diverted)
		}
		r.pass(30 * time.Second)
		r.wantEnd(second, 480, false)
		r.wantEnd(caller, 480, false)
		if c := r.wantEvents(pbx.EventEnded, 1)[0].Call; c.Cause.Q850 != 19 {
			t.Errorf("cause %+v", c.Cause)
		}
		r.wantEvents(pbx.EventUnanswered, 2)
	})
}

func TestForwardToTheOutside(t *testing.T) {
	drama(t, nil, func(r *rig) {
		caller := r.outside("025550101") // 101 has no phone but a person
		r.fails(caller, 487)
	})
	drama(t, []string{"104"}, func(r *rig) {
		caller := r.extension("101", "104")
		phone := r.w.to(t, "104")
		r.ringing(phone)
		r.pass(30 * time.Second)
		out := r.w.to(t, "01022223333")
		if out.dial.Diverted != "104" || out.dial.From.Number != "025550100" {
			t.Errorf("dialled %+v", out.dial)
		}
		out.listener.LegProgress(out.id)
		synctest.Wait()
		if out.heardBy() != caller {
			t.Error("no early media")
		}
		r.answers(out)
		r.wantTalk(caller, out)
	})
}

func TestNobodyRegistered(t *testing.T) {
	drama(t, nil, func(r *rig) {
		caller := r.outsideTo("101") // a person: the caller hears ringing
		if !caller.has("ring") {
			t.Error("the caller hears nothing")
		}
		r.wantEvents(pbx.EventOffered, 1)
		r.pass(29 * time.Second)
		r.wantEnd(caller, 0, false)
		r.pass(time.Second)
		r.wantEnd(caller, 480, false)
	})
	drama(t, []string{"102"}, func(r *rig) {
		r.outsideTo("103") // a plain phone: its forward at once
		r.w.to(t, "102")
	})
	drama(t, []string{"102"}, func(r *rig) {
		caller := r.outsideTo("600") // 101 has only the card; 102 is busy
		r.fails(r.w.to(t, "102"), 486)
		r.wantEnd(caller, 0, false)
		if !caller.has("ring") {
			t.Error("the caller hears nothing")
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.outside("025550100")
		r.ringing(r.w.to(t, "101"))
		r.fails(caller, 487)
		r.wantEnd(r.w.to(t, "101"), 487, false)
		missed := r.wantEvents(pbx.EventUnanswered, 2)
		if missed[0].Extension != "101" || missed[1].Extension != "102" {
			t.Errorf("missed by %v", missed)
		}
	})
}

func TestUnknownNumbersAndPolicy(t *testing.T) {
	for dialled, want := range map[string]int{"555": 404, "9001112345678": 403, "0609123456": 403, "x": 404} {
		drama(t, nil, func(r *rig) {
			caller := r.extension("101", dialled)
			r.wantEnd(caller, want, false)
			r.wantEvents(pbx.EventEnded, 1)
		})
	}
}

func TestHold(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.extension("101", "102")
		phone := r.w.to(t, "102")
		held := func(f *fakeLeg, on bool) { f.listener.LegHeld(f.id, on); synctest.Wait() }
		held(phone, true) // not answered yet: means nothing
		r.answers(phone)
		held(phone, true)
		if caller.plays() != SoundHold || phone.plays() != "" {
			t.Errorf("caller hears %q", caller.plays())
		}
		caller.listener.LegPlayed(caller.id)
		phone.listener.LegSilent(phone.id)
		held(caller, true)
		if caller.plays() != "" || phone.plays() != "" {
			t.Errorf("both hold: %q %q", caller.plays(), phone.plays())
		}
		held(phone, false)
		if phone.plays() != SoundHold {
			t.Errorf("phone hears %q", phone.plays())
		}
		held(caller, false)
		r.wantTalk(caller, phone)
		r.pass(maxSilence - time.Second)
		phone.listener.LegSilent(phone.id) // it held until a moment ago
		r.wantTalk(caller, phone)
		r.pass(time.Second)
		phone.listener.LegSilent(phone.id)
		synctest.Wait()
		r.wantEnd(caller, 408, false)
		r.wantEnd(phone, 408, false)
	})
}

func TestKeysReachTheOtherSide(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.extension("101", "102")
		phone := r.w.to(t, "102")
		r.press(caller, '1')
		r.answers(phone)
		r.press(caller, '2')
		r.press(phone, '#')
		if string(phone.digits) != "2" || string(caller.digits) != "#" {
			t.Errorf("phone got %q, caller %q", string(phone.digits), string(caller.digits))
		}
		phone.events = true // the caller's INFO still needs us
		r.press(caller, '3')
		caller.events = true // now the media plane carries them
		r.press(caller, '4')
		r.press(phone, '5')
		if string(phone.digits) != "23" || string(caller.digits) != "#" {
			t.Errorf("phone got %q, caller %q", string(phone.digits), string(caller.digits))
		}
	})
}

func TestRedirection(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.w.register("101", "app")
		r.outsideTo("101")
		legs := r.w.legs()
		legs[0].listener.LegMoved(legs[0].id, "102")
		r.fails(legs[0], 302)
		r.wantEnd(legs[1], 200, true)
		if d := r.w.to(t, "102").dial; d.Diverted != "101" {
			t.Errorf("dialled %+v", d)
		}
	})
	for name, number := range map[string]string{"loop": "101", "forbidden": "9001112345678", "nowhere": "777"} {
		t.Run(name, func(t *testing.T) {
			drama(t, []string{"101"}, func(r *rig) {
				caller := r.outsideTo("101")
				phone := r.w.to(t, "101")
				phone.listener.LegMoved(phone.id, number)
				r.fails(phone, 302)
				r.wantEnd(caller, 480, false)
			})
		})
	}
	drama(t, []string{"101", "102"}, func(r *rig) { // a member cannot take the group's call away
		r.outsideTo("600")
		legs := r.w.legs()
		legs[0].listener.LegMoved(legs[0].id, "103")
		r.fails(legs[0], 302)
		r.wantEnd(legs[1], 0, false)
	})
}

func TestLimits(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.doc.Limits.ConcurrentCalls = 1
		first := r.extension("101", "102")
		_, refusal := r.try(pbx.Party{Extension: "104"}, "102")
		want := &leg.Refusal{Cause: pbx.Cause{SIP: 503, Q850: 42, Text: "all 1 calls of the product's limit are in use"}, RetryAfter: 30}
		if diff := cmp.Diff(want, refusal); diff != "" {
			t.Error(diff)
		}
		r.extension("104", "119") // emergency
		_, err := r.e.CallBack(context.Background(), pbx.CallBack{Extension: "101", Number: "102"})
		r.wantCode(err, pbx.CodeLimit)
		r.fails(first, 0)
		r.fails(r.w.to(t, "119"), 486)
		r.extension("104", "102")
	})
}

func TestTap(t *testing.T) {
	drama(t, []string{"101"}, func(r *rig) {
		doc := document()
		doc.Outbound = conf.Outbound{Policy: "Domestic", MaxCallsPerMinute: 2, DailyMinutes: 10}
		r.doc = doc
		r.extension("101", "901023456789")
		second := r.extension("101", "901023456789")
		r.answers(r.w.to(t, "01023456789"))
		r.wantEnd(r.extension("101", "901023456789"), 503, false)
		r.extension("101", "112")
		r.w.to(t, "112")
		r.pass(time.Minute)
		r.extension("101", "901023456789")
		r.pass(9 * time.Minute)
		r.fails(second, 0)
		r.wantEnd(r.extension("101", "901023456789"), 503, false)
	})
}

func TestGuards(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.extension("101", "102")
		r.answers(r.w.to(t, "102"))
		r.pass(12*time.Hour - time.Second)
		r.wantEnd(caller, 0, false)
		r.pass(time.Second)
		if c := caller.cause(); c == nil || c.Q850 != 102 {
			t.Errorf("ended with %+v", c)
		}
	})
	drama(t, []string{"101"}, func(r *rig) {
		r.doc.Extensions[0].NoAnswer.After = conf.Duration(time.Hour)
		caller := r.outsideTo("101")
		r.pass(5 * time.Minute)
		r.wantEnd(caller, 480, false)
	})
	drama(t, []string{"101"}, func(r *rig) { // a leg that never tells its end
		r.w.autoEnd = false
		caller := r.outsideTo("101")
		r.fails(caller, 487)
		if r.e.Active() != 1 {
			t.Error("the call is over while a leg lives")
		}
		r.pass(2 * time.Minute)
		r.wantEvents(pbx.EventEnded, 1)
		r.w.legs()[0].hangUp(pbx.Cause{}) // too late, means nothing
	})
}

func TestHangupAndLookUps(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		ctx := context.Background()
		caller := r.extension("101", "102")
		id := r.only().ID
		if c, err := r.e.Call(ctx, id); err != nil || c.ID != id {
			t.Errorf("call %v, error %v", c.ID, err)
		}
		if err := r.e.Hangup(ctx, id); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		r.wantEnd(caller, 480, false)
		r.wantCode(r.e.Hangup(ctx, id), pbx.CodeGone)
		r.wantCode(r.e.Pull(ctx, pbx.Pull{Call: id}), pbx.CodeGone)
		_, err := r.e.Call(ctx, id)
		r.wantCode(err, pbx.CodeGone)
	})
}

func TestDrain(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.extension("101", "102")
		done := make(chan error, 1)
		r.e.Hold(false)
		go func() { done <- r.e.Idle(context.Background()) }()
		synctest.Wait()
		if _, refusal := r.try(pbx.Party{Extension: "104"}, "102"); refusal == nil || refusal.RetryAfter != 30 || refusal.Cause.SIP != 503 {
			t.Errorf("refusal %+v", refusal)
		}
		emergency := r.extension("104", "112")
		r.fails(caller, 487)
		r.fails(emergency, 487)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.extension("101", "102")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err := r.e.Idle(ctx)
		r.wantCode(err, pbx.CodeDraining)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCloseWaitsAShortWhile(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.w.autoEnd = false
		r.extension("101", "102")
		begin := time.Now()
		r.e.Close()
		if d := time.Since(begin); d != closeTime {
			t.Errorf("Close took %s", d)
		}
		_, refusal := r.try(pbx.Party{Extension: "101"}, "112")
		if refusal == nil {
			t.Error("a closed engine takes calls")
		}
	})
}

func TestAFaultEndsOneCallOnly(t *testing.T) {
	drama(t, []string{"101", "102", "103"}, func(r *rig) {
		good := r.extension("101", "102")
		r.w.beforeDial(func(*fakeLeg) { panic("a bug") })
		bad := r.extension("101", "103")
		r.w.beforeDial(nil)
		r.wantEnd(bad, 500, false)
		r.wantEvents(pbx.EventEnded, 1)
		r.answers(r.w.to(t, "102"))
		r.wantTalk(good, r.w.to(t, "102"))
	})
}

func TestForkIsBounded(t *testing.T) {
	drama(t, nil, func(r *rig) {
		for i := range 2 * maxFork {
			r.w.register("101", string(rune('A'+i)))
		}
		r.outsideTo("101")
		if n := len(r.w.legs()); n != maxFork {
			t.Errorf("%d legs", n)
		}
	})
}

// Nothing stands in the way of an emergency call: a trunk that seems down or
// full is tried after those that are up.
func TestEmergencyTriesEveryTrunk(t *testing.T) {
	drama(t, []string{"101"}, func(r *rig) {
		r.w.fail("one")
		r.extension("101", "119")
		first := r.w.to(t, "119")
		if first.dial.Target.Trunk != "two" || !first.dial.Emergency {
			t.Fatalf("dialled %+v, want the trunk that is up", first.dial)
		}
		r.fails(first, 503)
		last := r.w.to(t, "119")
		if last.dial.Target.Trunk != "one" {
			t.Fatalf("dialled %+v, want the trunk that is down", last.dial)
		}
		r.answers(last)
	})
	drama(t, []string{"101"}, func(r *rig) {
		r.w.fail("one", "two")
		r.extension("101", "9112")
		r.answers(r.w.to(t, "112"))
	})
}

// Whoever presses M2C on a card of their own call, or is a forward's target
// while they call, must not be rung by themselves.
func TestNobodyIsCalledByThemselves(t *testing.T) {
	drama(t, []string{"101"}, func(r *rig) {
		for _, number := range []string{"101", "02-555-0101"} {
			_, err := callBack(r, "101", number)
			r.wantCode(err, pbx.CodeBadNumber)
		}
		r.wantEnd(r.extension("101", "101"), 480, false)
		r.doc.Extensions[1].NoAnswer = conf.Forward{After: conf.Duration(5 * time.Second), To: "101"}
		caller := r.extension("101", "102")
		if n := len(r.w.legs()); n != 0 {
			t.Errorf("%d phones ring, want none", n)
		}
		r.pass(5 * time.Second)
		r.wantEnd(caller, 480, false)
	})
}

// A phone that sends nothing before the call is answered is not cut off right
// after the answer since it has been silent for long.
func TestSilenceCountsFromTheAnswer(t *testing.T) {
	drama(t, []string{"101"}, func(r *rig) {
		caller := r.outside("025550101")
		r.answers(r.w.to(t, "101"))
		caller.listener.LegSilent(caller.id)
		synctest.Wait()
		r.wantEnd(caller, 0, false)
		r.pass(maxSilence)
		caller.listener.LegSilent(caller.id)
		synctest.Wait()
		r.wantEnd(caller, 408, false)
	})
}

// A call above the limit has a record: started, ended and nothing between.
func TestRefusedCallsAreRecorded(t *testing.T) {
	drama(t, []string{"101"}, func(r *rig) {
		r.doc.Limits.ConcurrentCalls = 0
		if _, refusal := r.try(pbx.Party{Trunk: "one", Number: "01099998888"}, "025550101"); refusal == nil {
			t.Fatal("the call is taken")
		}
		c := r.wantEvents(pbx.EventEnded, 1)[0].Call
		if c.Cause.SIP != 503 || c.State != pbx.CallOver || len(c.Legs) != 1 || c.To.Extension != "101" || c.Ended.IsZero() {
			t.Errorf("the record says %+v", c)
		}
		r.wantEvents(pbx.EventOffered, 0)
	})
}

// Calls that ring many phones leave media ports for every call that the limit
// still allows, and every call rings somebody.
func TestForksLeaveRoomForOtherCalls(t *testing.T) {
	drama(t, []string{"102"}, func(r *rig) {
		for i := range 12 {
			r.w.register("101", string(rune('a'+i)))
		}
		r.doc.Limits.ConcurrentCalls = 6
		r.doc.Network.Ports = conf.Ports{RTPFrom: 10000, RTPTo: 10039} // 20 legs
		var callers []*fakeLeg
		for call := range 6 {
			before := len(r.w.legs())
			callers = append(callers, r.outside("025550101"))
			if n, want := len(r.w.legs())-before, []int{5, 1, 1, 1, 1, 1}[call]; n != want {
				t.Errorf("call %d rings %d phones, want %d", call, n, want)
			}
		}
		for _, c := range callers {
			r.fails(c, 487)
		}
		r.outside("025550101")
		if n := r.e.legs.Load(); n != 6 {
			t.Errorf("%d legs are counted, want the caller and five phones", n)
		}
	})
}
