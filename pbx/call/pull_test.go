package call

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

const mobile101 = "01012345678"

func TestPullToTheDeskOfAnotherMember(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.outside("025550100")
		mine, other := r.w.to(t, "101"), r.w.to(t, "102")
		r.ringing(other)
		if err := r.pull("101", pbx.ToDesk); err != nil {
			t.Fatal(err)
		}
		r.wantEnd(other, 200, true)
		r.wantEnd(mine, 0, false)
		if n := len(r.w.legs()); n != 2 {
			t.Errorf("%d legs: the ringing phone was dialled again", n)
		}
		r.wantEvents(pbx.EventPulling, 1)
		r.answers(mine)
		r.wantTalk(caller, mine)
		e := r.wantEvents(pbx.EventPulled, 1)[0]
		if e.Extension != "101" || e.PullTo != pbx.ToDesk || e.Call.PulledBy != "101" || e.Call.PulledTo != pbx.ToDesk || e.Leg != mine.id {
			t.Errorf("event %+v", e)
		}
		r.wantEvents(pbx.EventAnswered, 1)
	})
}

// offered101 is a call that was offered to 101 and now rings at 102.
func offered101(r *rig) *fakeLeg {
	caller := r.outsideTo("601")
	r.pass(15 * time.Second)
	r.ringing(r.w.to(r.T, "102"))
	return caller
}

func TestPullToTheDeskFromElsewhere(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := offered101(r)
		if err := r.pull("101", pbx.ToDesk); err != nil {
			t.Fatal(err)
		}
		r.wantEnd(r.w.to(t, "102"), 200, true)
		mine := r.w.to(t, "101")
		if !mine.dial.AutoAnswer {
			t.Error("no auto-answer")
		}
		r.answers(mine)
		r.wantTalk(caller, mine)
	})
}

