package phone

import (
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media/tone"
)

func TestCallBothWays(t *testing.T) {
	tests := []struct {
		name           string
		transport      string
		listen         string
		caller, callee []string
		want           string
	}{
		{"UDP", "UDP", "127.0.0.1:0", nil, nil, "PCMA"},
		{"TCP", "TCP", "127.0.0.1:0", nil, nil, "PCMA"},
		{"UDP over IPv6", "UDP", "[::1]:0", nil, nil, "PCMA"},
		{"TCP over IPv6", "TCP", "[::1]:0", nil, nil, "PCMA"},
		{"the callee knows one codec", "UDP", "127.0.0.1:0", nil, []string{"PCMU"}, "PCMU"},
		{"the caller prefers the other", "UDP", "127.0.0.1:0", []string{"PCMU", "PCMA"}, nil, "PCMU"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			a := newPhone(t, Config{User: "101", Transport: tc.transport, Listen: tc.listen, Codecs: tc.caller})
			b := newPhone(t, Config{User: "102", Transport: tc.transport, Listen: tc.listen, Codecs: tc.callee})
			caller, callee := connected(t, a, b)
			ctx := soon(t)
			caller.Play(tone.Sine(440, 0.4))
			callee.Play(tone.Sine(880, 0.4))
			must(t, callee.WaitTone(ctx, 440))
			must(t, caller.WaitTone(ctx, 880))
			must(t, caller.WaitNoTone(ctx, 440))
			if got := caller.State().Codec; got != tc.want {
				t.Errorf("codec %s, want %s", got, tc.want)
			}
			must(t, caller.Hangup(ctx))
			cause, err := callee.WaitEnded(ctx)
			must(t, err)
			if !cause.Remote || cause.Code != 200 {
				t.Errorf("the callee's cause: %+v", cause)
			}
			if st := callee.Stats(); st.Received == 0 || st.Lost > 0 || st.Sources != 1 {
				t.Errorf("the callee's counters: %+v", st)
			}
		})
	}
}

func TestHoldAndResume(t *testing.T) {
	a, b := newPhone(t, Config{User: "101"}), newPhone(t, Config{User: "102"})
	caller, callee := connected(t, a, b)
	ctx := soon(t)
	caller.Play(tone.Sine(440, 0.4))
	must(t, callee.WaitTone(ctx, 440))
	for _, c := range []struct{ holder, held *Call }{{caller, callee}, {callee, caller}} {
		must(t, c.holder.Hold(ctx))
		must(t, c.held.WaitHeld(ctx, true))
		must(t, callee.WaitNoTone(ctx, 440))
		must(t, c.holder.Resume(ctx))
		must(t, c.held.WaitHeld(ctx, false))
		must(t, callee.WaitTone(ctx, 440))
	}
	must(t, callee.Update(ctx))
	must(t, callee.Hangup(ctx))
	if _, err := caller.WaitEnded(ctx); err != nil {
		t.Error(err)
	}
}

func TestCalleeActsOverTCP(t *testing.T) {
	a, b := newPhone(t, Config{User: "101", Transport: "TCP"}), newPhone(t, Config{User: "102", Transport: "TCP"})
	for range 2 {
		caller, callee := connected(t, a, b)
		ctx := soon(t)
		must(t, callee.Hold(ctx))
		must(t, caller.WaitHeld(ctx, true))
		must(t, callee.Resume(ctx))
		must(t, callee.Hangup(ctx))
		if _, err := caller.WaitEnded(ctx); err != nil {
			t.Error(err)
		}
	}
}

func TestBothHoldAtOnce(t *testing.T) {
	a, b := newPhone(t, Config{User: "101"}), newPhone(t, Config{User: "102"})
	caller, callee := connected(t, a, b)
	ctx := soon(t)
	done := make(chan error, 2)
	go func() { done <- caller.Hold(ctx) }()
	go func() { done <- callee.Hold(ctx) }()
	for range 2 {
		must(t, <-done)
	}
	if !caller.State().Holding || !callee.State().Holding {
		t.Errorf("caller %+v, callee %+v: both should hold", caller.State(), callee.State())
	}
	must(t, caller.Hangup(ctx))
}

func TestDTMF(t *testing.T) {
	for _, info := range []bool{false, true} {
		a, b := newPhone(t, Config{User: "101", NoDTMF: info}), newPhone(t, Config{User: "102"})
		caller, callee := connected(t, a, b)
		ctx := soon(t)
		const keys = "123*0#99A"
		must(t, caller.SendDTMF(ctx, keys))
		got, err := callee.WaitDigits(ctx, len(keys))
		must(t, err)
		if got != keys {
			t.Errorf("INFO %v: got %q, want %q", info, got, keys)
		}
		if err := caller.SendDTMF(ctx, "x"); err == nil {
			t.Error("a key that does not exist was sent")
		}
		must(t, caller.Hangup(ctx))
	}
}

func TestRejectAndCancel(t *testing.T) {
	a, b := newPhone(t, Config{User: "101"}), newPhone(t, Config{User: "102"})
	ctx := soon(t)
	for _, code := range []int{486, 480, 603} {
		caller, err := a.Dial(ctx, dialTo(b), DialOptions{})
		must(t, err)
		callee, err := b.WaitIncoming(ctx)
		must(t, err)
		must(t, callee.Reject(code))
		cause, err := caller.WaitEnded(ctx)
		must(t, err)
		if cause.Code != code || !cause.Remote {
			t.Errorf("rejected with %d: cause %+v", code, cause)
		}
	}
	caller, err := a.Dial(ctx, dialTo(b), DialOptions{})
	must(t, err)
	callee, err := b.WaitIncoming(ctx)
	must(t, err)
	must(t, callee.Ring())
	must(t, caller.WaitRinging(ctx))
	must(t, caller.Hangup(ctx))
	if cause := caller.Cause(); cause.Code != 487 {
		t.Errorf("the caller's cause: %+v", cause)
	}
	cause, err := callee.WaitEnded(ctx)
	must(t, err)
	if cause.Code != 487 || !cause.Remote {
		t.Errorf("the callee's cause: %+v", cause)
	}
	if err := callee.Answer(ctx); err == nil {
		t.Error("a cancelled call was answered")
	}
}

