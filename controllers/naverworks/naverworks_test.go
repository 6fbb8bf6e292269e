package naverworks_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/naverworks"
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys are made once: they are slow to make.
var keys = sync.OnceValue(func() [2]string {
	var out [2]string
	for i := range out {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(err)
		}
		out[i] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return out
})

const (
	clientSecret = "the-client-secret-of-acme"
	botSecret    = "the-bot-secret-of-acme"
)

func company(t *testing.T, change func(*sim.Config)) *sim.Server {
	t.Helper()
	cfg := sim.Config{
		Apps: []sim.App{{
			ClientID: "acme", ClientSecret: clientSecret, ServiceAccount: "pbx.serviceaccount@acme.example",
			PublicKey: keys()[0], DomainID: 40029600,
		}},
		Bots: []sim.Bot{{BotID: 2000001, Name: "전화", Secret: botSecret, DomainID: 40029600}},
	}
	if change != nil {
		change(&cfg)
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

func botOf(s *sim.Server) *v1alpha1.NaverWorksBot {
	return &v1alpha1.NaverWorksBot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-bot"},
		Spec: v1alpha1.NaverWorksBotSpec{
			TenantRef: v1alpha1.LocalRef{Name: "acme"}, BotID: 2000001, DomainID: 40029600,
			CredentialsRef: v1alpha1.LocalRef{Name: "acme-works"},
			Endpoints:      v1alpha1.BotEndpoints{API: s.APIURL(), Auth: s.AuthURL()},
		},
	}
}

func secret() map[string][]byte {
	return map[string][]byte{
		"client-id": []byte("acme\n"), "client-secret": []byte(clientSecret), "service-account": []byte("pbx.serviceaccount@acme.example"),
		"private-key": []byte(keys()[0]), "bot-secret": []byte(botSecret),
	}
}

func none() string { return "" }

func line(t *testing.T) (*naverworks.Clients, *naverworks.Transport) {
	t.Helper()
	transport := naverworks.NewTransport(none)
	t.Cleanup(transport.CloseIdleConnections)
	return naverworks.NewClients(transport, time.Now, slog.New(slog.DiscardHandler)), transport
}

// once ends the patience of a request when the first answer has come after
// which the client would try again.
type once struct {
	http.RoundTripper
	enough func()
}

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.RoundTripper.RoundTrip(r)
	if err != nil {
		o.enough()
	} else if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
		resp.Body = closer{resp.Body, o.enough}
	}
	return resp, err
}

type closer struct {
	io.ReadCloser
	closed func()
}

func (c closer) Close() error {
	defer c.closed()
	return c.ReadCloser.Close()
}

// answer is one answer of the service, to the real client over HTTP.
type answer struct {
	name     string
	company  func(*sim.Config)
	fault    func(*sim.Server)
	bot      func(*v1alpha1.NaverWorksBot)
	secret   func(map[string][]byte)
	do       func(context.Context, *works.Client) error
	patience time.Duration
	status   metav1.ConditionStatus
	reason   string
	message  string
}

func readBot(ctx context.Context, c *works.Client) error {
	_, err := c.Bot(ctx)
	return err
}

func readUsers(ctx context.Context, c *works.Client) error {
	for _, err := range c.Users(ctx) {
		return err
	}
	return nil
}

func patch(ctx context.Context, c *works.Client) error {
	enable := true
	return c.PatchBot(ctx, works.BotPatch{EnableCallback: &enable})
}

func fault(f sim.Fault) func(*sim.Server) { return func(s *sim.Server) { s.SetFault(f) } }

