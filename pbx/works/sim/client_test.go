package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestCardArrivesAndAPressComesBackSigned(t *testing.T) {
	s := start(t)
	callbacks := receiver(t, s, 200)
	c := client(t, s)
	for _, user := range []string{haneul, sim.UserID(bada)} { // by e-mail and by ID
		if err := c.SendMessage(t.Context(), user, card()); err != nil {
			t.Fatal(err)
		}
	}
	got := s.Messages(haneul)
	if len(got) != 1 || len(got[0].Buttons) != 3 || got[0].Text.In(works.English) != "External call 010-1234-5678" {
		t.Fatalf("messages %+v", got)
	}
	for _, test := range []struct {
		user, label string
		button      int
		postback    string
	}{
		{haneul, "내 모바일로 당겨 받기", 0, "v1.mobile"}, {haneul, "M2C 발신 하기", 1, "v1.m2c"}, {bada, "To my mobile", 0, "v1.mobile"},
	} {
		if err := s.Press(t.Context(), test.user, 0, test.button); err != nil {
			t.Fatal(err)
		}
		r := next(t, callbacks)
		if !works.VerifyCallback("bot-secret", r.body, r.header.Get("x-works-signature")) {
			t.Error("the signature is not right")
		}
		if id := r.header.Get(works.HeaderBotID); id != "2000001" {
			t.Errorf("bot ID %q", id)
		}
		e, err := works.DecodeCallback(r.body)
		if err != nil {
			t.Fatal(err)
		}
		if e.Type != works.EventMessage || e.Text != test.label || e.Postback != test.postback ||
			e.UserID != sim.UserID(test.user) || e.DomainID != domain || e.Issued.IsZero() {
			t.Errorf("event %+v, want %+v", e, test)
		}
	}
	if err := s.Press(t.Context(), haneul, 0, 2); err == nil {
		t.Error("a link called back")
	}
	if err := s.PressAs(t.Context(), haneul, 0, 0, bada); err != nil {
		t.Fatal(err)
	}
	if e, _ := works.DecodeCallback(next(t, callbacks).body); e.UserID != sim.UserID(bada) || e.Postback != "v1.mobile" {
		t.Errorf("a press by another user came as %+v", e)
	}
	if err := s.Say(t.Context(), haneul, botID, "여보세요"); err != nil {
		t.Fatal(err)
	}
	if e, _ := works.DecodeCallback(next(t, callbacks).body); e.Text != "여보세요" || e.Postback != "" {
		t.Errorf("a line came as %+v", e)
	}
}

