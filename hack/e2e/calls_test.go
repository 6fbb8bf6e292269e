package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

// hearsRinging proves that the caller hears the country's ringing tone from
// now on, which the PBX plays.
func hearsRinging(t *testing.T, c *phone.Call, who string) {
	t.Helper()
	const block = 1600 // 200 ms
	mark := c.Audio().Mark()
	eventually(t, who+" to hear the ringing tone", func() bool {
		samples := c.Audio().HeardSince(mark).Samples()
		for ; len(samples) >= block; samples = samples[block/2:] {
			if tone.Share(samples[:block], 440) > 0.3 && tone.Share(samples[:block], 480) > 0.3 {
				return true
			}
		}
		return false
	})
}

// idle proves that nothing of any call is left.
func (r *rig) idle() {
	r.t.Helper()
	eventually(r.t, "every media port to be given back", func() bool {
		return metric(r.t, r.server.AdminAddr(), "dipcast_rtp_ports_in_use") == 0
	})
	for _, state := range []string{"routing", "ringing", "active"} {
		eventually(r.t, "no call to be "+state, func() bool { return r.callsIn(state) == 0 })
	}
}

func (r *rig) callsIn(state string) (n int) {
	r.t.Helper()
	calls, err := r.server.Control().Calls(within(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range calls {
		if string(calls[i].State) == state {
			n++
		}
	}
	return n
}

// live waits for the one call in that state.
func (r *rig) live(ok func(pbx.Call) bool) (c pbx.Call) {
	r.t.Helper()
	eventually(r.t, "the call to get there", func() bool {
		calls, err := r.server.Control().Calls(within(r.t))
		if err != nil {
			r.t.Fatal(err)
		}
		if len(calls) != 1 || !ok(calls[0]) {
			return false
		}
		c = calls[0]
		return true
	})
	return c
}

// ended waits for the end of a call.
func ended(t *testing.T, who string, c *phone.Call) phone.Cause {
	t.Helper()
	cause, err := c.WaitEnded(within(t))
	if err != nil {
		t.Fatalf("%s: the call does not end: %v", who, err)
	}
	return cause
}

func hangup(t *testing.T, c *phone.Call) {
	t.Helper()
	if err := c.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
}

// One member answers at the very moment at which another one pulls the call:
// exactly one of them has it, the other one stops ringing.
func TestPullWhileSomebodyAnswers(t *testing.T) {
	for range 4 {
		r := newRig(t, setup{})
		one, two := r.desk("101"), r.desk("102")
		caller := r.callIn("025550100")
		caller.Play(tone.Sine(400, loud))
		atOne, atTwo := rings(t, one), rings(t, two)
		id := r.live(func(c pbx.Call) bool { return len(c.Offered) == 2 }).ID
		var wg sync.WaitGroup
		var pulled error
		wg.Go(func() {
			pulled = r.server.Control().Pull(within(t), pbx.Pull{Call: id, Extension: "101", To: pbx.ToDesk})
		})
		wg.Go(func() { _ = atTwo.Answer(within(t)) }) // an error means that the CANCEL was faster
		wg.Wait()
		has, by := atTwo, "102"
		if pulled == nil {
			ended(t, "102", atTwo)
			answer(t, atOne)
			has, by = atOne, "101"
		} else {
			if pbx.CodeOf(pulled) != pbx.CodeTaken {
				t.Errorf("the pull failed with %v", pulled)
			}
			ended(t, "101", atOne)
		}
		has.Play(tone.Sine(660, loud))
		hears(t, caller, "the caller", 660)
		hears(t, has, by, 400)
		hangup(t, caller)
		ended(t, by, has)
		if c := r.cdr(); c.AnsweredBy.Extension != by || c.Disposition != pbx.Answered || (c.PulledBy == "101") != (by == "101") {
			t.Errorf("answered by %s: the record says by %q, pulled by %q, %s", by, c.AnsweredBy.Extension, c.PulledBy, c.Disposition)
		}
		r.idle()
	}
}

// The caller gives up while the mobile is being rung for them.
func TestCallerHangsUpDuringAPullToTheMobile(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	ringing := rings(t, desk)
	r.press(haneul, r.card(haneul, 0), toMobile)
	mobile := rings(t, r.carrier)
	var wg sync.WaitGroup
	wg.Go(func() { hangup(t, caller) })
	wg.Go(func() { _ = mobile.Answer(within(t)) }) // an error means that the CANCEL was faster
	wg.Wait()
	ended(t, "the mobile", mobile)
	ended(t, "the desk", ringing)
	if c := r.cdr(); c.Disposition != pbx.Missed || c.Cause.SIP != 487 || c.PulledBy != "" {
		t.Errorf("the record says %s, %+v, pulled by %q", c.Disposition, c.Cause, c.PulledBy)
	}
	r.cardWith(haneul, "부재중")
	r.idle()
}

// The presser's desk phone is lifted while the mobile is asked for its key.
func TestDeskIsLiftedWhileTheMobileConfirms(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	ringing := rings(t, desk)
	r.press(haneul, r.card(haneul, 0), toMobile)
	mobile := rings(t, r.carrier)
	answer(t, mobile)
	answer(t, ringing)
	ended(t, "the mobile", mobile)
	ringing.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	hangup(t, ringing)
	ended(t, "the caller", caller)
	if c := r.cdr(); c.PulledBy != "" || c.AnsweredBy.Extension != "101" || c.Disposition != pbx.Answered {
		t.Errorf("the record says pulled by %q, answered by %+v, %s", c.PulledBy, c.AnsweredBy, c.Disposition)
	}
	r.idle()
}

// An answered call moves to the mobile: both go on talking until the key is
// pressed; the desk that hangs up before leaves a caller who hears it ring.
func TestMoveOfAnAnsweredCall(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(400, loud))
	atDesk := rings(t, desk)
	answer(t, atDesk)
	atDesk.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	r.press(haneul, r.card(haneul, 0), toMobile)
	mobile := rings(t, r.carrier)
	mobile.Play(tone.Sine(880, loud))
	answer(t, mobile)
	hears(t, caller, "the caller, before the key,", 660)
	hears(t, atDesk, "the desk, before the key,", 400)
	hangup(t, atDesk)
	hearsRinging(t, caller, "the caller without anybody")
	if err := mobile.SendDTMF(within(t), "1"); err != nil {
		t.Fatal(err)
	}
	hears(t, caller, "the caller", 880)
	hears(t, mobile, "the mobile", 400)
	select {
	case key := <-caller.Digits():
		t.Errorf("the caller got the mobile's key %c", key)
	default:
	}
	hangup(t, mobile)
	ended(t, "the caller", caller)
	c := r.cdr()
	if c.PulledBy != "101" || c.PulledTo != pbx.ToMobile || c.AnsweredBy.Extension != "101" || c.AnsweredBy.Number != "010-1234-5678" {
		t.Errorf("the record says pulled by %q to %q, with %+v", c.PulledBy, c.PulledTo, c.AnsweredBy)
	}
	if s := caller.Stats(); s.Lost > 0 {
		t.Errorf("the caller misses %d packets of %d over the move", s.Lost, s.Received)
	}
	r.idle()
}

// A held caller whose call is moved talks with the mobile, not with the tone.
func TestMoveOfAHeldCall(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(400, loud))
	atDesk := rings(t, desk)
	answer(t, atDesk)
	if err := atDesk.Hold(within(t)); err != nil {
		t.Fatal(err)
	}
	r.press(haneul, r.card(haneul, 0), toMobile)
	mobile := rings(t, r.carrier)
	mobile.Play(tone.Sine(880, loud))
	answer(t, mobile)
	if err := mobile.SendDTMF(within(t), "1"); err != nil {
		t.Fatal(err)
	}
	hears(t, caller, "the caller", 880)
	hears(t, mobile, "the mobile", 400)
	ended(t, "the desk", atDesk)
}