func testExplain(t *testing.T, rows []answer) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := company(t, tc.company)
			bot, data := botOf(s), secret()
			if tc.bot != nil {
				tc.bot(bot)
			}
			if tc.secret != nil {
				tc.secret(data)
			}
			if tc.fault != nil {
				tc.fault(s)
			}
			ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(tc.patience, time.Minute))
			defer cancel()
			_, transport := line(t)
			clients := naverworks.NewClients(once{transport, cancel}, time.Now, slog.New(slog.DiscardHandler))
			c, _, v := clients.Open(bot, data, true)
			if c == nil {
				t.Fatal(v)
			}
			err := tc.do(ctx, c)
			if err == nil {
				t.Fatal("no error")
			}
			got := naverworks.Explain(bot, err)
			if got.Status != tc.status || got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) {
				t.Errorf("%s %s: %s\nwant %s %s: %s\nfor %v", got.Status, got.Reason, got.Message, tc.status, tc.reason, tc.message, err)
			}
			if got.Reason == "RateLimited" && got.RetryAfter != 50*time.Second {
				t.Errorf("retry after %s", got.RetryAfter)
			}
			for _, hidden := range []string{clientSecret, botSecret, "PRIVATE", "another one"} {
				if strings.Contains(got.Message, hidden) {
					t.Errorf("the message holds a secret: %s", got.Message)
				}
			}
			if len(got.Message) > 600 {
				t.Errorf("%d characters: %s", len(got.Message), got.Message)
			}
		})
	}
}

func TestExplainSettings(t *testing.T) {
	t.Parallel()
	testExplain(t, []answer{
		{name: "client secret", secret: func(s map[string][]byte) { s["client-secret"] = []byte("another one") }, do: readBot, status: "False", reason: "Unauthorized", message: "refuses client-id or client-secret of Secret acme/acme-works: copy both again"},
		{name: "client ID", secret: func(s map[string][]byte) { s["client-id"] = []byte("other") }, do: readBot, status: "False", reason: "Unauthorized", message: "refuses client-id or client-secret of Secret acme/acme-works"},
		{name: "private key", secret: func(s map[string][]byte) { s["private-key"] = []byte(keys()[1]) }, do: readBot, status: "False", reason: "Unauthorized", message: "refuses service-account or private-key of Secret acme/acme-works"},
		{name: "service account", secret: func(s map[string][]byte) { s["service-account"] = []byte("x@acme.example") }, do: readBot, status: "False", reason: "Unauthorized", message: "refuses service-account or private-key"},
		{name: "a scope that the app lacks", company: func(c *sim.Config) { c.Apps[0].Scopes = []string{"bot", "bot.read"} }, do: readBot, status: "False", reason: "Forbidden", message: "lacks one of the scopes bot, bot.read, user.read, contact.read: add it in the Developer Console"},
		{name: "no scope to read the bot", bot: func(b *v1alpha1.NaverWorksBot) { b.Spec.Scopes = []string{"bot.message"} }, do: readBot, status: "False", reason: "Forbidden", message: "lacks the scope bot.read for bot.get"},
		{name: "no scope to change the bot", bot: func(b *v1alpha1.NaverWorksBot) { b.Spec.Scopes = []string{"bot.message"} }, do: patch, status: "False", reason: "Forbidden", message: "lacks the scope bot for bot.patch"},
		{name: "no scope to read the directory", bot: func(b *v1alpha1.NaverWorksBot) { b.Spec.Scopes = []string{"bot"} }, do: readUsers, status: "False", reason: "Forbidden", message: "lacks the scope user.read for user.list: add it to the app in the Developer Console, which takes some minutes to work, and to spec.scopes"},
		{name: "another bot", bot: func(b *v1alpha1.NaverWorksBot) { b.Spec.BotID = 2000009 }, do: readBot, status: "False", reason: "Forbidden", message: "denies bot 2000009 to this app: add the bot under Admin > Service > Bot"},
		{name: "another domain", bot: func(b *v1alpha1.NaverWorksBot) { b.Spec.DomainID = 1 }, do: readUsers, status: "False", reason: "Forbidden", message: "denies the directory of domain 1: copy spec.domainID"},
	})
}

