package bot

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/text"
	"github.com/dipcast/dipcast/pbx/works"
)

// TestPressOnce: every button gives its command and says so; the second press
// has no effect and says that.
func TestPressOnce(t *testing.T) {
	for action, want := range map[Action]struct {
		pull   pbx.PullTo
		answer string
	}{
		Desk:      {pbx.ToDesk, "101 전화기를 울립니다"},
		Mobile:    {pbx.ToMobile, "010-5555-0101"},
		Assistant: {pbx.ToAssistant, "A.I. 비서"},
		CallBack:  {"", "010-1234-5678 번으로 겁니다"},
	} {
		t.Run(action.String(), func(t *testing.T) {
			r := newRig(t)
			tokens := r.sendCard(t, ringing("c", "101", time.Now()))
			wantAnswer(t, r.press(t, haneul, tokens[action]), want.answer)
			wantAnswer(t, r.press(t, haneul, tokens[action]), "이미 누른 버튼")
			if want.pull != "" {
				if got := []pbx.Pull{{Call: "c", Extension: "101", To: want.pull}}; !slices.Equal(r.engine.pulls, got) {
					t.Errorf("pulls %v, want %v", r.engine.pulls, got)
				}
			} else if got := []pbx.CallBack{{Extension: "101", Number: "010-1234-5678", After: "c"}}; !slices.Equal(r.engine.backs, got) {
				t.Errorf("call backs %v, want %v", r.engine.backs, got)
			}
			counted := map[string]int{action.String() + " ok": 1, action.String() + " pressed": 1}
			if !maps.Equal(r.presses, counted) {
				t.Errorf("counted %v, want %v", r.presses, counted)
			}
		})
	}
}

// TestWrongUser: a press by anybody but the person of the card has no effect.
func TestWrongUser(t *testing.T) {
	reassign := func(c *Config) { c.Extensions[0].WorksUser = bada }
	for name, tt := range map[string]struct {
		presser string
		change  func(*Config)
	}{
		"a colleague":                       {presser: bada},
		"a stranger":                        {presser: "99999999-9999-4999-8999-999999999999"},
		"the person who had the extension":  {presser: haneul, change: reassign},
		"the person who has it now":         {presser: bada, change: reassign},
		"an extension that is gone":         {presser: haneul, change: func(c *Config) { c.Extensions = c.Extensions[1:] }},
		"an extension without a person now": {presser: haneul, change: func(c *Config) { c.Extensions[0].WorksUser = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.resolveMissing(t.Context())
			tokens := r.sendCard(t, ringing("c", "101", time.Now()))
			if tt.change != nil {
				c := testConfig()
				tt.change(&c)
				r.Apply(c)
			}
			for _, token := range tokens {
				wantAnswer(t, r.press(t, tt.presser, token), "다른 사람에게 보낸 카드")
			}
			if len(r.engine.pulls)+len(r.engine.backs) != 0 {
				t.Error("a press by the wrong user had an effect")
			}
		})
	}
}

// TestUserByMail: the card went to an e-mail, the press comes with the ID.
func TestUserByMail(t *testing.T) {
	r := newRig(t)
	tokens := r.sendCard(t, ringing("c", "101", time.Now()))
	asked := 0
	known := r.resolved
	r.resolved = func(user string) (string, error) {
		if asked++; asked == 1 {
			return "", errors.New("the directory is down")
		}
		return known(user)
	}
	wantAnswer(t, r.press(t, haneul, tokens[Desk]), "사용자를 확인할 수 없습니다")
	if len(r.engine.pulls) != 0 {
		t.Error("an unverified press had an effect")
	}
	wantAnswer(t, r.press(t, haneul, tokens[Desk]), "전화기를 울립니다")
	wantAnswer(t, r.press(t, haneul, tokens[Mobile]), "휴대폰")
	if asked != 2 {
		t.Errorf("the directory was asked %d times, want 2", asked)
	}
	r.event(ringing("d", "101", time.Now()))
	if to := r.out.take()[0].To; to != haneul {
		t.Errorf("the next card goes to %s, want the ID", to)
	}
}

