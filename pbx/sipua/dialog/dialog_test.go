package dialog

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func caller() *Dialog {
	return NewCaller("c1", Party{URI: "sip:101@acme.example", Tag: "me"}, Party{URI: "sip:102@acme.example"}, "sip:102@192.0.2.9", nil, 1)
}

func confirmed() *Dialog {
	d := NewCallee("c1", Party{URI: "sip:102@acme.example", Tag: "me"}, Party{URI: "sip:101@acme.example", Tag: "peer"}, "sip:101@198.51.100.7", nil, 10, false)
	d.State = Confirmed
	d.Timer = Timer{Want: 1800 * time.Second, Min: 90 * time.Second}
	return d
}

func zero(int) int { return 0 }

func TestRequestNumbersAndRoutes(t *testing.T) {
	d := caller()
	inv := d.Request("INVITE")
	if inv.Seq != 1 || inv.URI != "sip:102@192.0.2.9" {
		t.Errorf("INVITE is %+v", inv)
	}
	f := d.Fork(Response{Status: 200, Tag: "peer", Contact: "sip:102@10.0.0.2", RecordRoute: []string{"<sip:p2;lr>", "<sip:p1;lr>"}})
	if f.State != Confirmed || f.Remote.Tag != "peer" || d.Remote.Tag != "" {
		t.Errorf("the fork is %+v", f)
	}
	f.Request("INFO")
	ack := f.Request("ACK")
	if ack.Seq != 1 || ack.URI != "sip:102@10.0.0.2" || !slices.Equal(ack.Routes, []string{"<sip:p1;lr>", "<sip:p2;lr>"}) {
		t.Errorf("ACK is %+v", ack)
	}
	if bye := f.Request("BYE"); bye.Seq != 3 {
		t.Errorf("BYE is %+v", bye)
	}
}

