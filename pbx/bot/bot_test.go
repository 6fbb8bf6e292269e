package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/works"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	haneul = "11111111-1111-4111-8111-111111111111" // the user ID behind haneul@acme.example
	bada   = "22222222-2222-4222-8222-222222222222" // configured as an ID
)

// outbox is a messenger that keeps what it is given; hold makes it hang.
type outbox struct {
	mu   sync.Mutex
	sent []works.Message
	hold chan struct{}
	fail error
}

func (o *outbox) Send(m works.Message) {
	if o.hold != nil {
		<-o.hold
	}
	o.mu.Lock()
	o.sent = append(o.sent, m)
	o.mu.Unlock()
	if m.Done != nil {
		m.Done(o.fail)
	}
}

func (o *outbox) take() []works.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	sent := o.sent
	o.sent = nil
	return sent
}

// engine is a controller that does what the test says.
type engine struct {
	mu    sync.Mutex
	pulls []pbx.Pull
	backs []pbx.CallBack
	err   error
	on    func(pbx.Pull) error
}

func (e *engine) Pull(_ context.Context, p pbx.Pull) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	if e.on != nil {
		if err := e.on(p); err != nil {
			return err
		}
	}
	e.pulls = append(e.pulls, p)
	return nil
}

func (e *engine) CallBack(_ context.Context, b pbx.CallBack) (pbx.CallID, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return "", e.err
	}
	e.backs = append(e.backs, b)
	return pbx.CallID(fmt.Sprintf("back-%d", len(e.backs))), nil
}

func (e *engine) Hangup(context.Context, pbx.CallID) error           { return nil }
func (e *engine) Calls(context.Context) ([]pbx.Call, error)          { return nil, nil }
func (e *engine) Call(context.Context, pbx.CallID) (pbx.Call, error) { return pbx.Call{}, pbx.ErrGone }

type rig struct {
	*Bot
	out      *outbox
	engine   *engine
	presses  map[string]int
	cards    map[string][]time.Duration
	resolved func(user string) (string, error)
	log      *bytes.Buffer
	mu       sync.Mutex
}

func testConfig() Config {
	return Config{
		BaseURL: "https://acme.pbx.example.com", Locale: "ko-KR", TimeZone: time.FixedZone("KST", 9*3600),
		Extensions: []Extension{
			{Number: "101", DisplayName: "김하늘", WorksUser: "Haneul@acme.example", Mobile: "010-5555-0101"},
			{Number: "102", DisplayName: "이바다", WorksUser: bada, Mobile: "010-5555-0102"},
			{Number: "103"},
		},
		Cards: Cards{External: true, Internal: true, Missed: true},
	}
}

func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{out: &outbox{}, engine: &engine{}, presses: map[string]int{}, cards: map[string][]time.Duration{}, log: &bytes.Buffer{}}
	r.resolved = func(user string) (string, error) {
		if strings.EqualFold(user, "haneul@acme.example") {
			return haneul, nil
		}
		return "", errors.New("no such user")
	}
	o := Options{
		Config: testConfig(), Tenant: "acme/acme", Key: bytes.Repeat([]byte("k"), 32), Control: r.engine, Messenger: r.out,
		ResolveUser: func(_ context.Context, user string) (string, error) { return r.resolved(user) },
		Hooks: Hooks{
			Press: func(action, outcome string) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.presses[action+" "+outcome]++
			},
			CardSent: func(kind string, d time.Duration) { r.cards[kind] = append(r.cards[kind], d) },
		},
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Bot = b
	return r
}

// ringing is the event of an outside call that rings an extension.
func ringing(id pbx.CallID, extension string, now time.Time) pbx.Event {
	return pbx.Event{Type: pbx.EventOffered, Time: now, Extension: extension, Call: pbx.Call{
		ID: id, Direction: pbx.Inbound, State: pbx.CallRinging, From: pbx.Party{Number: "010-1234-5678", Name: "홍길동", Trunk: "kt"},
		To: pbx.Party{Number: extension, Extension: extension}, Started: now, Offered: []string{extension},
	}}
}

func internal(id pbx.CallID, now time.Time) pbx.Event {
	e := ringing(id, "101", now)
	e.Call.Direction, e.Call.From = pbx.Internal, pbx.Party{Number: "102", Name: "이바다", Extension: "102"}
	return e
}