// TestMailPassedOn: the address belongs to somebody else by now; an old
// answer of the directory is asked for again.
func TestMailPassedOn(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
	r.resolveMissing(t.Context())
	r.resolved = func(string) (string, error) { return "new-person", nil }
	now = now.Add(resolveAge)
	tokens := r.sendCard(t, ringing("c", "101", now))
	wantAnswer(t, r.press(t, "new-person", tokens[Desk]), "다른 사람에게 보낸 카드") // it was sent to the old one
	r.event(ringing("d", "101", now))
	sent := r.out.take()
	if sent[0].To != "new-person" {
		t.Fatalf("the next card goes to %s", sent[0].To)
	}
	wantAnswer(t, r.press(t, "new-person", r.buttons(t, sent[0])[Desk]), "전화기를 울립니다")
}

// TestForged: what we did not seal is ignored without a word, and counted.
func TestForged(t *testing.T) {
	r := newRig(t)
	other := newRig(t, func(o *Options) { o.Tenant = "beta/beta" })
	rekeyed := newRig(t, func(o *Options) { o.Key = bytes.Repeat([]byte("x"), 32) })
	mine := r.sendCard(t, ringing("c", "101", time.Now()))[Desk]
	flipped := []byte(mine)
	flipped[len(flipped)/2] ^= 1
	for name, token := range map[string]string{
		"another tenant's": other.sendCard(t, ringing("c", "101", time.Now()))[Desk],
		"another key's":    rekeyed.sendCard(t, ringing("c", "101", time.Now()))[Desk],
		"a flipped bit":    string(flipped),
		"cut":              mine[:len(mine)-4],
		"lengthened":       mine + "AAAA",
		"empty":            tokenPrefix,
		"no base64":        tokenPrefix + "!!!",
		"long":             tokenPrefix + strings.Repeat("A", 400),
	} {
		if got := r.press(t, haneul, token); len(got) != 0 {
			t.Errorf("%s token was answered: %q", name, got)
		}
	}
	if len(r.engine.pulls) != 0 || r.presses["unknown forged"] != 8 {
		t.Errorf("pulls %v, counted %v", r.engine.pulls, r.presses)
	}
	if n := strings.Count(r.log.String(), "not ours"); n != 1 {
		t.Errorf("%d lines in the log, want one a minute", n)
	}
}

// TestRefusals: every reason of the engine is one sentence, and a refused
// button stays good.
func TestRefusals(t *testing.T) {
	codes := []pbx.Code{
		pbx.CodeGone, pbx.CodeTaken, pbx.CodePressed, pbx.CodeChanged, pbx.CodeNotYours, pbx.CodeNotRegistered, pbx.CodeNoMobile, pbx.CodeNoAssistant,
		pbx.CodeNoTrunk, pbx.CodeBusy, pbx.CodeNoAnswer, pbx.CodeNotConfirmed, pbx.CodeForbidden, pbx.CodeBadNumber, pbx.CodeLimit,
		pbx.CodeDraining, pbx.CodeFailed,
	}
	r := newRig(t)
	tokens := r.sendCard(t, ringing("c", "101", time.Now()))
	for _, code := range codes {
		for _, lang := range text.Cards() {
			if !text.Has(lang, "code."+string(code)) {
				t.Errorf("%s has no sentence for %s", lang, code)
			}
		}
		r.engine.err = pbx.Errorf(code, "english, for the log: 10.0.0.1")
		for _, token := range tokens {
			wantAnswer(t, r.press(t, haneul, token), text.Text(text.Korean, "code."+string(code)))
		}
	}
	r.engine.err = &pbx.Error{Code: pbx.CodeTaken, Who: "이바다\n<m userId=\"x\">"}
	answers := r.press(t, haneul, tokens[Desk])
	wantAnswer(t, answers, "이바다")
	if strings.ContainsAny(answers[0], "<\n") {
		t.Errorf("a hostile name went into the answer: %q", answers[0])
	}
	r.engine.err = errors.New("something of ours with an internal address 10.0.0.1")
	wantAnswer(t, r.press(t, haneul, tokens[Desk]), "연결하지 못했습니다")
	r.engine.err = nil
	wantAnswer(t, r.press(t, haneul, tokens[Desk]), "전화기를 울립니다")
}

