package bot

import (
	"context"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
	"github.com/dipcast/dipcast/pbx/works"
)

// withJournal is a bot that keeps its claims there.
func withJournal(store *memjournal.Journal) func(*Options) {
	return func(o *Options) { o.Journal = store }
}

// begin runs the bot over what it has been told, as a process does at its start.
func (r *rig) begin(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// A button that was pressed before a crash does not work a second time after it.
func TestAPressCountsAfterARestart(t *testing.T) {
	store := &memjournal.Journal{}
	before := newRig(t, withJournal(store))
	tokens := before.sendCard(t, ringing("c", "101", time.Now()))
	wantAnswer(t, before.press(t, haneul, tokens[Desk]), "전화기를 울립니다")

	after := newRig(t, withJournal(store.Copy()))
	after.begin(t)
	wantAnswer(t, after.press(t, haneul, tokens[Desk]), "이미 누른 버튼")
	wantAnswer(t, after.press(t, haneul, tokens[Mobile]), "휴대폰")
	if len(after.engine.pulls) != 1 || after.engine.pulls[0].To != pbx.ToMobile {
		t.Errorf("the next process pulled %+v, want to the mobile alone", after.engine.pulls)
	}

	late := newRig(t, withJournal(store.Copy()), func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(buttonAge + time.Hour) }
	})
	if n := late.claims.taken.size(); n != 0 {
		t.Errorf("%d claims are kept longer than their buttons work", n)
	}
}

// A pull that failed in the restart frees its button.
func TestAPullLostInARestartFreesItsButton(t *testing.T) {
	store := &memjournal.Journal{}
	before := newRig(t, withJournal(store))
	tokens := before.sendCard(t, ringing("c", "101", time.Now()))
	wantAnswer(t, before.press(t, haneul, tokens[Desk]), "전화기를 울립니다")

	after := newRig(t, withJournal(store.Copy()))
	e := ringing("c", "101", time.Now())
	e.Type, e.PullTo, e.Err = pbx.EventPullFailed, pbx.ToDesk, pbx.Errorf(pbx.CodeFailed, "the PBX was restarted")
	after.Handle(e)
	after.begin(t)
	after.out.take()
	wantAnswer(t, after.press(t, haneul, tokens[Desk]), "전화기를 울립니다")
}

// A press that the crash cut short is done by the next process, once.
func TestAPressThatWasCutShortIsDone(t *testing.T) {
	store := &memjournal.Journal{}
	var crashed *memjournal.Journal
	before := newRig(t, withJournal(store))
	before.engine.on = func(pbx.Pull) error {
		crashed = store.Copy()
		return nil
	}
	tokens := before.sendCard(t, ringing("c", "101", time.Now()))
	ev := works.Event{Type: works.EventPostback, UserID: haneul, Postback: tokens[Desk], Issued: time.Now().Truncate(time.Millisecond)}
	if err := before.Press(t.Context(), ev); err != nil {
		t.Fatal(err)
	}

	after := newRig(t, withJournal(crashed))
	after.begin(t)
	other := ev
	other.Issued = other.Issued.Add(time.Millisecond)
	for _, press := range []works.Event{other, ev, ev} {
		if err := after.Press(t.Context(), press); err != nil {
			t.Fatal(err)
		}
	}
	if len(after.engine.pulls) != 1 || after.presses["desk ok"] != 1 || after.presses["desk pressed"] != 2 {
		t.Errorf("%d pulls, %v", len(after.engine.pulls), after.presses)
	}
}

// A call back is free again when nobody had answered it before the crash, and
// spent when it was answered, whether it ended before or after.
func TestCallsBackOverARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		ended func(c *pbx.Call) bool // what the next process is told
		free  bool
	}{
		"it rang and is gone":  {func(*pbx.Call) bool { return false }, true},
		"it was answered":      {func(c *pbx.Call) bool { c.Answered = time.Now(); return true }, false},
		"it ended, unanswered": {func(*pbx.Call) bool { return true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := &memjournal.Journal{}
			before := newRig(t, withJournal(store))
			tokens := before.sendCard(t, ringing("c", "101", time.Now()))
			before.press(t, haneul, tokens[CallBack])
			if len(before.engine.backs) != 1 {
				t.Fatal("the button calls nobody back")
			}
			after := newRig(t, withJournal(store.Copy()))
			over := pbx.Call{ID: "back-1", State: pbx.CallOver}
			if tc.ended(&over) {
				after.Handle(pbx.Event{Type: pbx.EventEnded, Call: over})
			}
			after.begin(t)
			after.press(t, haneul, tokens[CallBack])
			if free := len(after.engine.backs) == 1; free != tc.free {
				t.Errorf("the button is free: %t, want %t", free, tc.free)
			}
		})
	}
}

func TestClaimsAreBounded(t *testing.T) {
	store := &memjournal.Journal{}
	now := time.Now()
	c := newClaims(store, now)
	for i := range maxClaims + 10 {
		if !c.take(mark{byte(i), byte(i >> 8), byte(i >> 16)}, "press", now) {
			t.Fatalf("press %d of as many buttons is refused", i)
		}
	}
	if c.taken.size() != maxClaims || store.Len() != maxClaims {
		t.Errorf("%d claims in memory and %d in the journal, want %d", c.taken.size(), store.Len(), maxClaims)
	}
	c.take(mark{0xff, 0xff, 0xff}, "press", now.Add(buttonAge+time.Minute))
	if store.Len() != 1 {
		t.Errorf("%d claims a week later, want one", store.Len())
	}
}