func TestExplainFaults(t *testing.T) {
	t.Parallel()
	testExplain(t, []answer{
		{name: "401 to a new token", fault: fault(sim.Fault{Operation: "bot.get", Status: 401}), do: readBot, status: "False", reason: "Unauthorized", message: "refuses the access token although it is new"},
		{name: "403 to the token", fault: fault(sim.Fault{Operation: "token", Status: 403}), do: readBot, status: "False", reason: "Forbidden", message: "issues no access token for Secret acme/acme-works (HTTP 403"},
		{name: "400 to the token", fault: fault(sim.Fault{Operation: "token", Status: 400}), do: readBot, status: "False", reason: "Unauthorized", message: "(HTTP 400 BAD_REQUEST): compare all five keys"},
		{name: "404", fault: fault(sim.Fault{Operation: "bot.get", Status: 404}), do: readBot, status: "False", reason: "NotFound", message: "knows no bot 2000001: copy spec.botID"},
		{name: "400", fault: fault(sim.Fault{Operation: "bot.get", Status: 400}), do: readBot, status: "False", reason: "Invalid", message: "answers HTTP 400 BAD_REQUEST to bot.get"},
		{name: "429", fault: fault(sim.Fault{Operation: "bot.get", Status: 429, Reset: 50}), do: readBot, status: "Unknown", reason: "RateLimited", message: "answers HTTP 429"},
		{name: "429 to the token", fault: fault(sim.Fault{Operation: "token", Status: 429, Reset: 50}), do: readBot, status: "Unknown", reason: "RateLimited", message: "answers HTTP 429"},
		{name: "500", fault: fault(sim.Fault{Operation: "bot.get", Status: 500}), do: readBot, status: "Unknown", reason: "Unreachable", message: "answers HTTP 500 to bot.get: it is asked again by itself"},
		{name: "503 to the token", fault: fault(sim.Fault{Operation: "token", Status: 503}), do: readBot, status: "Unknown", reason: "Unreachable", message: "answers HTTP 503 to token"},
		{name: "silence", fault: fault(sim.Fault{Operation: "bot.get", Hang: true}), do: readBot, patience: time.Second, status: "Unknown", reason: "Unreachable", message: "NAVER WORKS: 127.0.0.1 does not answer in time"},
		{name: "broken off", fault: fault(sim.Fault{Operation: "bot.get", Abort: true}), do: readBot, status: "Unknown", reason: "Unreachable", message: "the connection to 127.0.0.1 breaks off"},
		{name: "refused", bot: func(b *v1alpha1.NaverWorksBot) { b.Spec.Endpoints.Auth = "http://127.0.0.1:1/oauth2" }, do: readBot, status: "Unknown", reason: "Unreachable", message: "127.0.0.1 refuses the connection"},
		{name: "a callback URL that the client refuses to send", do: func(ctx context.Context, c *works.Client) error {
			u := "http://acme.pbx.example.com/works/callback"
			return c.PatchBot(ctx, works.BotPatch{CallbackURL: &u})
		}, status: "False", reason: "Invalid", message: "must be https"},
	})
}

func TestSecrets(t *testing.T) {
	s := company(t, nil)
	for _, tc := range []struct {
		name    string
		spoil   func(map[string][]byte)
		missing bool
		reason  string
		message string
	}{
		{"none", nil, true, "SecretMissing", "there is no Secret acme/acme-works: create it with the keys client-id, client-secret, service-account, private-key, bot-secret"},
		{"a key is missing", func(s map[string][]byte) { delete(s, "bot-secret") }, false, "SecretMissing", "Secret acme/acme-works lacks bot-secret: add what is missing, from the Developer Console"},
		{"keys are empty", func(s map[string][]byte) { s["client-id"], s["private-key"] = []byte(" \n"), nil }, false, "SecretMissing", "Secret acme/acme-works lacks client-id, private-key"},
		{"no PEM", func(s map[string][]byte) { s["private-key"] = []byte("hush") }, false, "SecretInvalid", "PrivateKey is not an RSA key in PEM form"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clients, _ := line(t)
			data := secret()
			if tc.spoil != nil {
				tc.spoil(data)
			}
			c, _, v := clients.Open(botOf(s), data, !tc.missing)
			if c != nil || v.Status != "False" || v.Reason != tc.reason || !strings.Contains(v.Message, tc.message) {
				t.Errorf("%+v", v)
			}
			if strings.Contains(v.Message, "hush") {
				t.Errorf("the message holds a secret: %s", v.Message)
			}
		})
	}
}