// buttons returns the tokens of a card by action.
func (r *rig) buttons(t *testing.T, m works.Message) map[Action]string {
	t.Helper()
	c, ok := m.Content.(works.Buttons)
	if !ok {
		t.Fatalf("%T is no card", m.Content)
	}
	tokens := map[Action]string{}
	for _, a := range c.Actions {
		if p, ok := a.(works.Press); ok {
			tok, err := r.sealer.open(p.Postback)
			if err != nil {
				t.Fatal(err)
			}
			tokens[tok.Action] = p.Postback
		}
	}
	return tokens
}

// sendCard makes the bot send one card and returns its buttons.
func (r *rig) sendCard(t *testing.T, e pbx.Event) map[Action]string {
	t.Helper()
	r.event(e)
	sent := r.out.take()
	if len(sent) != 1 {
		t.Fatalf("%d messages were sent, want one card", len(sent))
	}
	return r.buttons(t, sent[0])
}

// press delivers a press and returns the answers in Korean.
func (r *rig) press(t *testing.T, user, postback string) []string {
	t.Helper()
	r.Press(t.Context(), works.Event{Type: works.EventMessage, Kind: "text", UserID: user, Postback: postback, Issued: r.opts.Now()})
	var answers []string
	for _, m := range r.out.take() {
		if m.To != user {
			t.Errorf("the answer went to %s, not to the presser %s", m.To, user)
		}
		if err := m.Content.Validate(); err != nil {
			t.Error(err)
		}
		answers = append(answers, m.Content.(works.Text).Text)
	}
	return answers
}

func wantAnswer(t *testing.T, got []string, part string) {
	t.Helper()
	if len(got) != 1 || !strings.Contains(got[0], part) {
		t.Errorf("answers %q, want one with %q", got, part)
	}
}

// TestCards compares every card with a golden file; tokens are random and
// left out.
func TestCards(t *testing.T) {
	now := time.Date(2026, 11, 23, 5, 7, 0, 0, time.UTC)
	group := ringing("c", "102", now)
	group.Call.To = pbx.Party{Number: "600", Name: "영업부"}
	hidden := ringing("c", "101", now)
	hidden.Call.From = pbx.Party{Trunk: "kt"}
	hostile := ringing("c", "101", now)
	hostile.Call.From = pbx.Party{Number: "alice@evil.example", Name: "당첨\n<m userId=\"x\">\u202ehttps://evil.example/win"}
	missed := ringing("c", "101", now)
	missed.Type = pbx.EventUnanswered
	for _, tt := range []struct {
		name   string
		event  pbx.Event
		change func(*Config)
		lookup bool
	}{
		{name: "external", event: ringing("c", "101", now)},
		{name: "external-contact", event: ringing("c", "101", now), lookup: true},
		{name: "external-group", event: group},
		{name: "external-withheld", event: hidden},
		{name: "external-hostile", event: hostile},
		{name: "external-english", event: ringing("c", "101", now), change: func(c *Config) { c.Locale = "en-US" }},
		{name: "external-japanese", event: ringing("c", "101", now), change: func(c *Config) { c.Locale = "ja-JP" }},
		{name: "external-no-link", event: ringing("c", "101", now), change: func(c *Config) { c.BaseURL = "http://pbx.example.com" }},
		{name: "internal", event: internal("c", now)},
		{name: "missed", event: missed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(o *Options) {
				o.Now = func() time.Time { return now }
				if tt.change != nil {
					tt.change(&o.Config)
				}
				if tt.lookup {
					o.CallerName = func(viewer, number string) (string, string) { return "홍길동", "고객사" }
				}
			})
			r.event(tt.event)
			sent := r.out.take()
			if len(sent) != 1 {
				t.Fatalf("%d messages, want 1", len(sent))
			}
			if err := sent[0].Content.Validate(); err != nil {
				t.Error(err)
			}
			golden(t, tt.name, sent[0])
		})
	}
}