func TestPullToTheDeskFails(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		code   pbx.Code
	}{
		"busy": {486, pbx.CodeBusy}, "declined": {603, pbx.CodeBusy}, "gone": {408, pbx.CodeNoAnswer},
		"broken": {500, pbx.CodeFailed}, "no answer": {0, pbx.CodeNoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			drama(t, []string{"101", "102"}, func(r *rig) {
				offered101(r)
				if err := r.pull("101", pbx.ToDesk); err != nil {
					t.Fatal(err)
				}
				before := r.w.to(t, "102")
				if tt.status != 0 {
					r.fails(r.w.to(t, "101"), tt.status)
				} else {
					r.pass(30 * time.Second)
				}
				r.wantFailed(tt.code)
				after := r.w.to(t, "102")
				if before == after {
					t.Error("the call does not ring again where it rang")
				}
				r.wantEnd(after, 0, false)
				if err := r.pull("101", pbx.ToDesk); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRefusedPulls(t *testing.T) {
	ringing := func(r *rig) { offered101(r) }
	talking := func(r *rig) { offered101(r); r.answers(r.w.to(r.T, "102")) }
	pulling := func(r *rig) { offered101(r); _ = r.pull("101", pbx.ToMobile) }
	for name, tt := range map[string]struct {
		before    func(*rig)
		extension string
		to        pbx.PullTo
		code      pbx.Code
		who       string
	}{
		"not yours":             {ringing, "103", pbx.ToDesk, pbx.CodeNotYours, ""},
		"the caller":            {ringing, "104", pbx.ToDesk, pbx.CodeNotYours, ""},
		"no assistant":          {ringing, "101", pbx.ToAssistant, pbx.CodeNoAssistant, ""},
		"nonsense":              {ringing, "101", "moon", pbx.CodeFailed, ""},
		"taken by the answerer": {talking, "101", pbx.ToDesk, pbx.CodeTaken, "이바다"},
		"taken by a puller":     {pulling, "102", pbx.ToDesk, pbx.CodeTaken, "김하늘"},
		"pressed twice":         {pulling, "101", pbx.ToMobile, pbx.CodePressed, ""},
		"my only phone talks":   {talking, "102", pbx.ToDesk, pbx.CodeNotRegistered, ""},
	} {
		t.Run(name, func(t *testing.T) {
			drama(t, []string{"101", "102"}, func(r *rig) {
				tt.before(r)
				legs := len(r.w.legs())
				err := r.pull(tt.extension, tt.to)
				r.wantCode(err, tt.code)
				if e, ok := err.(*pbx.Error); !ok || e.Who != tt.who { //nolint:errorlint // the very type is asked for
					t.Errorf("who: %v", err)
				}
				if len(r.w.legs()) != legs {
					t.Error("a refused pull dialled")
				}
			})
		})
	}
}

func TestPullOfAnUnregisteredPersonChangesNothing(t *testing.T) {
	drama(t, []string{"102"}, func(r *rig) {
		caller := r.outside("025550100")
		r.wantCode(r.pull("101", pbx.ToDesk), pbx.CodeNotRegistered)
		r.wantEnd(r.w.to(t, "102"), 0, false)
		r.pass(25 * time.Second)
		r.wantEnd(caller, 480, false)
		r.wantEvents(pbx.EventPullFailed, 0)
	})
}

func TestPullToTheMobile(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller := r.outside("025550100")
		desk, other := r.w.to(t, "101"), r.w.to(t, "102")
		if err := r.pull("101", pbx.ToMobile); err != nil {
			t.Fatal(err)
		}
		if !caller.has("ring") {
			t.Error("the caller hears nothing")
		}
		mobile := r.w.to(t, mobile101)
		if mobile.dial.From.Number != "025550101" || mobile.dial.Target.Trunk != "one" {
			t.Errorf("dialled %+v", mobile.dial)
		}
		mobile.listener.LegProgress(mobile.id)
		synctest.Wait()
		r.wantSilence(mobile)
		r.answers(mobile)
		r.wantSilence(mobile)
		if mobile.plays() != SoundConfirm {
			t.Errorf("the mobile hears %q", mobile.plays())
		}
		r.wantEnd(desk, 0, false)
		r.press(mobile, '5')
		r.wantSilence(mobile)
		r.press(mobile, '1')
		r.wantTalk(caller, mobile)
		r.wantEnd(desk, 200, true)
		r.wantEnd(other, 200, true)
		c := r.only()
		if c.PulledTo != pbx.ToMobile || c.AnsweredBy.Number != "010-1234-5678" || c.AnsweredBy.Extension != "101" {
			t.Errorf("call %+v", c)
		}
		r.wantCode(r.pull("101", pbx.ToMobile), pbx.CodePressed)
		r.wantCode(r.pull("102", pbx.ToMobile), pbx.CodeTaken)
		if err := r.pull("101", pbx.ToDesk); err != nil { // and back to the desk
			t.Fatal(err)
		}
		back := r.w.to(t, "101")
		r.wantTalk(caller, mobile)
		r.answers(back)
		r.wantTalk(caller, back)
		r.wantEnd(mobile, 200, true)
		r.wantEvents(pbx.EventAnswered, 1)
		r.wantEvents(pbx.EventPulled, 2)
	})
}

// Acceptance 4: the mobile's voicemail answers and presses nothing.
func TestMobileVoicemailDoesNotSwallowTheCall(t *testing.T) {
	drama(t, []string{"101"}, func(r *rig) {
		caller := r.outside("025550101")
		desk := r.w.to(t, "101")
		r.ringing(desk)
		r.pass(20 * time.Second)
		if err := r.pull("101", pbx.ToMobile); err != nil {
			t.Fatal(err)
		}
		mobile := r.w.to(t, mobile101)
		r.pass(20 * time.Second) // longer than the stage had left
		r.answers(mobile)
		r.pass(10 * time.Second)
		r.wantFailed(pbx.CodeNotConfirmed)
		r.wantEnd(mobile, 480, false)
		r.wantEnd(desk, 0, false)
		r.pass(9 * time.Second)
		r.answers(desk)
		r.wantTalk(caller, desk)
	})
}

func TestPullToTheMobileFails(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*rig, *fakeLeg)
		code pbx.Code
	}{
		"busy":                {func(r *rig, m *fakeLeg) { r.fails(m, 486) }, pbx.CodeBusy},
		"no answer":           {func(r *rig, _ *fakeLeg) { r.pass(25 * time.Second) }, pbx.CodeNoAnswer},
		"carrier's no answer": {func(r *rig, m *fakeLeg) { r.ringing(m); r.fails(m, 480) }, pbx.CodeNoAnswer},
		"no such number":      {func(r *rig, m *fakeLeg) { r.fails(m, 404) }, pbx.CodeFailed},
		"hung up":             {func(r *rig, m *fakeLeg) { r.answers(m); r.fails(m, 0) }, pbx.CodeNotConfirmed},
		"both trunks fail": {func(r *rig, m *fakeLeg) {
			r.fails(m, 503)
			second := r.w.to(r.T, mobile101)
			if second.dial.Target.Trunk != "two" {
				r.Errorf("dialled %+v", second.dial)
			}
			r.fails(second, 503)
		}, pbx.CodeFailed},
		"somebody lifts": {func(r *rig, m *fakeLeg) {
			r.answers(r.w.to(r.T, "102"))
			r.wantEnd(m, 200, true)
		}, pbx.CodeTaken},
		"the caller gives up": {func(r *rig, _ *fakeLeg) {
			r.fails(r.w.to(r.T, "102"), 486)
			r.wantEvents(pbx.EventEnded, 0)
			r.e.mu.Lock()
			var run *run
			for _, run = range r.e.calls {
			}
			r.e.mu.Unlock()
			run.LegOver(run.state.Caller, pbx.Cause{SIP: 487}, pbx.Quality{})
			synctest.Wait()
		}, pbx.CodeGone},
	} {
		t.Run(name, func(t *testing.T) {
			drama(t, []string{"102"}, func(r *rig) {
				r.outside("025550100")
				if err := r.pull("101", pbx.ToMobile); err != nil {
					t.Fatal(err)
				}
				tt.do(r, r.w.to(t, mobile101))
				r.wantFailed(tt.code)
			})
		})
	}
}

