package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dipcast/dipcast/hack/calls"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/server"
)

// A call that is moved is one recording: the caller on the left, on the right
// whom the caller heard, one after the other, for as long as the record says.
func TestARecordingFollowsTheCaller(t *testing.T) {
	r := newRig(t, setup{document: func(d *conf.Document) { d.Recording.Mode = "All" }})
	desk := r.desk("101")
	caller := r.callIn("025550101")
	caller.Play(tone.Sine(440, loud))
	atDesk := rings(t, desk)
	card := r.card(haneul, 0)
	answer(t, atDesk)
	atDesk.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	hears(t, atDesk, "the desk", 440)
	r.press(haneul, card, toMobile)
	mobile := rings(t, r.carrier)
	answer(t, mobile)
	mobile.Play(tone.Sine(880, loud))
	if err := mobile.SendDTMF(within(t), "1"); err != nil {
		t.Fatal(err)
	}
	hears(t, caller, "the caller", 880)
	if err := caller.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	c := r.cdr()
	rec := c.Recording
	if want := c.Answered.Format("2006/01/") + string(c.ID) + ".wav"; rec.File != want || !rec.Started.Equal(c.Answered) || rec.Missing != 0 {
		t.Errorf("the record says %+v, want %s since %v", rec, want, c.Answered)
	}
	if rec.Duration > c.Talk() || rec.Duration < time.Second {
		t.Errorf("%v are recorded of %v", rec.Duration, c.Talk())
	}
	if info, err := os.Stat(filepath.Join(r.dir, server.Recordings, rec.File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	left, right := r.recording(string(c.ID), rec.Duration)
	second := codec.ClockRate
	if got := tone.Share(left[:len(left)-second/4], 440); got < 0.9 {
		t.Errorf("on the left, %.3f is the caller", got)
	}
	desks, mobiles := calls.Tenths(right, 660), calls.Tenths(right, 880)
	if desks == 0 || mobiles == 0 || calls.Tenths(right, 440) > 0 {
		t.Errorf("on the right, %d tenths are the desk's and %d the mobile's", desks, mobiles)
	}
}

// What a killed process has recorded can be played as it is.
func TestARecordingOutlivesTheProcess(t *testing.T) {
	p := newProgram(t)
	p.doc.Recording.Mode = "All"
	text, err := json.Marshal(p.doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.document, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	one, two := p.phone("2000", crowdSecret), p.phone("2001", crowdSecret)
	for _, ph := range []*phone.Phone{one, two} {
		if err := ph.Register(within(t), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	caller, err := one.Dial(within(t), "2001", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	called := rings(t, two)
	answer(t, called)
	caller.Play(tone.Sine(440, loud))
	called.Play(tone.Sine(660, loud))
	hears(t, caller, "the caller", 660)
	var file string
	waitFor(t, "some seconds are recorded", func() bool {
		files, err := filepath.Glob(filepath.Join(p.data, server.Recordings, "*", "*", "*.wav"))
		if err != nil || len(files) != 1 {
			return false
		}
		file = files[0]
		info, err := os.Stat(file)
		return err == nil && info.Size() > calls.WAVHeader+6*2*codec.ClockRate
	})
	p.kill()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	left, right, err := calls.Sides(b)
	if err != nil || len(left) < 4*codec.ClockRate {
		t.Fatalf("the header speaks of %d samples: %v", len(left), err)
	}
	if left, right := calls.Tenths(left, 440), calls.Tenths(right, 660); left < 20 || right < 20 {
		t.Errorf("%d tenths on the left are the caller, %d on the right the other", left, right)
	}
}

// recording gets a recording by REST once it is whole.
func (r *rig) recording(id string, length time.Duration) (left, right []int16) {
	r.t.Helper()
	want := int(length / (time.Second / codec.ClockRate))
	bearer := http.Header{"Authorization": {"Bearer " + r.apiToken()}}
	var sound []byte
	waitFor(r.t, "the recording is whole", func() bool {
		resp, body := fetch(r.t, browser(r.t), http.MethodGet, r.doc.Web.BaseURL+"/api/v1/cdrs/"+id+"/recording", "", bearer)
		sound = []byte(body)
		n, err := calls.Samples(sound)
		return resp.StatusCode == http.StatusOK && err == nil && n == want
	})
	if len(sound) != calls.WAVHeader+2*want {
		r.t.Fatalf("the header says %d samples, the file has %d octets", want, len(sound))
	}
	left, right, err := calls.Sides(sound)
	if err != nil {
		r.t.Fatal(err)
	}
	return left, right
}