func TestWaitSeesAMessageThatComesLater(t *testing.T) {
	s := start(t)
	c := client(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found := make(chan sim.Message, 1)
	go func() {
		m, err := s.Wait(ctx, haneul, func(m sim.Message) bool { return m.Text.Text == "second" })
		if err != nil {
			t.Error(err)
		}
		found <- m
	}()
	for _, text := range []string{"first", "second", "third"} {
		if err := c.SendMessage(ctx, haneul, works.Text{Words: works.Plain(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if m := <-found; m.Index != 1 {
		t.Errorf("message %+v, want the second", m)
	}
	short, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	if _, err := s.Wait(short, haneul, func(sim.Message) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
}

func TestCallbackFaults(t *testing.T) {
	s := start(t)
	callbacks := receiver(t, s, 200)
	if err := client(t, s).SendMessage(t.Context(), haneul, card()); err != nil {
		t.Fatal(err)
	}
	press := func() {
		t.Helper()
		if err := s.Press(t.Context(), haneul, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.SetFault(sim.Fault{Operation: "callback", Times: 1, Lose: true})
	press()
	s.SetFault(sim.Fault{Operation: "callback", Times: 1, Duplicate: true})
	press()
	a, b := next(t, callbacks), next(t, callbacks)
	if !bytes.Equal(a.body, b.body) {
		t.Error("the duplicate differs")
	}
	s.SetFault(sim.Fault{Operation: "callback", Times: 1, Delay: sim.Duration(20 * time.Millisecond)})
	press()
	next(t, callbacks)
	if len(callbacks) != 0 {
		t.Errorf("%d callbacks too many", len(callbacks))
	}
	s.SetFault(sim.Fault{Operation: "callback", Delay: sim.Duration(time.Hour)}) // Close must not wait for it
	press()
}

func TestCallbackIsSentOnceEvenWhenRefused(t *testing.T) {
	s := start(t)
	callbacks := receiver(t, s, 500)
	if err := s.Say(t.Context(), haneul, botID, "x"); err == nil || !strings.Contains(err.Error(), "HTTP 500") {
		t.Errorf("error %v, want the 500", err)
	}
	next(t, callbacks)
	if n := s.Calls("callback"); n != 1 || len(callbacks) != 0 {
		t.Errorf("%d callbacks sent, want 1", n)
	}
	if err := s.Say(t.Context(), haneul, 2000002, "x"); !errors.Is(err, sim.ErrNoCallback) {
		t.Errorf("a bot without URL: %v", err)
	}
}

func TestDirectoryPaging(t *testing.T) {
	s := start(t, func(c *sim.Config) {
		for i := range 250 {
			c.Users = append(c.Users, works.User{Email: fmt.Sprintf("u%03d@acme.example", i), DomainID: domain})
			c.Contacts = append(c.Contacts, works.Contact{
				ContactID: fmt.Sprint(i), Name: works.PersonName{First: "x"},
				Modified: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Hour).Format(time.RFC3339),
			})
		}
		c.Users = append(c.Users, works.User{Email: "far@other.example", DomainID: 99})
	})
	c := client(t, s)
	var emails []string
	for u, err := range c.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		emails = append(emails, u.Email)
	}
	if len(emails) != 252 || slices.Contains(emails, "far@other.example") {
		t.Errorf("%d users, want the 252 of the domain", len(emails))
	}
	if n := s.Calls("user.list"); n != 3 {
		t.Errorf("%d pages, want 3", n)
	}
	n := 0
	for _, err := range c.Contacts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 250 {
		t.Errorf("%d contacts, want 250", n)
	}
	before := s.Calls("contact.list")
	var ids []string
	from := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	for contact, err := range c.ContactsModified(t.Context(), from, from.Add(200*time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, contact.ContactID)
	}
	if len(ids) != 200 || ids[0] != "10" || ids[199] != "209" {
		t.Errorf("%d contacts modified, from %v", len(ids), ids)
	}
	if pages := s.Calls("contact.list") - before; pages != 2 {
		t.Errorf("%d windows, want 2 of at most seven days", pages)
	}
}

func TestUser(t *testing.T) {
	c := client(t, start(t))
	for _, name := range []string{haneul, sim.UserID(haneul)} {
		u, err := c.User(t.Context(), name)
		if err != nil || u.Name.Full() != "김하늘" || u.UserID != sim.UserID(haneul) {
			t.Errorf("User(%q) = %+v, %v", name, u, err)
		}
	}
	if _, err := c.User(t.Context(), "nobody@acme.example"); !works.IsNotFound(err) {
		t.Errorf("an unknown user: %v", err)
	}
	if _, err := c.User(t.Context(), "me"); err == nil {
		t.Error("a service account is somebody")
	}
	if _, err := c.User(t.Context(), ""); err == nil {
		t.Error("the empty user was found")
	}
}

func TestBotSettingsAndMenu(t *testing.T) {
	s := start(t)
	c := client(t, s)
	url, on := "https://acme.pbx.example.com/works/callback", true
	if err := c.PatchBot(t.Context(), works.BotPatch{CallbackURL: &url, EnableCallback: &on, CallbackEvents: []string{"text"}}); err != nil {
		t.Fatal(err)
	}
	if b, err := c.Bot(t.Context()); err != nil || b.CallbackURL != url || !b.EnableCallback || b.BotID != botID {
		t.Errorf("bot %+v, %v", b, err)
	}
	plain := "http://acme.pbx.example.com/works/callback"
	if err := c.PatchBot(t.Context(), works.BotPatch{CallbackURL: &plain}); err == nil {
		t.Error("a callback URL without TLS was taken")
	}
	if m, err := c.PersistentMenu(t.Context()); err != nil || m != nil {
		t.Errorf("menu %v, %v before one was set", m, err)
	}
	menu := []works.Action{
		works.Press{Label: works.Words{Text: "부재중 전화", I18n: map[works.Language]string{works.English: "Missed calls"}}, Postback: "menu.missed"},
		works.Link{Label: works.Plain("DIPCAST WEB"), URI: "https://acme.pbx.example.com/"},
	}
	if err := c.SetPersistentMenu(t.Context(), menu); err != nil {
		t.Fatal(err)
	}
	got, err := c.PersistentMenu(t.Context())
	if want, _ := json.Marshal(menu); err != nil || !jsonEqual(got, want) {
		t.Errorf("menu %v, %v", got, err)
	}
	for range 2 {
		if err := c.DeletePersistentMenu(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if s.Menu(botID) != nil {
		t.Error("the menu is still there")
	}
	five := slices.Repeat(menu[:1], 5)
	if err := c.SetPersistentMenu(t.Context(), five); err == nil {
		t.Error("five actions were taken")
	}
}

func jsonEqual(v any, want []byte) bool {
	got, err := json.Marshal(v)
	return err == nil && bytes.Equal(got, want)
}

func TestAttachments(t *testing.T) {
	s := start(t)
	c := client(t, s)
	data := bytes.Repeat([]byte("팩스"), 50_000)
	id, err := c.Upload(t.Context(), "팩스.pdf", data)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendMessage(t.Context(), haneul, works.File{FileID: id}); err != nil {
		t.Fatal(err)
	}
	if m := s.Messages(haneul); len(m) != 1 || m[0].File != "팩스.pdf" {
		t.Errorf("messages %+v", m)
	}
	got, err := c.Download(t.Context(), id)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := c.Download(t.Context(), "unknown"); !works.IsNotFound(err) {
		t.Errorf("an unknown file: %v", err)
	}
	if _, err := c.Upload(t.Context(), "virus.EXE", data); err == nil {
		t.Error("a blocked kind of file was taken")
	}
	if err := c.SendMessage(t.Context(), haneul, works.File{FileID: "never-uploaded"}); err == nil {
		t.Error("a file that was never uploaded was sent")
	}
}

// A storage address that leads elsewhere must not be shown the token.
func TestTokenGoesToStorageHostsAlone(t *testing.T) {
	elsewhere := make(chan string, 8)
	foreign := newServer(t, func(_ http.ResponseWriter, r *http.Request) { elsewhere <- r.Header.Get("Authorization") })
	s := start(t)
	// The API's answers name the base URL that the simulator believes in.
	liar := start(t, func(c *sim.Config) { c.BaseURL = foreign })
	addr := liar.ListenAddr()
	c := client(t, s, func(cfg *works.Config) {
		cfg.APIURL, cfg.AuthURL = "http://"+addr+"/v1.0", "http://"+addr+"/oauth2/v2.0"
	})
	if _, err := c.Upload(t.Context(), "a.pdf", []byte("x")); err == nil || !strings.Contains(err.Error(), "storage host") {
		t.Errorf("error %v, want a refusal of the storage host", err)
	}
	if len(elsewhere) != 0 {
		t.Errorf("the foreign host was shown %q", <-elsewhere)
	}
}

func TestClientSurvivesRevokedTokens(t *testing.T) {
	s := start(t)
	c := client(t, s)
	for range 3 {
		if err := c.SendMessage(t.Context(), haneul, card()); err != nil {
			t.Fatal(err)
		}
		s.RevokeTokens()
	}
	if n := s.Calls("token"); n != 3 {
		t.Errorf("%d tokens, want 3", n)
	}
	if n := len(s.Messages(haneul)); n != 3 {
		t.Errorf("%d messages, want 3", n)
	}
}

// Acceptance 5: whatever the service does, sending costs the caller nothing,
// and what waits is bounded.
func TestQueueAgainstFaultsOfTheService(t *testing.T) {
	for name, fault := range map[string]sim.Fault{
		"500":   {Operation: "bot.message.user", Status: 500},
		"429":   {Operation: "bot.message.user", Status: 429, Reset: 60},
		"hang":  {Operation: "bot.message.user", Hang: true},
		"abort": {Operation: "bot.message.user", Abort: true},
		"token": {Operation: "token", Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.SetFault(fault)
			q := works.NewQueue(client(t, s), works.QueueOptions{Limit: 16})
			defer q.Close()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for range 500 {
					q.Send(works.Message{To: haneul, Content: card()})
				}
			}()
			select {
			case <-sent:
			case <-time.After(patience):
				t.Fatal("Send blocks")
			}
			if st := q.Stats(); st.Waiting > 16 || st.Sending > 4 {
				t.Errorf("stats %+v: more than the limits", st)
			}
			if n := len(s.Messages(haneul)); n != 0 {
				t.Errorf("%d messages arrived", n)
			}
		})
	}
}

func TestQueueRecoversWhenTheServiceDoes(t *testing.T) {
	s := start(t)
	s.SetFault(sim.Fault{Operation: "bot.message.user", Times: 2, Status: 429, Reset: 1})
	s.SetFault(sim.Fault{Operation: "token", Times: 1, Status: 503})
	q := works.NewQueue(client(t, s), works.QueueOptions{})
	defer q.Close()
	var mu sync.Mutex
	var errs []error
	for range 8 {
		q.Send(works.Message{To: haneul, Content: card(), Done: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := q.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(errs...); err != nil || len(errs) != 8 {
		t.Errorf("%d outcomes, %v", len(errs), err)
	}
	if n := len(s.Messages(haneul)); n != 8 {
		t.Errorf("%d messages, want each of the 8 once", n)
	}
}