func TestClientsFollowTheirSecrets(t *testing.T) {
	s := company(t, nil)
	clients, _ := line(t)
	bot, name := botOf(s), types.NamespacedName{Namespace: "acme", Name: "acme-bot"}
	first, key, _ := clients.Open(bot, secret(), true)
	again, same, _ := clients.Open(bot, secret(), true)
	if first == nil || first != again || key != same {
		t.Error("an unchanged Secret makes another client")
	}
	if _, ok := clients.LastProven(name); ok {
		t.Error("proven before it was")
	}
	clients.Proven(name)
	rotated := secret()
	rotated["client-secret"] = []byte("rotated")
	next, other, _ := clients.Open(bot, rotated, true)
	if next == first || other == key {
		t.Error("a rotated Secret goes on with the old client")
	}
	if cfg, ok := clients.LastProven(name); !ok || cfg.ClientSecret != clientSecret {
		t.Error("the last configuration that was good is forgotten")
	}
	if strings.Contains(key+other, "rotated") {
		t.Error("a key tells a secret")
	}
	clients.Forget(name)
	if _, ok := clients.LastProven(name); ok {
		t.Error("a bot that is gone is remembered")
	}
}

// tenantPBX is the real web of a tenant's PBX.
func tenantPBX(t *testing.T, tenant conf.Tenant, bot string) http.Handler {
	t.Helper()
	w, err := web.New(web.Options{CDRs: struct{ pbx.CDRStore }{}, Control: struct{ pbx.Controller }{}, Config: web.Config{
		Tenant: tenant.Namespace + "/" + tenant.Name, BaseURL: "https://acme.pbx.example.com", SessionKey: make([]byte, 32),
		Callback: web.Callback{BotID: bot, Verify: func([]byte, string) bool { return false }, Mark: tenant.Mark()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w.Handler()
}

func TestCallback(t *testing.T) {
	acme := conf.Tenant{Namespace: "acme", Name: "acme"}
	answers := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
		})
	}
	for _, tc := range []struct {
		name    string
		handler http.Handler
		ok      bool
		reason  string
		message string
	}{
		{"the tenant's PBX", tenantPBX(t, acme, "2000001"), true, "Reachable", "the tenant's PBX answers"},
		{"the tenant's PBX without the bot", tenantPBX(t, acme, ""), false, "Progressing", "has not taken over the bot yet"},
		{"another tenant's PBX", tenantPBX(t, conf.Tenant{Namespace: "other", Name: "acme"}, "2000001"), false, "Conflict", "another tenant's PBX answers: see which Service the Ingress"},
		{"a redirect", answers(308), false, "Unreachable", "is redirected (HTTP 308), and NAVER WORKS follows no redirect"},
		{"an Ingress without a backend", answers(503), false, "Unreachable", "HTTP 503: the Ingress or route of 127.0.0.1 is there and does not reach the PBX"},
		{"another web server", answers(404), false, "Unreachable", "HTTP 404 comes from something that is not the PBX"},
		{"a guard that asks for a password", answers(401), false, "Unreachable", "HTTP 401 comes from something that is not the PBX"},
		{"a broken connection", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), false, "Unreachable", "breaks off"},
		{"a PBX that fails", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(conf.HeaderTenant, acme.Mark())
			w.WriteHeader(http.StatusInternalServerError)
		}), false, "Unreachable", "the tenant's PBX answers HTTP 500 to a callback"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := httptest.NewServer(tc.handler)
			defer s.Close()
			_, transport := line(t)
			got := naverworks.Callback(t.Context(), transport, s.URL+"/works/callback", acme.Mark())
			if got.OK() != tc.ok || got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) {
				t.Errorf("%+v, want %s %q", got, tc.reason, tc.message)
			}
		})
	}
}

