package server

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works/sim"
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

// TestTrustedCAs: a NAVER WORKS behind a CA of the document's is reached, by
// the bot and by the sign-in, as soon as the document names the CA.
func TestTrustedCAs(t *testing.T) {
	lender := httptest.NewTLSServer(http.NotFoundHandler()) // lends its certificate
	lender.Close()
	company, err := sim.New(sim.Config{
		TLS:  lender.TLS,
		Apps: []sim.App{{ClientID: "client", ClientSecret: "secret", ServiceAccount: "pbx@acme.example", PublicKey: serviceKey(), DomainID: 1}},
		Bots: []sim.Bot{{BotID: 1, Name: "DIPCAST", Secret: "hmac", DomainID: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := company.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := company.Close(); err != nil {
			t.Error(err)
		}
	})
	leavesNothing(t, func(t *testing.T) {
		d := guarded()
		d.Bot = &conf.Bot{
			BotID: 1, DomainID: 1, APIURL: company.APIURL(), AuthURL: company.AuthURL(), IssuerURL: company.URL(), Scopes: []string{"bot"},
			Credentials: conf.Credentials{
				ClientID: "client", ClientSecret: "secret", ServiceAccount: "pbx@acme.example", PrivateKey: conf.Secret(serviceKey()), BotSecret: "hmac",
			},
		}
		r := run(t, d)
		if to := r.signIn(); to != "" {
			t.Errorf("an unknown CA is trusted by the sign-in, which leads to %s", to)
		}
		d = clone(t, d)
		d.Generation = "2"
		d.TrustedCAs = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lender.Certificate().Raw}))
		plan, err := r.Apply(d)
		if err != nil || plan[PartBot] != Update || plan[PartWeb] != Update || len(plan.Restarts()) > 0 {
			t.Fatalf("plan %v, %v", plan, err)
		}
		if to := r.signIn(); !strings.HasPrefix(to, company.AuthURL()+"/authorize?") {
			t.Errorf("the sign-in leads to %q", to)
		}
		if err := r.ManageBot(within(t), "https://acme.pbx.example"); err != nil {
			t.Error(err)
		}
		if b, _ := company.BotSettings(1); b.CallbackURL != "https://acme.pbx.example/works/callback" {
			t.Errorf("bot %+v", b)
		}
	})
}

// signIn is where the sign-in leads, "" if it does not.
func (r *running) signIn() string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(within(r.t), http.MethodGet, "http://"+r.HTTPAddr()+"/sign-in/start", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if to := res.Header.Get("Location"); res.StatusCode/100 == 3 && strings.HasPrefix(to, "https://127.0.0.1") {
		return to
	}
	return ""
}
