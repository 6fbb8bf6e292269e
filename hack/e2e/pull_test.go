package e2e

import (
	"testing"

	"github.com/dipcast/dipcast/pbx/media/tone"
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

func TestPullToMyMobile(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(440, loud))
	ringing := rings(t, desk)
	r.press(haneul, r.card(haneul, 0), toMobile)
	mobile := rings(t, r.carrier)
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
}