func TestCallbackOverTLS(t *testing.T) {
	acme := conf.Tenant{Namespace: "acme", Name: "acme"}
	s := httptest.NewUnstartedServer(tenantPBX(t, acme, "2000001"))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it is to be refused
	s.StartTLS()
	defer s.Close()
	roots := ""
	transport := naverworks.NewTransport(func() string { return roots })
	defer transport.CloseIdleConnections()
	look := func(url string) naverworks.Verdict {
		return naverworks.Callback(t.Context(), transport, url+"/works/callback", acme.Mark())
	}
	if got := look(s.URL); got.Reason != "Insecure" || !strings.Contains(got.Message, "is of no known authority, and NAVER WORKS takes only public ones") {
		t.Errorf("%+v", got)
	}
	roots = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	if got := look(s.URL); !got.OK() {
		t.Errorf("the installation's own authority is not taken over: %+v", got)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	if got := look("https://localhost:" + port); got.Reason != "Insecure" || !strings.Contains(got.Message, "the certificate of localhost is for another name") {
		t.Errorf("%+v", got)
	}
	plain := httptest.NewServer(tenantPBX(t, acme, "2000001"))
	defer plain.Close()
	if got := look("https" + strings.TrimPrefix(plain.URL, "http")); got.OK() || got.Reason != "Insecure" {
		t.Errorf("%+v", got)
	}
	if got := look("https://127.0.0.1:1"); got.Reason != "Unreachable" || !strings.Contains(got.Message, "https://127.0.0.1:1/works/callback: 127.0.0.1 refuses the connection") {
		t.Errorf("%+v", got)
	}
	if got := look("https://no such host"); got.Reason != "Invalid" {
		t.Errorf("%+v", got)
	}
}

// failing fails every request in the same way.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestCallbackWithoutAnAddress(t *testing.T) {
	for _, tc := range []struct {
		err     error
		message string
	}{
		{&net.DNSError{Err: "no such host", Name: "acme.example", IsNotFound: true}, "acme.example has no address: create its DNS record"},
		{&net.DNSError{Err: "server misbehaving", Name: "acme.example"}, "the name server does not answer for acme.example"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "the certificate of acme.example has expired or is not valid yet"},
		{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, "cannot be used for a web server"},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), "acme.example does not answer in time"},
	} {
		got := naverworks.Callback(t.Context(), failing{tc.err}, "https://acme.example/works/callback", "")
		if got.OK() || !strings.Contains(got.Message, tc.message) {
			t.Errorf("%v: %+v", tc.err, got)
		}
	}
}

func TestCheck(t *testing.T) {
	var c naverworks.Check
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	good, busy, wrong := naverworks.Yes("Valid", ""), naverworks.Verdict{Status: "Unknown", Reason: "Unreachable"}, naverworks.No("Forbidden", "")
	const every = 10 * time.Minute
	for i, step := range []struct {
		key   string
		v     naverworks.Verdict
		shown naverworks.Verdict
		wait  time.Duration // with a jitter of 1/2
	}{
		{"a", busy, busy, 5 * time.Second},
		{"a", busy, busy, 10 * time.Second},
		{"a", good, good, every},
		{"a", busy, good, 5 * time.Second},  // may pass
		{"a", busy, good, 10 * time.Second}, // may pass
		{"a", busy, busy, 20 * time.Second}, // does not
		{"a", good, good, every},
		{"a", wrong, wrong, 5 * time.Second}, // is told at once
		{"a", good, good, every},
		{"b", busy, busy, 5 * time.Second}, // of something else nothing is known
		{"b", naverworks.Verdict{Status: "Unknown", Reason: "RateLimited", RetryAfter: time.Minute}, naverworks.Verdict{Status: "Unknown", Reason: "RateLimited", RetryAfter: time.Minute}, time.Minute},
	} {
		if got := c.Done(step.key, now, step.v, every, 0.5); got != step.shown || c.Shown() != step.shown {
			t.Errorf("step %d: shows %+v, want %+v", i, got, step.shown)
		}
		if got := c.Wait(now); got != step.wait {
			t.Errorf("step %d: waits %s, want %s", i, got, step.wait)
		}
		if c.Fresh("other", now) || !c.Fresh(step.key, now.Add(step.wait-1)) || c.Fresh(step.key, now.Add(step.wait)) {
			t.Errorf("step %d: is due at the wrong time", i)
		}
		if c.Stood(step.key) != step.shown.OK() || c.Stood("other") {
			t.Errorf("step %d: stands wrongly", i)
		}
	}
	for range 30 {
		c.Done("b", now, wrong, every, 0.999)
	}
	if got := c.Wait(now); got > every*5/4 || got < every {
		t.Errorf("after many failures it waits %s", got)
	}
	if c.Wait(now.Add(time.Hour)) <= 0 {
		t.Error("an overdue look waits no moment at all")
	}
	c.Postpone("c", now, good, time.Minute)
	if !c.Fresh("c", now.Add(59*time.Second)) || c.Fresh("c", now.Add(time.Minute)) || !c.Shown().OK() {
		t.Error("not postponed")
	}
}