// The carrier says what it has to say before it says busy.
func TestAnnouncementBeforeBusy(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	out, err := desk.Dial(within(t), "901055556666", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out.Play(tone.Sine(400, loud))
	at, err := r.carrier.WaitIncoming(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := at.Progress(); err != nil {
		t.Fatal(err)
	}
	at.Play(tone.Sine(880, loud))
	hears(t, out, "the caller", 880)
	if err := at.Reject(486); err != nil {
		t.Fatal(err)
	}
	if cause := ended(t, "the caller", out); cause.Code != 486 {
		t.Errorf("ended with %+v, want 486", cause)
	}
	if c := r.cdr(); c.Disposition != pbx.BusyCalled || c.Direction != pbx.Outbound || c.Cause.Q850 != 17 {
		t.Errorf("the record says %s, %s, %+v", c.Direction, c.Disposition, c.Cause)
	}
	r.idle()
}

// After a forward to the outside opened early media, a pull to the desk gives
// the caller our ringing tone instead.
func TestRingbackAfterEarlyMedia(t *testing.T) {
	r := newRig(t, setup{document: func(d *conf.Document) {
		d.Extensions[0].NoAnswer = conf.Forward{After: conf.Duration(5 * time.Second), To: "901077770000"}
	}})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(400, loud))
	first := rings(t, desk)
	outside, err := r.carrier.WaitIncoming(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, "the desk", first)
	if got := outside.InviteHeader("Diversion"); got == "" {
		t.Error("the forward does not say who forwarded")
	}
	if got := outside.State().PeerNumber; got != "025550101" {
		t.Errorf("the forward shows %s, want the number of the one who forwards", got)
	}
	if err := outside.Progress(); err != nil {
		t.Fatal(err)
	}
	outside.Play(tone.Sine(880, loud))
	hears(t, caller, "the caller", 880)
	r.press(haneul, r.card(haneul, 0), toDesk)
	ended(t, "the outside", outside)
	again := rings(t, desk)
	hearsRinging(t, caller, "the caller during the pull")
	answer(t, again)
	again.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	hears(t, again, "the desk", 400)
	hangup(t, caller)
	if c := r.cdr(); c.Direction != pbx.Inbound || c.PulledTo != pbx.ToDesk || len(c.Legs) != 4 {
		t.Errorf("the record says %s, pulled to %q, %d legs", c.Direction, c.PulledTo, len(c.Legs))
	}
	r.idle()
}

// All who have a phone refuse; the one who has none has the card and takes
// the call on the mobile.
func TestMemberWithoutAPhoneTakesTheCall(t *testing.T) {
	r := newRig(t, setup{})
	one := r.desk("101")
	caller := r.callIn("025550100")
	caller.Play(tone.Sine(400, loud))
	refused := rings(t, one)
	card := r.card(bada, 0)
	if err := refused.Reject(603); err != nil {
		t.Fatal(err)
	}
	ended(t, "101", refused)
	if err := caller.WaitRinging(within(t)); err != nil {
		t.Fatal(err)
	}
	r.press(bada, card, toMobile)
	mobile := rings(t, r.carrier)
	if mobile.Dialled() != "01023456789" {
		t.Errorf("dialled %s, want the mobile of 102", mobile.Dialled())
	}
	answer(t, mobile)
	mobile.Play(tone.Sine(660, loud))
	if err := mobile.SendDTMF(within(t), "1"); err != nil {
		t.Fatal(err)
	}
	hears(t, caller, "the caller", 660)
	hears(t, mobile, "the mobile", 400)
	hangup(t, caller)
	c := r.cdr()
	if c.PulledBy != "102" || c.AnsweredBy.Extension != "102" || c.To.Number != "600" {
		t.Errorf("the record says pulled by %q, with %+v, to %+v", c.PulledBy, c.AnsweredBy, c.To)
	}
	for user, list := range map[string]int{haneul: len(r.cards(haneul)), bada: len(r.cards(bada)), sol: len(r.cards(sol))} {
		if want := map[string]int{haneul: 1, bada: 1}[user]; list != want {
			t.Errorf("%s has %d cards, want %d", user, list, want)
		}
	}
}

// Members in turn: each rings alone, and who is busy is passed over.
func TestMembersInTurn(t *testing.T) {
	r := newRig(t, setup{document: func(d *conf.Document) {
		d.Groups[1].Members = []string{"102", "103", "101"}
		d.Groups[1].Timeout = conf.Duration(5 * time.Second)
	}})
	one, two, three := r.desk("101"), r.desk("102"), r.desk("103")
	caller, err := one.Dial(within(t), "601", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	busy := rings(t, two)
	if err := busy.Reject(486); err != nil {
		t.Fatal(err)
	}
	late := rings(t, three)
	if cause := ended(t, "103", late); cause.Code == 200 {
		t.Errorf("103 was ended with %+v", cause)
	}
	if cause := ended(t, "the caller", caller); cause.Code != 480 {
		t.Errorf("the caller is told %+v, want 480", cause)
	}
	select {
	case own := <-one.Incoming():
		t.Errorf("the caller's own phone was rung: %+v", own.State())
	default:
	}
	c := r.cdr()
	if c.Disposition != pbx.Missed || len(c.Legs) != 3 || c.To.Number != "601" {
		t.Errorf("the record says %s, %d legs, to %+v", c.Disposition, len(c.Legs), c.To)
	}
	r.idle()
}

func TestNumbersThatLeadNowhere(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*conf.Document)
		number string // from the outside
		dial   string // from extension 101
		code   int
		want   pbx.Disposition
	}{
		"a number that nobody has": {number: "025559999", code: 404, want: pbx.Refused},
		"an outside number":        {number: "01012345678", code: 404, want: pbx.Refused},
		"premium":                  {dial: "9060-123-4567", code: 403, want: pbx.Refused},
		"abroad":                   {dial: "900112025550100", code: 403, want: pbx.Refused},
		"no such extension":        {dial: "777", code: 404, want: pbx.Refused},
		"all lines in use": {
			change: func(d *conf.Document) { d.Limits.ConcurrentCalls = 1; d.Outbound.Policy = "None" },
			dial:   "102", code: 503, want: pbx.Refused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, setup{document: tc.change})
			if tc.change != nil { // one call is up
				desk := r.desk("103")
				r.callIn("025550101")
				_ = desk
				r.live(func(pbx.Call) bool { return true })
			}
			var c *phone.Call
			if tc.number != "" {
				c = r.callIn(tc.number)
			} else {
				var err error
				if c, err = r.desk("101").Dial(within(t), tc.dial, phone.DialOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if cause := ended(t, "the caller", c); cause.Code != tc.code {
				t.Errorf("ended with %+v, want %d", cause, tc.code)
			}
			if got := r.cdr(); got.Disposition != tc.want || got.Cause.SIP != tc.code || got.Ended.Before(got.Started) || !got.Answered.IsZero() {
				t.Errorf("the record says %s, %+v", got.Disposition, got.Cause)
			}
		})
	}
}