func TestStageThatRanOutDuringAPull(t *testing.T) {
	drama(t, []string{"101"}, func(r *rig) {
		caller := r.outside("025550101")
		_ = r.pull("101", pbx.ToMobile)
		r.fails(r.w.to(t, "101"), 486)
		r.wantEnd(caller, 0, false)
		r.fails(r.w.to(t, mobile101), 486)
		r.wantEnd(caller, 486, false)
	})
}

func TestMobileThatCannotBeCalled(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*conf.Document, *world)
		code   pbx.Code
	}{
		"no mobile":     {func(d *conf.Document, _ *world) { d.Extensions[0].Mobile = "" }, pbx.CodeNoMobile},
		"own number":    {func(d *conf.Document, _ *world) { d.Extensions[0].Mobile = "02-555-0100" }, pbx.CodeBadNumber},
		"no number":     {func(d *conf.Document, _ *world) { d.Extensions[0].Mobile = "ask me" }, pbx.CodeBadNumber},
		"emergency":     {func(d *conf.Document, _ *world) { d.Extensions[0].Mobile = "112" }, pbx.CodeForbidden},
		"suspended":     {func(d *conf.Document, _ *world) { d.Tenant.Suspend = true }, pbx.CodeForbidden},
		"no trunk":      {func(d *conf.Document, _ *world) { d.Trunks = d.Trunks[:1]; d.Trunks[0].CallerID = conf.CallerID{} }, pbx.CodeNoTrunk},
		"trunk is down": {func(_ *conf.Document, w *world) { w.fail("one", "two") }, pbx.CodeNoTrunk},
		"tap is closed": {func(d *conf.Document, _ *world) { d.Outbound.MaxCallsPerMinute = 1 }, pbx.CodeLimit},
	} {
		t.Run(name, func(t *testing.T) {
			drama(t, []string{"101", "102"}, func(r *rig) {
				tt.change(r.doc, r.w)
				if tt.code == pbx.CodeLimit {
					r.fails(r.extension("104", "901023456789"), 487)
				}
				r.outsideTo("101")
				n := len(r.w.legs())
				r.wantCode(r.pull("101", pbx.ToMobile), tt.code)
				if len(r.w.legs()) != n {
					t.Error("a refused pull dialled")
				}
				r.wantEvents(pbx.EventPullFailed, 0)
			})
		})
	}
}

