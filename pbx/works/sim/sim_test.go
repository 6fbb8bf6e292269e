package sim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second

const (
	botID  = 2000001
	domain = 40029600
	haneul = "haneul@acme.example"
	bada   = "bada@acme.example"
)

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

func company() sim.Config {
	user := func(email, last, first, locale string) works.User {
		return works.User{UserID: sim.UserID(email), Email: email, Name: works.PersonName{Last: last, First: first}, Locale: locale, DomainID: domain}
	}
	return sim.Config{
		Apps: []sim.App{{
			ClientID: "demo-client", ClientSecret: "demo-secret", ServiceAccount: "pbx.serviceaccount@acme.example",
			PublicKey: serviceKey(), DomainID: domain,
		}},
		Bots: []sim.Bot{
			{BotID: botID, Name: "DIPCAST", Secret: "bot-secret", DomainID: domain},
			{BotID: 2000002, Name: "Other company", Secret: "other-secret", DomainID: 99},
			{BotID: 2000003, Name: "For one", Secret: "third-secret", DomainID: domain, Members: []string{bada}},
		},
		Users: []works.User{user(haneul, "김", "하늘", "ko_KR"), user(bada, "이", "바다", "en_US")},
	}
}

func start(t *testing.T, change ...func(*sim.Config)) *sim.Server {
	t.Helper()
	cfg := company()
	for _, c := range change {
		c(&cfg)
	}
	s, err := sim.New(cfg)
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
	return s
}

func clientConfig(s *sim.Server) works.Config {
	return works.Config{
		APIURL: s.APIURL(), AuthURL: s.AuthURL(), BotID: botID, DomainID: domain, ClientID: "demo-client", ClientSecret: "demo-secret",
		ServiceAccount: "pbx.serviceaccount@acme.example", PrivateKey: serviceKey(), BotSecret: "bot-secret",
		Scopes: []string{"bot", "bot.read", "user.read", "contact.read"},
	}
}

func client(t *testing.T, s *sim.Server, change ...func(*works.Config)) *works.Client {
	t.Helper()
	cfg := clientConfig(s)
	for _, c := range change {
		c(&cfg)
	}
	transport := &http.Transport{}
	c, err := works.New(cfg, works.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

// card is a card like the bot's.
func card() works.Buttons {
	return works.Buttons{
		Words: works.Words{Text: "외부 전화 010-1234-5678", I18n: map[works.Language]string{works.English: "External call 010-1234-5678"}},
		Actions: []works.Action{
			works.Press{Label: works.Words{Text: "내 모바일로 당겨 받기", I18n: map[works.Language]string{works.English: "To my mobile"}}, Postback: "v1.mobile"},
			works.Press{Label: works.Plain("M2C 발신 하기"), Postback: "v1.m2c"},
			works.Link{Label: works.Plain("DIPCAST WEB"), URI: "https://acme.pbx.example.com/calls/1"},
		},
	}
}

// callbackTo is the PBX's side: it hands over every callback.
type received struct {
	header http.Header
	body   []byte
}

func receiver(t *testing.T, s *sim.Server, status int) <-chan received {
	t.Helper()
	got := make(chan received, 16)
	srv := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- received{r.Header, body}
		w.WriteHeader(status)
	})
	url := srv + "/works/callback"
	if err := client(t, s).PatchBot(t.Context(), works.BotPatch{CallbackURL: &url}); err != nil {
		t.Fatal(err)
	}
	return got
}

func next(t *testing.T, ch <-chan received) received {
	t.Helper()
	select {
	case r := <-ch:
		return r
	case <-time.After(patience):
		t.Fatal("no callback came")
		return received{}
	}
}

// get requests a page of the simulator.
func get(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}