func TestEarlyMedia(t *testing.T) {
	a, b := newPhone(t, Config{User: "101"}), newPhone(t, Config{User: "102"})
	ctx := soon(t)
	caller, err := a.Dial(ctx, dialTo(b), DialOptions{})
	must(t, err)
	callee, err := b.WaitIncoming(ctx)
	must(t, err)
	must(t, callee.Progress())
	callee.Play(tone.Sine(660, 0.4))
	must(t, caller.WaitTone(ctx, 660))
	if st := caller.State(); !st.Early || st.Answered {
		t.Errorf("state %+v, want early media", st)
	}
	must(t, callee.Answer(ctx))
	must(t, caller.WaitAnswered(ctx))
	must(t, callee.Hangup(ctx))
}

func TestLateOffer(t *testing.T) {
	a, b := newPhone(t, Config{User: "101"}), newPhone(t, Config{User: "102"})
	ctx := soon(t)
	caller, err := a.Dial(ctx, dialTo(b), DialOptions{NoOffer: true})
	must(t, err)
	callee, err := b.WaitIncoming(ctx)
	must(t, err)
	must(t, callee.Answer(ctx))
	must(t, caller.WaitAnswered(ctx))
	caller.Play(tone.Sine(440, 0.4))
	callee.Play(tone.Sine(880, 0.4))
	must(t, callee.WaitTone(ctx, 440))
	must(t, caller.WaitTone(ctx, 880))
	must(t, caller.Hangup(ctx))
}

func TestNothingInCommon(t *testing.T) {
	a, b := newPhone(t, Config{User: "101", Codecs: []string{"PCMA"}}), newPhone(t, Config{User: "102", Codecs: []string{"PCMU"}})
	ctx := soon(t)
	caller, err := a.Dial(ctx, dialTo(b), DialOptions{})
	must(t, err)
	callee, err := b.WaitIncoming(ctx)
	must(t, err)
	if err := callee.Answer(ctx); err == nil {
		t.Error("answered without a common codec")
	}
	cause, err := caller.WaitEnded(ctx)
	must(t, err)
	if cause.Code != 488 {
		t.Errorf("cause %+v, want 488", cause)
	}
}

func TestHeadersAndIdentity(t *testing.T) {
	a, b := newPhone(t, Config{User: "carrier"}), newPhone(t, Config{User: "102", AutoAnswer: true})
	ctx := soon(t)
	caller, err := a.Dial(ctx, uriOf(b, "025550100"), DialOptions{
		From: "01012345678", FromName: "홍길동", Headers: map[string]string{"Alert-Info": "<http://www.example.com>;info=alert-autoanswer"},
	})
	must(t, err)
	callee, err := b.WaitIncoming(ctx)
	must(t, err)
	must(t, caller.WaitAnswered(ctx))
	if st := callee.State(); st.PeerNumber != "01012345678" || st.PeerName != "홍길동" {
		t.Errorf("the callee sees %q %q", st.PeerNumber, st.PeerName)
	}
	if callee.Dialled() != "025550100" {
		t.Errorf("dialled %q", callee.Dialled())
	}
	if got := callee.InviteHeader("Alert-Info"); !strings.Contains(got, "autoanswer") {
		t.Errorf("Alert-Info %q", got)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	a, b := newPhone(t, Config{User: "101"}), newPhone(t, Config{User: "102"})
	caller, callee := connected(t, a, b)
	ringing, err := a.Dial(soon(t), dialTo(b), DialOptions{})
	must(t, err)
	waiting, err := b.WaitIncoming(soon(t))
	must(t, err)
	must(t, waiting.Ring())
	must(t, ringing.WaitRinging(soon(t)))
	a.Close()
	for _, c := range []*Call{caller, callee, ringing, waiting} {
		if _, err := c.WaitEnded(soon(t)); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Dial(soon(t), dialTo(b), DialOptions{}); err == nil {
		t.Error("a closed phone dialled")
	}
}

func TestVanish(t *testing.T) {
	a, b := newPhone(t, Config{User: "101"}), newPhone(t, Config{User: "102"})
	caller, callee := connected(t, a, b)
	a.Vanish()
	<-caller.Done()
	if callee.State().Ended {
		t.Error("the peer was told")
	}
	b.Vanish()
}

func TestConfigErrors(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"transport", Config{Transport: "SCTP"}, "transport"},
		{"digest", Config{Digest: "SHA-1"}, "digest"},
		{"codec", Config{Codecs: []string{"G729"}}, "codec"},
		{"server", Config{Server: "127.0.0.1:notaport"}, "server"},
		{"listen", Config{Listen: "192.0.2.1:0"}, "listen"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p, err := New(tc.cfg)
			if err == nil {
				p.Close()
				t.Fatal("accepted")
			}
			if !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error %q does not begin with %q", err, tc.want)
			}
		})
	}
	p := newPhone(t, Config{User: "101"})
	if err := p.Register(soon(t), time.Minute); err == nil {
		t.Error("registered without a server")
	}
	if _, err := p.Dial(soon(t), "102", DialOptions{}); err == nil {
		t.Error("dialled a number without a server")
	}
}