// The emergency number is reached although everything else is forbidden, full
// and used up; the trunk's only call slot is taken, too.
func TestEmergencyAboveEveryLimit(t *testing.T) {
	for _, number := range []string{"119", "9112"} {
		t.Run(number, func(t *testing.T) {
			r := newRig(t, setup{document: func(d *conf.Document) {
				d.Limits.ConcurrentCalls = 1
				d.Tenant.Suspend = true
				d.Outbound.Policy, d.Outbound.MaxCallsPerMinute, d.Outbound.DailyMinutes = "None", 1, 1
				d.Trunks[0].MaxCalls = 1
			}})
			c := r.conversation()
			helper := r.desk("102")
			out, err := helper.Dial(within(t), number, phone.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			out.Play(tone.Sine(400, loud))
			rescue := rings(t, r.carrier)
			if got := rescue.Dialled(); got != number[len(number)-3:] {
				t.Errorf("dialled %s", got)
			}
			answer(t, rescue)
			rescue.Play(tone.Sine(880, loud))
			hears(t, out, "the caller", 880)
			hears(t, rescue, "the rescuers", 400)
			c.goesOn(t)
		})
	}
}

// Without a caller's number nobody can be called back, and no card offers it.
func TestWithheldNumber(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	_, err := r.carrier.Dial(within(t), "sip:025550101@"+r.sip, phone.DialOptions{
		From: "anonymous", FromName: "Anonymous", Headers: map[string]string{"Privacy": "id"},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := rings(t, desk)
	m := r.card(haneul, 0)
	for _, b := range m.Buttons {
		if b.Label.Text == callBack {
			t.Error("the card offers to call a withheld number back")
		}
	}
	answer(t, at)
	hangup(t, at)
	if c := r.cdr(); c.From.Number != "" {
		t.Errorf("the record says that %q called", c.From.Number)
	}
}

// A new configuration does not touch a call that is up: not even when one of
// its extensions and its trunk's rules are gone.
func TestReloadDuringACall(t *testing.T) {
	r := newRig(t, setup{})
	c := r.conversation()
	d := *r.doc
	d.Generation += "-2"
	d.Extensions = d.Extensions[1:]
	d.Groups = nil
	d.Flows = nil
	if _, err := r.server.Apply(&d); err != nil {
		t.Fatal(err)
	}
	c.goesOn(t)
	if cause := ended(t, "a new caller", r.callIn("025550101")); cause.Code != 404 {
		t.Errorf("the number that was taken away answers %+v", cause)
	}
	hangup(t, c.caller)
	ended(t, "the desk", c.desk)
	eventually(t, "two records", func() bool {
		page, err := r.server.CDRs().Query(within(t), pbx.CDRQuery{})
		return err == nil && len(page.Records) == 2
	})
	r.idle()
}

// A call back that comes to nothing ends on the presser's phone, and the
// record says why; a call back to oneself is refused with a word.
func TestCallBackThatLeadsNowhere(t *testing.T) {
	r := newRig(t, setup{timing: call.Timing{}})
	desk := r.desk("101")
	id, err := r.server.Control().CallBack(within(t), pbx.CallBack{Extension: "101", Number: "010-5555-6666"})
	if err != nil {
		t.Fatal(err)
	}
	lifted := rings(t, desk)
	answer(t, lifted)
	hearsRinging(t, lifted, "the presser")
	other := rings(t, r.carrier)
	if err := other.Reject(486); err != nil {
		t.Fatal(err)
	}
	ended(t, "the presser", lifted)
	if c := r.cdr(); c.ID != id || c.Disposition != pbx.BusyCalled || c.From.Extension != "101" || c.To.Number != "010-5555-6666" || c.Direction != pbx.Outbound {
		t.Errorf("the record says %s, %+v to %+v, %s", c.Disposition, c.From, c.To, c.Direction)
	}
	for _, number := range []string{"101", "02-555-0101"} {
		if _, err := r.server.Control().CallBack(context.Background(), pbx.CallBack{Extension: "101", Number: number}); pbx.CodeOf(err) != pbx.CodeBadNumber {
			t.Errorf("a call back to oneself: %v", err)
		}
	}
	r.idle()
}

// Who vanishes in the midst of a call is missed within bounds, also if the
// other side holds at that moment, and the record says which side it was.
func TestWhoVanishesIsMissed(t *testing.T) {
	t.Parallel() // it waits for most of its time, after the tests that count goroutines
	for name, tc := range map[string]struct {
		deskVanishes, held bool
		text               string
	}{
		"the caller":                {false, false, "No audio came from the caller for 30 s"},
		"the desk":                  {true, false, "No audio came from the called side for 30 s"},
		"the caller, while on hold": {false, true, "No audio came from the caller for 30 s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{})
			c := r.conversation()
			long, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			if tc.held {
				if err := c.desk.Hold(within(t)); err != nil {
					t.Fatal(err)
				}
			}
			left := c.caller
			if tc.deskVanishes {
				c.phone.Vanish()
			} else {
				r.carrier.Vanish()
				left = c.desk
			}
			if tc.held {
				select {
				case <-time.After(40 * time.Second): // longer than silence is borne
				case <-left.Done():
					t.Fatal("a call on hold was ended")
				}
				if err := c.desk.Resume(within(t)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := left.WaitEnded(long); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the record", func() bool {
				page, err := r.server.CDRs().Query(within(t), pbx.CDRQuery{})
				if err != nil || len(page.Records) != 1 {
					return false
				}
				if got := page.Records[0].Cause; got.Text != tc.text {
					t.Errorf("cause %+v", got)
				}
				return true
			})
		})
	}
}

// A call back during a call rings the same phone for a second call.
func TestCallBackWhileTalking(t *testing.T) {
	r := newRig(t, setup{})
	c := r.conversation()
	r.press(haneul, r.card(haneul, 0), callBack) // calls the same party back, while talking
	second := rings(t, c.phone)
	answer(t, second)
	second.Play(tone.Sine(880, loud))
	other := rings(t, r.carrier)
	answer(t, other)
	other.Play(tone.Sine(1200, loud))
	hears(t, second, "the desk", 1200)
	hears(t, other, "the other", 880)
	c.goesOn(t)
}

// A phone that is registered and gone keeps nobody else from answering.
func TestPhoneThatIsGone(t *testing.T) {
	r := newRig(t, setup{})
	dead, alive := r.desk("101"), r.desk("102")
	dead.Vanish()
	caller := r.callIn("025550100")
	at := rings(t, alive)
	if err := caller.WaitRinging(within(t)); err != nil {
		t.Fatal(err)
	}
	answer(t, at)
	at.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	hangup(t, caller)
	c := r.cdr()
	if c.AnsweredBy.Extension != "102" || len(c.Legs) != 3 {
		t.Errorf("the record says answered by %+v, %d legs", c.AnsweredBy, len(c.Legs))
	}
	r.idle()
}

// Both sides hold and resume; then the held call moves to another phone.
func TestHoldOnBothSidesAndMove(t *testing.T) {
	r := newRig(t, setup{})
	c := r.conversation()
	if err := c.caller.Hold(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.desk.Hold(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.desk.Resume(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.caller.Resume(within(t)); err != nil {
		t.Fatal(err)
	}
	c.goesOn(t)
	// second desk of the presser
	second := r.desk("101")
	if err := c.caller.Hold(within(t)); err != nil {
		t.Fatal(err)
	}
	r.press(haneul, r.card(haneul, 0), toDesk)
	at := rings(t, second)
	answer(t, at)
	at.Play(tone.Sine(880, loud))
	ended(t, "the first desk", c.desk)
	if err := c.caller.Resume(within(t)); err != nil {
		t.Fatal(err)
	}
	hears(t, c.caller, "the caller", 880)
	hears(t, at, "the second desk", 440)
}

// Carriers that send no offer, or want reliable provisional responses, are
// pulled to the mobile like any other.
func TestPullOfUnusualINVITEs(t *testing.T) {
	for name, o := range map[string]phone.DialOptions{"late": {NoOffer: true}, "late reliable": {NoOffer: true, Reliable: true}, "reliable": {Reliable: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, setup{})
			desk := r.desk("101")
			o.From = "01099998888"
			caller, err := r.carrier.Dial(within(t), "sip:025550101@"+r.sip, o)
			if err != nil {
				t.Fatal(err)
			}
			caller.Play(tone.Sine(440, loud))
			at := rings(t, desk)
			r.press(haneul, r.card(haneul, 0), toMobile)
			mobile := rings(t, r.carrier)
			answer(t, mobile)
			mobile.Play(tone.Sine(660, loud))
			if err := mobile.SendDTMF(within(t), "1"); err != nil {
				t.Fatal(err)
			}
			ended(t, "the desk", at)
			hears(t, caller, "the caller", 660)
			hears(t, mobile, "the mobile", 440)
			hangup(t, mobile)
			ended(t, "the caller", caller)
			r.idle()
		})
	}
}

// A service that asks for keys before it takes the call gets them.
func TestKeysBeforeTheAnswer(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	out, err := desk.Dial(within(t), "901055556666", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out.Play(tone.Sine(440, loud))
	at, err := r.carrier.WaitIncoming(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := at.Progress(); err != nil {
		t.Fatal(err)
	}
	at.Play(tone.Sine(660, loud))
	hears(t, out, "the caller", 660)
	hears(t, at, "the network", 440)
	if err := out.SendDTMF(within(t), "5"); err != nil {
		t.Fatal(err)
	}
	if got, err := at.WaitDigits(within(t), 1); err != nil || got != "5" {
		t.Errorf("the network got keys %q: %v", got, err)
	}
}

// A trunk that is gone costs seconds, not half a minute, where there is
// another one.
func TestTheOtherTrunk(t *testing.T) {
	r := newRig(t, setup{document: func(d *conf.Document) {
		dead := d.Trunks[0]
		dead.Name, dead.Numbers, dead.AllowedCIDRs = "dead", nil, []string{"127.0.0.3/32"}
		dead.Hosts = []conf.TrunkHost{{Host: "127.0.0.3", Port: 5999, Transport: "UDP"}}
		d.Trunks = append([]conf.Trunk{dead}, d.Trunks...)
	}})
	out, err := r.desk("101").Dial(within(t), "901055556666", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answer(t, rings(t, r.carrier))
	if err := out.WaitAnswered(within(t)); err != nil {
		t.Fatal(err)
	}
}