func TestStrictRouter(t *testing.T) {
	d := confirmed()
	d.Routes = []string{"<sip:strict.example;transport=udp>", "<sip:p2;lr>"}
	r := d.Request("BYE")
	want := Request{Method: "BYE", URI: "sip:strict.example;transport=udp", Routes: []string{"<sip:p2;lr>", "<sip:101@198.51.100.7>"}, Seq: 1}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

func TestConfirmTakesTheFinalRouteSet(t *testing.T) {
	f := caller().Fork(Response{Status: 180, Tag: "a", Contact: "sip:early@x", RecordRoute: []string{"<sip:old;lr>"}})
	if f.State != Early {
		t.Errorf("state %s", f.State)
	}
	f.Confirm(Response{Status: 200, Tag: "a", Contact: "sip:final@x", RecordRoute: []string{"<sip:new;lr>"}})
	if f.State != Confirmed || f.Target != "sip:final@x" || f.Routes[0] != "<sip:new;lr>" {
		t.Errorf("dialog is %+v", f)
	}
	f.Confirm(Response{Status: 200})
	if f.Target != "sip:final@x" || len(f.Routes) != 0 {
		t.Errorf("dialog is %+v", f)
	}
}

func TestSecure(t *testing.T) {
	if !NewCaller("c", Party{}, Party{}, "SIPS:x@y", nil, 1).Secure || caller().Secure {
		t.Error("only sips: is secure")
	}
}

func TestOnRequest(t *testing.T) {
	with := func(f func(*Dialog)) *Dialog { d := confirmed(); f(d); return d }
	tests := []struct {
		name string
		d    *Dialog
		in   Incoming
		want Verdict
	}{
		{"BYE", confirmed(), Incoming{Method: "BYE", Seq: 11}, Verdict{}},
		{"over", with(func(d *Dialog) { d.State = Terminated }), Incoming{Method: "BYE", Seq: 11}, Verdict{Status: 481}},
		{"other tag", with(func(d *Dialog) { d.Remote.Tag = "x" }), Incoming{Method: "BYE", Seq: 11}, Verdict{Status: 481}},
		{"old number", confirmed(), Incoming{Method: "INFO", Seq: 9}, Verdict{Status: 500}},
		{"ACK has the INVITE's number", confirmed(), Incoming{Method: "ACK", Seq: 10}, Verdict{}},
		{"first request of the callee", with(func(d *Dialog) { d.RemoteSeq = 0 }), Incoming{Method: "INFO", Seq: 1}, Verdict{}},
		{"REFER", confirmed(), Incoming{Method: "REFER", Seq: 11}, Verdict{Status: 603}},
		{"MESSAGE", confirmed(), Incoming{Method: "MESSAGE", Seq: 11}, Verdict{Status: 405}},
		{"unknown", confirmed(), Incoming{Method: "FOO", Seq: 11}, Verdict{Status: 501}},
		{"unknown extension", confirmed(), Incoming{Method: "UPDATE", Seq: 11, Require: []string{"timer", "x"}}, Verdict{Status: 420, Unsupported: []string{"x"}}},
		{"re-INVITE", confirmed(), Incoming{Method: "INVITE", Seq: 11, Body: true}, Verdict{}},
		{"re-INVITE while ours is open", with(func(d *Dialog) { d.Offer.LocalInvite = true }), Incoming{Method: "INVITE", Seq: 11}, Verdict{Status: 491}},
		{"re-INVITE while our UPDATE offers", with(func(d *Dialog) { d.Offer.State = Local }), Incoming{Method: "INVITE", Seq: 11}, Verdict{Status: 491}},
		{"re-INVITE while theirs is open", with(func(d *Dialog) { d.Offer.RemoteInvite = true }), Incoming{Method: "INVITE", Seq: 11}, Verdict{Status: 500}},
		{"re-INVITE before the answer", with(func(d *Dialog) { d.State = Early }), Incoming{Method: "INVITE", Seq: 11}, Verdict{Status: 500}},
		{"UPDATE with offer", confirmed(), Incoming{Method: "UPDATE", Seq: 11, Body: true}, Verdict{}},
		{"UPDATE against our offer", with(func(d *Dialog) { d.Offer.State = Local }), Incoming{Method: "UPDATE", Seq: 11, Body: true}, Verdict{Status: 491}},
		{"UPDATE against their offer", with(func(d *Dialog) { d.Offer.State = Remote }), Incoming{Method: "UPDATE", Seq: 11, Body: true}, Verdict{Status: 500}},
		{"UPDATE without offer meets none", with(func(d *Dialog) { d.Offer.State = Local }), Incoming{Method: "UPDATE", Seq: 11}, Verdict{}},
		{"interval too small", confirmed(), Incoming{Method: "UPDATE", Seq: 11, Session: SessionExpires{Interval: 30 * time.Second, Supported: true}}, Verdict{Status: 422, MinSE: 90 * time.Second}},
		{"interval too small, no 422 known", confirmed(), Incoming{Method: "UPDATE", Seq: 11, Session: SessionExpires{Interval: 30 * time.Second}}, Verdict{}},
		{"PRACK for nothing", confirmed(), Incoming{Method: "PRACK", Seq: 11, RAck: "1 10 INVITE"}, Verdict{Status: 481}},
		{"PRACK", with(func(d *Dialog) { d.Reliable = Reliable{Sent: 5, Unacked: true, Invite: 10} }), Incoming{Method: "PRACK", Seq: 11, RAck: "5 10 INVITE"}, Verdict{}},
		{"PRACK with an offer over theirs", with(func(d *Dialog) {
			d.Reliable = Reliable{Sent: 5, Unacked: true, Invite: 10}
			d.Offer.State = Remote
		}), Incoming{Method: "PRACK", Seq: 11, RAck: "5 10 INVITE", Body: true}, Verdict{Status: 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			in.FromTag = "peer"
			got := tt.d.OnRequest(in, zero)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if got.OK() != (tt.want.Status == 0) {
				t.Error("OK disagrees with the status")
			}
		})
	}
}

func TestTheTargetMovesOnlyWithATargetRefresh(t *testing.T) {
	for method, want := range map[string]string{"UPDATE": "sip:new@x", "INVITE": "sip:new@x", "INFO": "sip:101@198.51.100.7"} {
		d := confirmed()
		d.OnRequest(Incoming{Method: method, Seq: 11, FromTag: "peer", Contact: "sip:new@x"}, zero)
		if d.Target != want {
			t.Errorf("%s: target %s", method, d.Target)
		}
	}
	d := confirmed()
	d.Offer.LocalInvite = true
	d.OnRequest(Incoming{Method: "INVITE", Seq: 11, FromTag: "peer", Contact: "sip:new@x"}, zero)
	if d.Target == "sip:new@x" {
		t.Error("a refused re-INVITE moved the target")
	}
}

func TestRetryTimes(t *testing.T) {
	last := func(n int) int { return n - 1 }
	d := confirmed()
	if got := d.Glare(zero); got != 0 {
		t.Error(got)
	}
	if got := d.Glare(last); got != 2*time.Second {
		t.Error(got)
	}
	d.Caller = true
	if got := d.Glare(zero); got != 2100*time.Millisecond {
		t.Error(got)
	}
	if got := d.Glare(last); got != 4*time.Second {
		t.Error(got)
	}
	d.Offer.RemoteInvite = true
	if v := d.OnRequest(Incoming{Method: "INVITE", Seq: 11, FromTag: "peer"}, last); v.RetryAfter != 10*time.Second {
		t.Error(v)
	}
}

func TestOfferAnswer(t *testing.T) {
	var o Offer
	steps := []struct {
		name string
		do   func() error
		want error
		then OfferState
	}{
		{"answer without offer", o.Answer, ErrNone, Stable},
		{"we offer", o.Send, nil, Local},
		{"again", o.Send, ErrOpen, Local},
		{"they offer", o.Receive, ErrOpen, Local},
		{"we answer", o.Answer, ErrNone, Local},
		{"they answer", o.Answered, nil, Stable},
		{"they offer now", o.Receive, nil, Remote},
		{"they answer themselves", o.Answered, ErrNone, Remote},
		{"we answer now", o.Answer, nil, Stable},
	}
	for _, s := range steps {
		if err := s.do(); !errors.Is(err, s.want) || o.State != s.then {
			t.Errorf("%s: %v, state %q", s.name, err, o.State)
		}
	}
	_ = o.Send()
	o.Refused()
	if o.State != Stable {
		t.Error("a refusal leaves the offer open")
	}
}

func TestWhatMayBeSent(t *testing.T) {
	d := confirmed()
	if !d.MayInvite() || d.MayUpdate(false) {
		t.Error("INVITE may be sent; UPDATE is not in Allow")
	}
	d.Allow, d.Supported = []string{"UPDATE"}, []string{"timer"}
	if !d.MayUpdate(true) || !d.Allows("UPDATE") || !d.Supports("timer") || d.Supports("100rel") {
		t.Error("UPDATE may be sent")
	}
	d.Offer.State = Local
	if d.MayInvite() || d.MayUpdate(true) || !d.MayUpdate(false) {
		t.Error("an offer is open")
	}
	d.State = Terminated
	if d.MayUpdate(false) {
		t.Error("the dialog is over")
	}
}

func TestReliable(t *testing.T) {
	var r Reliable
	if _, ok := r.Next(1, 0); !ok || r.Sent != 1 {
		t.Errorf("%+v", r)
	}
	if _, ok := r.Next(1, 5); ok {
		t.Error("the first one waits for its PRACK")
	}
	for _, bad := range []string{"", "1 1", "x 1 INVITE", "1 x INVITE", "2 1 INVITE", "1 2 INVITE", "1 1 BYE"} {
		if r.Acknowledge(bad) {
			t.Errorf("%q acknowledges", bad)
		}
	}
	if !r.Acknowledge("1  1 INVITE") || r.Acknowledge("1 1 INVITE") {
		t.Error("once and not again")
	}
	if n, ok := r.Next(1, 99); !ok || n != 2 {
		t.Error(n, ok)
	}
	var h Reliable
	heard := []struct {
		rseq uint32
		want string
	}{{0, ""}, {7, "7 3 INVITE"}, {7, ""}, {9, ""}, {8, "8 3 INVITE"}}
	for _, s := range heard {
		if got, _ := h.Heard(s.rseq, 3); got != s.want {
			t.Errorf("%d: %q, want %q", s.rseq, got, s.want)
		}
	}
}

func TestParseSessionExpires(t *testing.T) {
	sec := time.Second
	tests := []struct {
		expires, minSE string
		want           SessionExpires
	}{
		{"1800;refresher=uac", "90", SessionExpires{Interval: 1800 * sec, Refresher: "uac", MinSE: 90 * sec}},
		{" 90 ; Refresher=UAS;x", "90;a=b", SessionExpires{Interval: 90 * sec, Refresher: "uas", MinSE: 90 * sec}},
		{"90;refresher=me", "", SessionExpires{Interval: 90 * sec}},
		{"x", "-1", SessionExpires{}},
		{"99999999999", "", SessionExpires{}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, ParseSessionExpires(tt.expires, tt.minSE, false)); diff != "" {
			t.Errorf("%q: %s", tt.expires, diff)
		}
	}
}

func TestTimerAnswer(t *testing.T) {
	sec := time.Second
	tests := []struct {
		name    string
		t       Timer
		in      SessionExpires
		want    string
		refresh bool
	}{
		{"theirs as they asked", Timer{Want: 1800 * sec, Min: 90 * sec}, SessionExpires{Interval: 600 * sec, Refresher: "uac", Supported: true}, "600;refresher=uac", false},
		{"ours as they asked", Timer{Want: 1800 * sec}, SessionExpires{Interval: 600 * sec, Refresher: "uas", Supported: true}, "600;refresher=uas", true},
		{"no role named", Timer{Want: 1800 * sec}, SessionExpires{Interval: 600 * sec, Supported: true}, "600;refresher=uac", false},
		{"shortened, not below Min-SE", Timer{Want: 300 * sec}, SessionExpires{Interval: 9000 * sec, MinSE: 600 * sec, Supported: true}, "600;refresher=uac", false},
		{"a proxy asked, the peer knows no timers", Timer{Want: 1800 * sec}, SessionExpires{Interval: 600 * sec}, "600;refresher=uas", true},
		{"nobody asked, the peer knows timers", Timer{Want: 1800 * sec}, SessionExpires{Supported: true}, "1800;refresher=uac", false},
		{"nobody asked nor knows", Timer{Want: 1800 * sec}, SessionExpires{}, "1800;refresher=uas", true},
		{"we want none", Timer{}, SessionExpires{Supported: true}, "", false},
		{"none at all", Timer{}, SessionExpires{}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tm := tt.t
			if got := tm.Answer(tt.in); got != tt.want || tm.Refresh != tt.refresh {
				t.Errorf("%q, we refresh: %v", got, tm.Refresh)
			}
		})
	}
}