func TestMovingAnAnsweredCall(t *testing.T) {
	setup := func(r *rig) (caller, desk *fakeLeg) {
		caller = r.outside("025550101")
		desk = r.w.to(r.T, "101")
		r.answers(desk)
		if err := r.pull("101", pbx.ToMobile); err != nil {
			r.Fatal(err)
		}
		r.wantTalk(caller, desk)
		return caller, desk
	}
	t.Run("to the mobile", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			caller, desk := setup(r)
			mobile := r.w.to(t, mobile101)
			r.answers(mobile)
			r.wantTalk(caller, desk)
			r.press(mobile, '1')
			r.wantTalk(caller, mobile)
			r.wantEnd(desk, 200, true)
		})
	})
	t.Run("fails: nothing changes", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			caller, desk := setup(r)
			r.fails(r.w.to(t, mobile101), 486)
			r.wantFailed(pbx.CodeBusy)
			r.wantTalk(caller, desk)
		})
	})
	t.Run("the desk hangs up first", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			caller, desk := setup(r)
			r.fails(desk, 0)
			r.wantEnd(caller, 0, false)
			if caller.plays() != SoundRingback {
				t.Errorf("the caller hears %q", caller.plays())
			}
			mobile := r.w.to(t, mobile101)
			r.answers(mobile)
			r.press(mobile, '1')
			r.wantTalk(caller, mobile)
			r.wantEvents(pbx.EventAnswered, 1)
		})
	})
	t.Run("the desk hangs up and the mobile is busy", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			caller, desk := setup(r)
			r.fails(desk, 0)
			r.fails(r.w.to(t, mobile101), 486)
			r.wantFailed(pbx.CodeBusy)
			r.wantEnd(caller, 480, false)
			if by := r.wantEvents(pbx.EventEnded, 1)[0].Call.AnsweredBy; by.Extension != "101" {
				t.Errorf("answered by %+v, want 101", by)
			}
		})
	})
	t.Run("to another phone of mine, on hold", func(t *testing.T) {
		drama(t, []string{"101", "102"}, func(r *rig) {
			r.w.register("102", "app")
			caller := r.extension("101", "102")
			first := r.w.legs()[0]
			r.answers(first)
			first.listener.LegHeld(first.id, true)
			if err := r.pull("102", pbx.ToDesk); err != nil {
				t.Fatal(err)
			}
			second := r.w.to(t, "102")
			if second == first || second.dial.Target.Contact.ID == first.dial.Target.Contact.ID {
				t.Fatal("the phone that talks was dialled")
			}
			r.answers(second)
			r.wantTalk(caller, second)
		})
	})
}

// Acceptance 3: two members press at the same instant.
func TestTwoPressAtTheSameInstant(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.outside("025550100")
		id := r.only().ID
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, x := range []string{"101", "102"} {
			wg.Go(func() {
				errs[i] = r.e.Pull(context.Background(), pbx.Pull{Call: id, Extension: x, To: pbx.ToDesk})
			})
		}
		wg.Wait()
		synctest.Wait()
		won, lost := 0, 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case pbx.CodeOf(err) == pbx.CodeTaken:
				lost++
			}
		}
		if won != 1 || lost != 1 {
			t.Errorf("answers %v", errs)
		}
		r.wantEvents(pbx.EventPulling, 1)
	})
}

