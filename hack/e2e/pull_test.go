package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// The labels of the buttons, in Korean.
const (
	toDesk      = "수신 전화 당겨 받기"
	toAssistant = "A.I. 비서로 당겨 받기"
	toMobile    = "내 모바일로 당겨 받기"
	callBack    = "M2C 발신 하기"
	toWeb       = "DIPCAST WEB"
)

const loud = 0.5

// texts are the labels of a card's buttons in one language.
func texts(m sim.Message, l works.Language) (list []string) {
	for _, b := range m.Buttons {
		list = append(list, b.Label.In(l))
	}
	return list
}

func TestTheCards(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	r.callIn("025550101")
	outside := rings(t, desk)
	m := r.card(haneul, 0)
	if want := "외부 전화 010-9999-8888 (홍길동) → 101"; m.Text.Text != want {
		t.Errorf("text %q, want %q", m.Text.Text, want)
	}
	for lang, want := range map[works.Language][]string{
		works.Korean:  {toDesk, toAssistant, toMobile, callBack, toWeb},
		works.English: {"Pull to my phone", "Pull to assistant", "Pull to my mobile", "M2C call back", toWeb},
	} {
		if diff := cmp.Diff(want, texts(m, lang)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", lang, diff)
		}
	}
	if got, want := m.Buttons[4].URI, r.doc.Web.BaseURL+"/calls/"; len(got) <= len(want) || got[:len(want)] != want {
		t.Errorf("the link is %q, want one below %q", got, want)
	}
	if err := outside.Reject(486); err != nil {
		t.Fatal(err)
	}

	second := r.desk("102")
	if _, err := second.Dial(within(t), "101", phone.DialOptions{}); err != nil {
		t.Fatal(err)
	}
	rings(t, desk)
	inside := r.cardWith(haneul, "내부 전화")
	if diff := cmp.Diff([]string{toMobile, callBack, toWeb}, texts(inside, works.Korean)); diff != "" {
		t.Errorf("internal card (-want +got):\n%s", diff)
	}
	if want := "내부 전화 102 (이바다) → 101"; inside.Text.Text != want {
		t.Errorf("text %q, want %q", inside.Text.Text, want)
	}
}

// cardWith waits for a message with buttons whose text begins so.
func (r *rig) cardWith(user, begin string) sim.Message {
	r.t.Helper()
	m, err := r.sim.Wait(within(r.t), user, func(m sim.Message) bool {
		return len(m.Buttons) > 0 && len(m.Text.Text) >= len(begin) && m.Text.Text[:len(begin)] == begin
	})
	if err != nil {
		r.t.Fatalf("%s got no card %q: %v", user, begin, err)
	}
	return m
}

func TestPullToMyDesk(t *testing.T) {
	r := newRig(t, setup{})
	mine, others := r.desk("101"), r.desk("102")
	caller := r.callIn("025550100") // group 600: 101 and 102
	caller.Play(tone.Sine(440, loud))
	atOther, atMine := rings(t, others), rings(t, mine)
	r.press(haneul, r.card(haneul, 0), toDesk)
	if cause, err := atOther.WaitEnded(within(t)); err != nil {
		t.Errorf("the other member still rings: %v (%v)", err, cause)
	}
	if want := `SIP;cause=200;text="Call completed elsewhere"`; atOther.EndHeader("Reason") != want {
		t.Errorf("Reason %q, want %q", atOther.EndHeader("Reason"), want)
	}
	answer(t, atMine)
	atMine.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	hears(t, atMine, "the desk", 440)
}

func TestPullToMyMobile(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(440, loud))
	ringing := rings(t, desk)
	r.press(haneul, r.card(haneul, 0), toMobile)
	mobile := rings(t, r.carrier)
	if got := mobile.Dialled(); got != "01012345678" {
		t.Errorf("dialled %s, want the mobile of 101", got)
	}
	if got := mobile.State().PeerNumber; got != "025550101" && got != "025550100" {
		t.Errorf("the number %s is shown: it is not permitted on the trunk", got)
	}
	answer(t, mobile)
	mobile.Play(tone.Sine(660, loud))
	if err := mobile.SendDTMF(within(t), "1"); err != nil {
		t.Fatal(err)
	}
	hears(t, caller, "the caller", 660)
	hears(t, mobile, "the mobile", 440)
	if _, err := ringing.WaitEnded(within(t)); err != nil {
		t.Errorf("the desk phone still rings: %v", err)
	}
	if err := caller.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	if _, err := mobile.WaitEnded(within(t)); err != nil {
		t.Errorf("the mobile is still in the call: %v", err)
	}
	c := r.cdr()
	if c.PulledBy != "101" || c.PulledTo != pbx.ToMobile || c.Disposition != pbx.Answered || len(c.Legs) != 3 {
		t.Errorf("the record says pulled by %q to %q, %s, %d legs", c.PulledBy, c.PulledTo, c.Disposition, len(c.Legs))
	}
}

// cdr waits for the only record.
func (r *rig) cdr() pbx.CDR {
	r.t.Helper()
	ctx := within(r.t)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		page, err := r.server.CDRs().Query(ctx, pbx.CDRQuery{})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(page.Records) == 1 {
			return page.Records[0]
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("%d records, want one", len(page.Records))
		case <-again.C:
		}
	}
}