func TestTimerOfOurRequest(t *testing.T) {
	sec := time.Second
	var none Timer
	if se, _ := none.Ask(); se != "" {
		t.Error(se)
	}
	tm := Timer{Want: 1800 * sec, Min: 90 * sec}
	if se, m := tm.Ask(); se != "1800" || m != "90" {
		t.Error(se, m)
	}
	if tm.TooSmall(60*sec) || tm.TooSmall(48*time.Hour) || !tm.TooSmall(3600*sec) {
		t.Error("only a larger Min-SE of sense counts")
	}
	if se, m := tm.Ask(); se != "3600" || m != "3600" {
		t.Error(se, m)
	}
	tm.Accept(SessionExpires{Interval: 3600 * sec, Refresher: "uas"})
	if se, _ := tm.Ask(); se != "3600;refresher=uas" || tm.Refresh {
		t.Error(se)
	}
	if r, e := tm.Due(); r != 0 || e != 3568*sec {
		t.Error(r, e)
	}
	if !tm.TooSmall(4000*sec) || tm.Interval != 4000*sec {
		t.Error(tm)
	}
	tm.Accept(SessionExpires{})
	if se, _ := tm.Ask(); se != "4000;refresher=uac" || !tm.Refresh {
		t.Error(se)
	}
	short := Timer{Interval: 90 * sec, Refresh: true}
	if r, e := short.Due(); r != 45*sec || e != 60*sec {
		t.Error(r, e)
	}
	if r, e := none.Due(); r != 0 || e != 0 {
		t.Error(r, e)
	}
	if v := short.Judge(SessionExpires{}); !v.OK() {
		t.Error(v)
	}
}

func TestDialogIsWrittenDownAndReadAgain(t *testing.T) {
	d := confirmed()
	d.Routes, d.Allow, d.Supported = []string{"<sip:p;lr>"}, []string{"UPDATE"}, []string{"timer"}
	d.Reliable = Reliable{Sent: 3, Unacked: true, Invite: 10, Seen: 9}
	d.Offer = Offer{State: Local, LocalInvite: true}
	d.Timer.Interval = 600 * time.Second
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Dialog
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, &back); diff != "" {
		t.Error(diff)
	}
}