// callBack presses the button that rings the extension's own phones.
func callBack(r *rig, extension, number string) (pbx.CallID, error) {
	id, err := r.e.CallBack(context.Background(), pbx.CallBack{Extension: extension, Number: number, Name: "홍길동"})
	synctest.Wait()
	return id, err
}

func TestCallBack(t *testing.T) {
	t.Run("to the outside", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			r.w.register("101", "app")
			if _, err := callBack(r, "101", "010-9999-8888"); err != nil {
				t.Fatal(err)
			}
			first, second := r.w.legs()[0], r.w.legs()[1]
			if !second.dial.AutoAnswer || second.dial.From.Number != "010-9999-8888" || second.dial.From.Name != "홍길동" {
				t.Errorf("dialled %+v", second.dial)
			}
			r.ringing(first)
			r.answers(second)
			r.wantEnd(first, 200, true)
			if second.plays() != SoundRingback {
				t.Errorf("the presser hears %q", second.plays())
			}
			out := r.w.to(t, "01099998888")
			if out.dial.From.Number != "025550101" {
				t.Errorf("dialled %+v", out.dial)
			}
			r.ringing(out)
			r.answers(out)
			r.wantTalk(second, out)
			c := r.only()
			if c.Direction != pbx.Outbound || c.From.Extension != "101" || c.To.Number != "010-9999-8888" {
				t.Errorf("call %+v", c)
			}
			r.fails(second, 0)
			r.wantEvents(pbx.EventEnded, 1)
		})
	})
	t.Run("inside, and the called one pulls it", func(t *testing.T) {
		drama(t, []string{"101", "102"}, func(r *rig) {
			if _, err := callBack(r, "102", "101"); err != nil {
				t.Fatal(err)
			}
			presser := r.w.to(t, "102")
			r.answers(presser)
			r.wantEvents(pbx.EventOffered, 1)
			if err := r.pull("101", pbx.ToMobile); err != nil {
				t.Fatal(err)
			}
			mobile := r.w.to(t, mobile101)
			r.answers(mobile)
			r.press(mobile, '1')
			r.wantTalk(presser, mobile)
		})
	})
	t.Run("early media", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			_, _ = callBack(r, "101", "01099998888")
			presser := r.w.to(t, "101")
			r.answers(presser)
			out := r.w.to(t, "01099998888")
			out.listener.LegProgress(out.id)
			synctest.Wait()
			if presser.plays() != "" || out.heardBy() != presser || presser.has("progress") {
				t.Error("no early media")
			}
			r.fails(out, 486)
			r.wantEnd(presser, 486, false)
		})
	})
}

func TestCallBackThatComesToNothing(t *testing.T) {
	t.Run("not lifted", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			_, _ = callBack(r, "101", "102")
			r.pass(30 * time.Second)
			r.wantEnd(r.w.to(t, "101"), 480, false)
			r.wantEvents(pbx.EventEnded, 1)
			r.wantEvents(pbx.EventOffered, 0)
		})
	})
	t.Run("declined", func(t *testing.T) {
		drama(t, []string{"101"}, func(r *rig) {
			r.w.register("101", "app")
			_, _ = callBack(r, "101", "102")
			r.fails(r.w.legs()[0], 486)
			r.wantEvents(pbx.EventEnded, 0)
			r.fails(r.w.legs()[1], 603)
			if e := r.wantEvents(pbx.EventEnded, 1)[0]; e.Call.Cause.SIP != 486 {
				t.Errorf("cause %+v", e.Call.Cause)
			}
		})
	})
	for name, tt := range map[string]struct {
		extension, number string
		code              pbx.Code
	}{
		"not registered": {"102", "101", pbx.CodeNotRegistered},
		"no extension":   {"999", "101", pbx.CodeNotRegistered},
		"forbidden":      {"101", "+1 202 555 0100", pbx.CodeForbidden},
		"nowhere":        {"101", "77", pbx.CodeBadNumber},
	} {
		t.Run(name, func(t *testing.T) {
			drama(t, []string{"101"}, func(r *rig) {
				_, err := callBack(r, tt.extension, tt.number)
				r.wantCode(err, tt.code)
				r.wantEvents(pbx.EventStarted, 0)
			})
		})
	}
}