// TestFailedPullFreesButton: an accepted pull that comes to nothing may be
// tried again; another action of the same call was allowed all along.
func TestFailedPullFreesButton(t *testing.T) {
	r := newRig(t)
	e := ringing("c", "101", time.Now())
	tokens := r.sendCard(t, e)
	r.press(t, haneul, tokens[Mobile])
	e.Type, e.PullTo, e.Err = pbx.EventPullFailed, pbx.ToMobile, pbx.Errorf(pbx.CodeNotConfirmed, "nothing pressed")
	r.event(e)
	sent := r.out.take()
	if len(sent) != 1 || sent[0].To != haneul {
		t.Fatalf("the presser was told %v", sent)
	}
	got := sent[0].Content.(works.Text)
	if !strings.Contains(got.Text, "1을 누르지 않아") || !strings.Contains(got.Text, "원래 울리던 곳") {
		t.Errorf("told %q", got.Text)
	}
	if en := got.In(works.English); !strings.Contains(en, "went back to where it rang") {
		t.Errorf("told in English %q", en)
	}
	wantAnswer(t, r.press(t, haneul, tokens[Desk]), "전화기를 울립니다")
	wantAnswer(t, r.press(t, haneul, tokens[Mobile]), "휴대폰")
	e.Type, e.PullTo, e.Err = pbx.EventPulled, pbx.ToMobile, nil
	r.event(e)
	wantTold(t, r, "휴대폰으로 연결했습니다")
	e.Type, e.Extension, e.PullTo = pbx.EventPulled, "", ""
	e.Call.PulledBy, e.Call.PulledTo = "101", pbx.ToDesk
	r.event(e)
	wantTold(t, r, "101 전화기로 연결했습니다")
	wantAnswer(t, r.press(t, haneul, tokens[Mobile]), "이미 누른 버튼")
}

func wantTold(t *testing.T, r *rig, part string) {
	t.Helper()
	sent := r.out.take()
	if len(sent) != 1 || !strings.Contains(sent[0].Content.(works.Text).Text, part) {
		t.Errorf("told %v, want %q", sent, part)
	}
}

// TestCallBackAgain: a call back that nobody answered may be tried again, one
// that was answered not; the missed card's button is one of its own.
func TestCallBackAgain(t *testing.T) {
	r := newRig(t)
	e := ringing("c", "101", time.Now())
	first := r.sendCard(t, e)[CallBack]
	e.Type = pbx.EventUnanswered
	second := r.sendCard(t, e)[CallBack]
	r.press(t, haneul, first)
	r.event(pbx.Event{Type: pbx.EventEnded, Call: pbx.Call{ID: "back-1"}})
	wantAnswer(t, r.press(t, haneul, first), "번으로 겁니다")
	r.event(pbx.Event{Type: pbx.EventEnded, Call: pbx.Call{ID: "back-2", Answered: time.Now()}})
	wantAnswer(t, r.press(t, haneul, first), "이미 누른 버튼")
	wantAnswer(t, r.press(t, haneul, second), "번으로 겁니다")
	wantAnswer(t, r.press(t, haneul, second), "이미 누른 버튼")
}

// TestLatePresses: an old button and a late callback get an honest answer.
func TestLatePresses(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	r := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
	tokens := r.sendCard(t, ringing("c", "101", now))
	press := func(issued time.Time) []works.Message {
		r.Press(t.Context(), works.Event{Type: works.EventPostback, UserID: haneul, Postback: tokens[CallBack], Issued: issued})
		return r.out.take()
	}
	for _, issued := range []time.Time{now.Add(-callbackAge - time.Second), now.Add(callbackAge + time.Second)} {
		if got := press(issued); len(got) != 1 || !strings.Contains(got[0].Content.(works.Text).Text, "너무 늦게") {
			t.Errorf("a callback issued at %s was answered %v", issued, got)
		}
	}
	now = now.Add(buttonAge - time.Second)
	if press(now); len(r.engine.backs) != 1 {
		t.Error("a button of six days did not call back")
	}
	again := r.sendCard(t, ringing("d", "101", now))
	now = now.Add(buttonAge + time.Second)
	wantAnswer(t, r.press(t, haneul, again[CallBack]), "이미 끝난 통화")
	if len(r.engine.backs) != 1 {
		t.Error("a button that is too old called back")
	}
}