func golden(t *testing.T, name string, m works.Message) {
	t.Helper()
	if c, ok := m.Content.(works.Buttons); ok {
		for i, a := range c.Actions {
			if p, ok := a.(works.Press); ok {
				p.Postback = "TOKEN"
				c.Actions[i] = p
			}
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{"to": m.To, "content": m.Content}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "cards", name+".json")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s", path, b.String(), want)
	}
}

// TestNoCard: who gets no card.
func TestNoCard(t *testing.T) {
	now := time.Now()
	self := internal("c", now)
	self.Extension = "102"
	for name, tt := range map[string]struct {
		event  pbx.Event
		change func(*Config)
	}{
		"a phone without a person":    {event: ringing("c", "103", now)},
		"an extension that is gone":   {event: ringing("c", "199", now)},
		"the caller himself":          {event: self},
		"external cards switched off": {ringing("c", "101", now), func(c *Config) { c.Cards.External = false }},
		"internal cards switched off": {internal("c", now), func(c *Config) { c.Cards.Internal = false }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) {
				if tt.change != nil {
					tt.change(&o.Config)
				}
			})
			r.event(tt.event)
			if sent := r.out.take(); len(sent) != 0 {
				t.Errorf("%d messages were sent", len(sent))
			}
		})
	}
}

func TestOneCardPerCallAndPerson(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	r.event(ringing("c", "101", now))
	r.event(ringing("c", "101", now)) // rings again, for example after a failed pull
	r.event(ringing("c", "102", now))
	r.event(ringing("d", "101", now))
	if sent := r.out.take(); len(sent) != 3 {
		t.Errorf("%d cards, want 3", len(sent))
	}
}

// TestHandleNeverBlocks: the messenger hangs, a thousand calls come in, the
// engine's goroutine is not held up, and the newest calls survive.
func TestHandleNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.out.hold = make(chan struct{})
		dropped := 0
		r.opts.Hooks.Dropped = func() { dropped++ }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		const calls = 3 * mailboxSize
		for i := range calls {
			r.Handle(ringing(pbx.CallID(fmt.Sprint(i)), "101", time.Now()))
		}
		synctest.Wait()
		if len(r.mail) > mailboxSize || dropped < calls-mailboxSize-1 {
			t.Errorf("%d events wait, %d were dropped: want at most %d waiting", len(r.mail), dropped, mailboxSize)
		}
		close(r.out.hold)
		synctest.Wait()
		sent := r.out.take()
		last, _ := json.Marshal(sent[len(sent)-1].Content)
		if !strings.Contains(string(last), fmt.Sprintf("/calls/%d\"", calls-1)) {
			t.Errorf("the newest call is lost: the last card is %s", last)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCardLatency(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(o *Options) { o.Now = func() time.Time { return now.Add(80 * time.Millisecond) } })
	r.event(ringing("c", "101", now))
	if got := r.cards["external"]; len(got) != 1 || got[0] != 80*time.Millisecond {
		t.Errorf("latencies %v, want 80ms", got)
	}
	r.out.fail = errors.New("refused")
	r.event(ringing("d", "101", now))
	if got := r.cards["external"]; len(got) != 1 {
		t.Error("a card that was not sent was measured")
	}
	if !strings.Contains(r.log.String(), "refused") {
		t.Error("a card that was not sent is not in the log")
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Options{})
	if err == nil {
		t.Error("a bot without anything was made")
	}
	_, err = New(Options{
		Control: &engine{}, Messenger: &outbox{}, Key: []byte("short"),
		ResolveUser: func(context.Context, string) (string, error) { return "", nil },
	})
	if err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("error %v must name the key's length", err)
	}
}

// What can be called back from a card: a caller from outside cannot present a
// number that leads to a colleague, a feature or the police.
func TestDialable(t *testing.T) {
	for number, want := range map[string]bool{
		"010-9999-8888": true, "+12025550100": true, "1588-1234": true, "777-1234": true,
		"101": false, "112": false, "1-1-9": false, "9119": false, "*21": false, "": false, "anonymous": false, "6 00": false,
	} {
		if got := dialable(pbx.Party{Number: number, Trunk: "one"}); got != "" != want {
			t.Errorf("%q from outside: %q can be called back, want %t", number, got, want)
		}
	}
	if got := dialable(pbx.Party{Number: "101", Extension: "101"}); got != "101" {
		t.Errorf("a colleague: %q", got)
	}
}
