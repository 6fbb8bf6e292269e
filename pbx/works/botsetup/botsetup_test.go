package botsetup_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/botsetup"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bot = 2000001

var serviceKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

func wanted() botsetup.Wanted {
	return botsetup.Wanted{CallbackURL: "https://acme.pbx.example.com/works/callback", ConsoleURL: "https://acme.pbx.example.com/"}
}

// bench is a simulated company and a client of its bot.
func bench(t *testing.T) (*sim.Server, *works.Client) {
	t.Helper()
	s, err := sim.New(sim.Config{
		RatePerMinute: -1,
		Apps:          []sim.App{{ClientID: "client", ClientSecret: "secret", ServiceAccount: "pbx@acme.example", PublicKey: serviceKey(), DomainID: 1}},
		Bots:          []sim.Bot{{BotID: bot, Name: "DIPCAST", Secret: "hmac", DomainID: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := works.New(config(s), works.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return s, c
}

func config(s *sim.Server) works.Config {
	return works.Config{
		APIURL: s.APIURL(), AuthURL: s.AuthURL(), BotID: bot, DomainID: 1, ClientID: "client", ClientSecret: "secret",
		ServiceAccount: "pbx@acme.example", PrivateKey: serviceKey(), BotSecret: "hmac", Scopes: []string{"bot"},
	}
}

func ensure(t *testing.T, c *works.Client, changes bool) {
	t.Helper()
	if changed, err := botsetup.Ensure(t.Context(), c, wanted()); err != nil || changed != changes {
		t.Errorf("changed %t, %v; want %t", changed, err, changes)
	}
}

func clearBot(t *testing.T, c *works.Client) {
	t.Helper()
	if err := botsetup.Clear(t.Context(), c, wanted()); err != nil {
		t.Error(err)
	}
}

func settings(s *sim.Server) works.Bot {
	b, _ := s.BotSettings(bot)
	return b
}

func changes(s *sim.Server) int {
	return s.Calls("bot.patch") + s.Calls("bot.menu.set") + s.Calls("bot.menu.delete")
}

func TestEnsureChangesOnlyWhatDiffers(t *testing.T) {
	s, c := bench(t)
	ensure(t, c, true)
	if b := settings(s); !b.EnableCallback || b.CallbackURL != wanted().CallbackURL || s.Menu(bot) == nil {
		t.Errorf("bot %+v, menu %s", b, s.Menu(bot))
	}
	done := changes(s)
	ensure(t, c, false)
	if n := changes(s); done != 2 || n != done {
		t.Errorf("%d changes, then %d: want 2, and none", done, n-done)
	}
	disabled, foreign := false, "https://elsewhere.example/"
	for name, p := range map[string]works.BotPatch{
		"disabled":         {EnableCallback: &disabled},
		"another URL":      {CallbackURL: &foreign},
		"another event":    {CallbackEvents: []string{"text", "image"}},
		"a channel's less": {ChannelEvents: []string{"message"}},
	} {
		s.ChangeBot(bot, p)
		before := s.Calls("bot.menu.set")
		ensure(t, c, true)
		ensure(t, c, false)
		if n := s.Calls("bot.menu.set"); n != before {
			t.Errorf("%s: the menu was set again", name)
		}
	}
	s.ChangeBot(bot, works.BotPatch{ChannelEvents: []string{"postback", "message"}})
	ensure(t, c, false) // the order says nothing
	patches := s.Calls("bot.patch")
	for _, menu := range []string{
		`{"content":{"actions":[{"type":"uri","label":"DIPCAST WEB","uri":"https://elsewhere.example/"}]}}`,
		`{"content":{"actions":[{"type":"copy","label":"DIPCAST WEB","copyText":"x"}]}}`,
	} {
		s.ChangeMenu(bot, json.RawMessage(menu))
		ensure(t, c, true)
		ensure(t, c, false)
	}
	if n := s.Calls("bot.patch"); n != patches {
		t.Error("the callback was set again for the menu's sake")
	}
}

func TestEnsureOfOnePartLeavesTheOther(t *testing.T) {
	s, c := bench(t)
	if changed, err := botsetup.Ensure(t.Context(), c, botsetup.Wanted{CallbackURL: wanted().CallbackURL}); !changed || err != nil || s.Menu(bot) != nil {
		t.Errorf("changed %t, %v, menu %s", changed, err, s.Menu(bot))
	}
	if changed, err := botsetup.Ensure(t.Context(), c, botsetup.Wanted{}); changed || err != nil {
		t.Errorf("changed %t, %v", changed, err)
	}
}

func TestClearTakesBackOnlyOurs(t *testing.T) {
	s, c := bench(t)
	clearBot(t, c) // nothing is there
	if n := changes(s); n != 0 {
		t.Errorf("%d changes of an untouched bot", n)
	}
	ensure(t, c, true)
	clearBot(t, c)
	if b := settings(s); b.EnableCallback || b.CallbackURL != "" || s.Menu(bot) != nil {
		t.Errorf("bot %+v, menu %s", b, s.Menu(bot))
	}
	ensure(t, c, true)
	foreign := "https://elsewhere.example/"
	menu := json.RawMessage(`{"content":{"actions":[{"type":"uri","label":"DIPCAST WEB","uri":"https://acme.pbx.example.com/"},{"type":"copy","label":"x","copyText":"y"}]}}`)
	s.ChangeBot(bot, works.BotPatch{CallbackURL: &foreign})
	s.ChangeMenu(bot, menu)
	before := changes(s)
	clearBot(t, c)
	if b := settings(s); b.CallbackURL != foreign || !b.EnableCallback || string(s.Menu(bot)) != string(menu) || changes(s) != before {
		t.Errorf("somebody else's settings were changed: %+v, menu %s", b, s.Menu(bot))
	}
}

func TestClearOfABotThatIsGone(t *testing.T) {
	s, c := bench(t)
	ensure(t, c, true)
	s.SetFault(sim.Fault{Operation: "bot.get", Status: http.StatusNotFound})
	s.SetFault(sim.Fault{Operation: "bot.menu.get", Status: http.StatusNotFound})
	clearBot(t, c)
}

// Whoever retries has to know why it failed.
func TestErrorsAreToldApart(t *testing.T) {
	api := func(status int) func(*sim.Server, *works.Config) {
		return func(s *sim.Server, _ *works.Config) {
			s.SetFault(sim.Fault{Operation: "bot.get", Status: status, Reset: 7, Times: 2})
		}
	}
	for name, tc := range map[string]struct {
		spoil     func(*sim.Server, *works.Config)
		operation string
		status    int
		refused   bool
	}{
		"wrong client":          {func(_ *sim.Server, c *works.Config) { c.ClientID = "nobody" }, works.OperationToken, 401, true},
		"wrong secret":          {func(_ *sim.Server, c *works.Config) { c.ClientSecret = "guess" }, works.OperationToken, 401, true},
		"wrong service account": {func(_ *sim.Server, c *works.Config) { c.ServiceAccount = "x@acme.example" }, works.OperationToken, 400, true},
		"scope of another app":  {func(_ *sim.Server, c *works.Config) { c.Scopes = []string{"mail"} }, works.OperationToken, 400, true},
		"credentials deleted":   {func(s *sim.Server, _ *works.Config) { s.Bar("client", true) }, works.OperationToken, 401, true},
		"scope too small":       {func(_ *sim.Server, c *works.Config) { c.Scopes = []string{"user.read"} }, "bot.get", 403, false},
		"another bot":           {func(_ *sim.Server, c *works.Config) { c.BotID = 5 }, "bot.get", 403, false},
		"the API refuses twice": {api(401), "bot.get", 401, true},
		"the API forbids":       {api(403), "bot.get", 403, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := bench(t)
			cfg := config(s)
			tc.spoil(s, &cfg)
			c, err := works.New(cfg, works.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			changed, err := botsetup.Ensure(t.Context(), c, wanted())
			var e *works.APIError
			if changed || !errors.As(err, &e) || e.Operation != tc.operation || e.Status != tc.status || works.CredentialsRefused(err) != tc.refused {
				t.Errorf("changed %t, %v; want %s %d, credentials refused %t", changed, err, tc.operation, tc.status, tc.refused)
			}
		})
	}
}

// A rate limit carries when to come again; the client itself waits as long as
// its context does.
func TestRateLimit(t *testing.T) {
	s, c := bench(t)
	s.SetFault(sim.Fault{Operation: "token", Status: http.StatusTooManyRequests, Reset: 60})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := botsetup.Ensure(ctx, c, wanted())
	var e *works.APIError
	if !errors.As(err, &e) || e.Status != http.StatusTooManyRequests || e.RetryAfter != time.Minute || works.CredentialsRefused(err) {
		t.Errorf("error %v", err)
	}
}

func TestEnsureTellsOfTheChangeBeforeTheFailure(t *testing.T) {
	s, c := bench(t)
	s.SetFault(sim.Fault{Operation: "bot.menu.set", Status: http.StatusForbidden})
	if changed, err := botsetup.Ensure(t.Context(), c, wanted()); !changed || err == nil {
		t.Errorf("changed %t, %v", changed, err)
	}
}