// TestRestart: a new process with the same key understands old buttons.
func TestRestart(t *testing.T) {
	old := newRig(t)
	tokens := old.sendCard(t, ringing("c", "101", time.Now()))
	r := newRig(t)
	r.engine.on = func(pbx.Pull) error { return pbx.ErrGone }
	wantAnswer(t, r.press(t, haneul, tokens[Desk]), "이미 끝난 통화")
	wantAnswer(t, r.press(t, haneul, tokens[CallBack]), "번으로 겁니다")
	wantAnswer(t, r.press(t, haneul, tokens[CallBack]), "이미 누른 버튼")
}

// TestRace: the same button pressed from two devices at the same instant, and
// two members of a group at the same instant: one effect each time.
func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.resolveMissing(t.Context())
		one := r.sendCard(t, ringing("c", "101", time.Now()))
		two := r.sendCard(t, ringing("c", "102", time.Now()))
		taken := false
		r.engine.on = func(p pbx.Pull) error {
			if taken {
				return &pbx.Error{Code: pbx.CodeTaken, Who: "동료"}
			}
			taken = true
			return nil
		}
		var presses sync.WaitGroup
		for range 20 {
			presses.Go(func() {
				r.Press(t.Context(), works.Event{Type: works.EventMessage, UserID: haneul, Postback: one[Desk]})
			})
			presses.Go(func() {
				r.Press(t.Context(), works.Event{Type: works.EventMessage, UserID: bada, Postback: two[Desk]})
			})
		}
		presses.Wait()
		if len(r.engine.pulls) != 1 || r.presses["desk ok"] != 1 {
			t.Errorf("%d pulls, counted %v: want one effect", len(r.engine.pulls), r.presses)
		}
		if sent := r.out.take(); len(sent) != 40 {
			t.Errorf("%d answers to 40 presses", len(sent))
		}
	})
}

// TestHelp: typed lines and the Start button get help, not too often, and
// whoever has no extension is told what to ask for.
func TestHelp(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
	r.resolveMissing(t.Context())
	say := func(e works.Event) []works.Message {
		r.Press(t.Context(), e)
		return r.out.take()
	}
	line := works.Event{Type: works.EventMessage, Kind: "text", UserID: haneul, Text: "도움말"}
	got := say(line)
	if len(got) != 1 || !strings.Contains(got[0].Content.(works.Text).Text, "https://acme.pbx.example.com") {
		t.Errorf("a line was answered %v", got)
	}
	if got := say(line); len(got) != 0 {
		t.Error("a second line at once was answered")
	}
	now = now.Add(helpInterval)
	line.Postback = "start"
	if got := say(line); len(got) != 1 {
		t.Error("the Start button was not answered")
	}
	if got := say(works.Event{Type: works.EventMessage, UserID: "guest", Text: "?"}); len(got) != 1 || !strings.Contains(got[0].Content.(works.Text).Text, "내선 번호가 없습니다") {
		t.Errorf("somebody without an extension was answered %v", got)
	}
	for _, e := range []works.Event{
		{Type: works.EventJoin, UserID: haneul}, {Type: "from-the-future", UserID: haneul}, {Type: works.EventMessage},
	} {
		if got := say(e); len(got) != 0 {
			t.Errorf("%v was answered", e)
		}
	}
}

// TestDeliver takes a raw body as the web hands it over.
func TestDeliver(t *testing.T) {
	r := newRig(t)
	tokens := r.sendCard(t, ringing("c", "101", time.Now()))
	body := []byte(`{"type":"message","source":{"userId":"` + haneul + `"},"content":{"type":"text","text":"수신 전화 당겨 받기","postback":"` + tokens[Desk] + `"}}`)
	// The process ends while the directory is asked who pressed.
	ending, end := context.WithCancel(t.Context())
	known := r.resolved
	r.resolved = func(string) (string, error) {
		end()
		return "", errors.New("interrupted")
	}
	if err := r.Deliver(ending, body); err == nil || len(r.engine.pulls) != 0 || len(r.out.take()) != 0 {
		t.Errorf("a press that was not decided: %v, pulls %v", err, r.engine.pulls)
	}
	r.resolved = known
	for _, b := range [][]byte{body, []byte(`{"type":`)} {
		if err := r.Deliver(t.Context(), b); err != nil {
			t.Error(err)
		}
	}
	if len(r.engine.pulls) != 1 || len(r.out.take()) != 1 {
		t.Errorf("pulls %v", r.engine.pulls)
	}
	if !strings.Contains(r.log.String(), "could not be read") {
		t.Error("an unreadable callback is not in the log")
	}
}