func TestCommandWhoseAskerGaveUp(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.extension("101", "102")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		// Either answer may win; none may block the call.
		if err := r.e.Pull(ctx, pbx.Pull{Call: r.only().ID, Extension: "102", To: pbx.ToAssistant}); err == nil {
			t.Error("no error")
		}
		synctest.Wait()
	})
}

// A pull that fails gives the caller back what the callee's network says.
func TestEarlyMediaIsHeardAgainAfterAPull(t *testing.T) {
	drama(t, nil, func(r *rig) {
		caller := r.extension("101", "104") // nobody there: forwarded outside
		r.pass(30 * time.Second)
		out := r.w.to(t, "01022223333")
		out.listener.LegProgress(out.id)
		synctest.Wait()
		r.doc.Extensions[3].Mobile = "010-9876-0000"
		if err := r.pull("104", pbx.ToMobile); err != nil {
			t.Fatal(err)
		}
		if caller.plays() != SoundRingback {
			t.Errorf("the caller hears %q during the pull", caller.plays())
		}
		r.fails(r.w.to(t, "01098760000"), 486)
		if caller.plays() != "" || out.heardBy() != caller {
			t.Errorf("the caller hears %q, want early media", caller.plays())
		}
	})
}

func TestThePresserChoosesAnotherTarget(t *testing.T) {
	t.Run("the desk, then the mobile: the desk rings on", func(t *testing.T) {
		drama(t, []string{"101", "102"}, func(r *rig) {
			caller := offered101(r)
			if err := r.pull("101", pbx.ToDesk); err != nil {
				t.Fatal(err)
			}
			desk := r.w.to(t, "101")
			if err := r.pull("101", pbx.ToMobile); err != nil {
				t.Fatal(err)
			}
			mobile := r.w.to(t, "01012345678")
			r.wantEnd(desk, 0, false)
			r.answers(mobile)
			r.press(mobile, '1')
			r.wantTalk(caller, mobile)
			r.wantEnd(desk, 200, true)
			r.wantEvents(pbx.EventPulling, 2)
			r.wantEvents(pbx.EventPullFailed, 1)
			r.wantEvents(pbx.EventPulled, 1)
		})
	})
	t.Run("the desk, then a mobile that does not answer: the desk may still be lifted", func(t *testing.T) {
		drama(t, []string{"101", "102"}, func(r *rig) {
			caller := offered101(r)
			_ = r.pull("101", pbx.ToDesk)
			desk := r.w.to(t, "101")
			_ = r.pull("101", pbx.ToMobile)
			r.fails(r.w.to(t, "01012345678"), 486)
			r.answers(desk)
			r.wantTalk(caller, desk)
		})
	})
	t.Run("the mobile, then the desk: the mobile stops", func(t *testing.T) {
		drama(t, []string{"101", "102"}, func(r *rig) {
			caller := offered101(r)
			_ = r.pull("101", pbx.ToMobile)
			mobile := r.w.to(t, "01012345678")
			r.answers(mobile)
			if err := r.pull("101", pbx.ToDesk); err != nil {
				t.Fatal(err)
			}
			r.wantEnd(mobile, 480, false)
			desk := r.w.to(t, "101")
			r.answers(desk)
			r.wantTalk(caller, desk)
		})
	})
	t.Run("somebody else may not", func(t *testing.T) {
		drama(t, []string{"101", "102"}, func(r *rig) {
			offered101(r)
			_ = r.pull("101", pbx.ToMobile)
			r.wantCode(r.pull("102", pbx.ToDesk), pbx.CodeTaken)
		})
	})
}