// The mobile's voicemail answers and presses nothing: the call rings on at
// the desk and can be answered there.
func TestVoicemailOfTheMobileDoesNotSwallowTheCall(t *testing.T) {
	r := newRig(t, setup{timing: call.Timing{Confirm: 2 * time.Second}})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(440, loud))
	ringing := rings(t, desk)
	r.press(haneul, r.card(haneul, 0), toMobile)
	voicemail := rings(t, r.carrier)
	answer(t, voicemail)
	voicemail.Play(tone.Sine(880, loud)) // "please leave a message"
	if _, err := voicemail.WaitEnded(within(t)); err != nil {
		t.Fatalf("the voicemail keeps the call: %v", err)
	}
	r.said(haneul, "휴대폰에서 1을 누르지 않아")
	if s := ringing.State(); s.Ended {
		t.Fatalf("the desk phone does not ring any more: %v", s)
	}
	answer(t, ringing)
	ringing.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	hears(t, ringing, "the desk", 440)
}

func TestCallBackDuringAndAfterTheCall(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	missed := rings(t, desk)
	card := r.card(haneul, 0)
	if err := caller.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := missed.WaitEnded(within(t)); err != nil {
		t.Fatal(err)
	}
	r.cardWith(haneul, "부재중")
	r.press(haneul, card, callBack)
	lifted := rings(t, desk)
	if got := lifted.State().PeerNumber; got != "01099998888" && got != "010-9999-8888" {
		t.Errorf("the desk shows %q, want the other party", got)
	}
	answer(t, lifted)
	lifted.Play(tone.Sine(660, loud))
	other := rings(t, r.carrier)
	if other.Dialled() != "01099998888" {
		t.Errorf("dialled %s, want the caller's number", other.Dialled())
	}
	answer(t, other)
	other.Play(tone.Sine(440, loud))
	hears(t, lifted, "the desk", 440)
	hears(t, other, "the other party", 660)
}

func TestPressesThatMustNotAct(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	ringing := rings(t, desk)
	card := r.card(haneul, 0)

	// Somebody else presses a button that was not sent to them.
	if err := r.sim.PressAs(within(t), haneul, card.Index, 2, bada); err != nil {
		t.Fatal(err)
	}
	r.said(bada, "다른 사람에게 보낸 카드")
	// No assistant is configured: said, and the call rings on.
	r.press(haneul, card, toAssistant)
	r.said(haneul, "A.I. 비서가")
	if s := ringing.State(); s.Ended {
		t.Fatalf("the desk phone stopped ringing: %v", s)
	}
	// Twice the same button: one mobile rings.
	r.press(haneul, card, toMobile)
	mobile := rings(t, r.carrier)
	r.press(haneul, card, toMobile)
	r.said(haneul, "이미 누른 버튼")
	if n := len(r.carrier.Calls()); n != 2 { // the caller and one mobile
		t.Errorf("%d calls at the carrier, want the caller and one mobile", n)
	}
	if err := caller.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := mobile.WaitEnded(within(t)); err != nil {
		t.Fatal(err)
	}
	// After the end.
	r.cdr()
	r.press(haneul, card, toDesk)
	r.said(haneul, "이미 끝난 통화")
}

func TestTwoMembersPressAtTheSameInstant(t *testing.T) {
	r := newRig(t, setup{})
	one, two := r.desk("101"), r.desk("102")
	caller := r.callIn("025550100")
	caller.Play(tone.Sine(440, loud))
	atOne, atTwo := rings(t, one), rings(t, two)
	cards := map[string]sim.Message{haneul: r.card(haneul, 0), bada: r.card(bada, 0)}
	var wg sync.WaitGroup
	for user, card := range cards {
		wg.Go(func() {
			if err := r.sim.Press(within(t), user, card.Index, 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// Whose phone rings on has won; the other one has stopped.
	winner, loser, beaten := atOne, atTwo, bada
	select {
	case <-atOne.Done():
		winner, loser, beaten = atTwo, atOne, haneul
	case <-atTwo.Done():
	case <-within(t).Done():
		t.Fatal("both phones ring on")
	}
	if _, err := loser.WaitEnded(within(t)); err != nil {
		t.Fatal(err)
	}
	answer(t, winner)
	winner.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	hears(t, winner, "the winner", 440)
	r.said(beaten, "먼저")
}

// Who pressed the desk and is not there presses the mobile: the later press
// wins, and the desk may still be lifted until the mobile has confirmed.
func TestTheLaterPressOfOnePersonWins(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(440, loud))
	ringing := rings(t, desk)
	card := r.card(haneul, 0)
	r.press(haneul, card, toDesk)
	r.said(haneul, "101 전화기")
	r.press(haneul, card, toMobile)
	mobile := rings(t, r.carrier)
	if s := ringing.State(); s.Ended {
		t.Errorf("the desk phone stopped ringing: %v", s)
	}
	answer(t, mobile)
	mobile.Play(tone.Sine(660, loud))
	if err := mobile.SendDTMF(within(t), "1"); err != nil {
		t.Fatal(err)
	}
	hears(t, caller, "the caller", 660)
	hears(t, mobile, "the mobile", 440)
	if _, err := ringing.WaitEnded(within(t)); err != nil {
		t.Errorf("the desk phone still rings: %v", err)
	}
}