// TestResolver: IDs are looked up ahead of the first press, again after a
// failure, and for a new configuration.
func TestResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		known, down := r.resolved, true
		asked := map[string]int{}
		var mu sync.Mutex
		r.resolved = func(user string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			asked[user]++
			if down {
				return "", errors.New("down")
			}
			return known(user)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		mu.Lock()
		down = false
		mu.Unlock()
		<-time.After(resolveRetry)
		synctest.Wait()
		if got := r.userID("haneul@ACME.example"); got != haneul {
			t.Errorf("the user is %s, want the ID", got)
		}
		c := testConfig()
		c.Extensions = append(c.Extensions, Extension{Number: "104", WorksUser: "new@acme.example"})
		r.Apply(c)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if asked["new@acme.example"] != 1 || asked["Haneul@acme.example"] > 3 {
			t.Errorf("asked %v", asked)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestTokenFits(t *testing.T) {
	r := newRig(t)
	longest := token{
		Action: CallBack, Issued: time.Now(), Call: pbx.CallID(strings.Repeat("c", maxCallID)),
		Extension: strings.Repeat("1", maxNumber), Number: strings.Repeat("2", maxNumber),
	}
	s, err := r.sealer.seal(longest)
	if err != nil || len(s) > works.MaxPostback {
		t.Errorf("%d bytes, %v", len(s), err)
	}
	got, err := r.sealer.open(s)
	longest.ID, longest.Issued = got.ID, longest.Issued.Truncate(time.Second)
	if err != nil || !got.Issued.Equal(longest.Issued) || got.Call != longest.Call || got.Number != longest.Number || got.Extension != longest.Extension {
		t.Errorf("%+v came back as %+v, %v", longest, got, err)
	}
	again, err := r.sealer.seal(longest)
	if err != nil || again == s {
		t.Error("two buttons have one token")
	}
	longest.Call += "c"
	if _, err := r.sealer.seal(longest); err == nil {
		t.Error("a call ID that is too long was sealed")
	}
	r.sealer.rand = bytes.NewReader(nil)
	if _, err := r.sealer.seal(token{Call: "c"}); err == nil {
		t.Error("a token without randomness was made")
	}
}

// FuzzToken: whatever comes back as a postback, nothing but what was sealed
// opens, and nothing panics.
func FuzzToken(f *testing.F) {
	s, err := newSealer(bytes.Repeat([]byte("k"), 32), "acme/acme", bytes.NewReader(bytes.Repeat([]byte("r"), 64)))
	if err != nil {
		f.Fatal(err)
	}
	good, err := s.seal(token{Action: Desk, Call: "c", Extension: "101"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, "", "start", tokenPrefix, tokenPrefix + "AAAA", good[:20], good + "=", strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := s.open(text); err == nil && text != good {
			t.Errorf("%q opened as %+v", text, got)
		}
	})
}

func TestBounded(t *testing.T) {
	b := newBounded[int, string](3)
	for i := range 5 {
		b.put(i, "v")
	}
	b.put(4, "w")
	if _, ok := b.get(1); ok || b.size() != 3 {
		t.Errorf("%d entries", b.size())
	}
	if v, _ := b.get(4); v != "w" {
		t.Errorf("got %q", v)
	}
	b.remove(2)
	b.remove(2)
	b.remove(3)
	b.remove(4)
	for i := range 4 {
		b.put(i, "v")
	}
	if _, ok := b.get(0); ok || b.size() != 3 {
		t.Errorf("%d entries after refilling", b.size())
	}
}
