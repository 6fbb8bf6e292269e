package sim_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/dipcast/dipcast/pbx/works/sim"
)

const redirect = "http://127.0.0.1:9/signin/callback"

// login gets an authorization code for a user.
func login(t *testing.T, s *sim.Server, set ...string) *http.Response {
	t.Helper()
	q := url.Values{
		"client_id": {"demo-client"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid profile email"},
		"state": {"st&te"}, "nonce": {"n-1"}, "login_hint": {haneul},
	}
	for i := 0; i+1 < len(set); i += 2 {
		if q.Set(set[i], set[i+1]); set[i+1] == "" {
			q.Del(set[i])
		}
	}
	resp, _ := get(t, "GET", s.AuthURL()+"/authorize?"+q.Encode(), "")
	return resp
}

func codeOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound || u.Query().Get("state") != "st&te" || !strings.HasPrefix(u.String(), redirect+"?") {
		t.Fatalf("%d to %q: %v", resp.StatusCode, u, err)
	}
	return u.Query().Get("code")
}

func TestSignInWithAnOrdinaryLibrary(t *testing.T) {
	s := start(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: transport})
	provider, err := oidc.NewProvider(ctx, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	app := oauth2.Config{ClientID: "demo-client", ClientSecret: "demo-secret", Endpoint: provider.Endpoint(), RedirectURL: redirect}
	token, err := app.Exchange(ctx, codeOf(t, login(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: "demo-client"}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Email, Name, Locale string }
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if id.Subject != sim.UserID(haneul) || id.Nonce != "n-1" || claims.Email != haneul || claims.Name != "김하늘" || claims.Locale != "ko_KR" {
		t.Errorf("ID token %+v, %+v", id, claims)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	if life := id.Expiry.Sub(id.IssuedAt); life != time.Hour {
		t.Errorf("the ID token lives %v, want an hour", life)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != id.Subject || info.Email != haneul {
		t.Errorf("user info %+v, %v", info, err)
	}
	if resp, body := get(t, "GET", s.APIURL()+"/users/"+haneul, "", "Authorization", "Bearer "+token.AccessToken); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a sign-in may read the directory: %d %s", resp.StatusCode, body)
	}
	if resp, body := get(t, "POST", s.APIURL()+"/bots/2000001/users/"+haneul+"/messages", "{}", "Authorization", "Bearer "+token.AccessToken); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a sign-in may send: %d %s", resp.StatusCode, body)
	}
}

func TestCodesAreStrict(t *testing.T) {
	now := time.Now()
	s := start(t, func(c *sim.Config) {
		c.Now = func() time.Time { return now }
		other := c.Apps[0]
		other.ClientID = "other-client"
		c.Apps = append(c.Apps, other)
	})
	verifier := strings.Repeat("v", 43)
	h := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(h[:])
	exchange := func(code string, set ...string) int {
		status, _ := requestToken(t, s, tokenForm("", append([]string{
			"grant_type", "authorization_code", "code", code, "redirect_uri", redirect,
		}, set...)...))
		return status
	}
	if status := exchange(codeOf(t, login(t, s))); status != 200 {
		t.Errorf("a right exchange: %d", status)
	}
	code := codeOf(t, login(t, s))
	if a, b := exchange(code), exchange(code); a != 200 || b != 400 {
		t.Errorf("the same code twice: %d, %d", a, b)
	}
	if status := exchange(codeOf(t, login(t, s)), "redirect_uri", redirect+"/"); status != 400 {
		t.Errorf("another redirect_uri: %d", status)
	}
	if status := exchange(codeOf(t, login(t, s)), "client_id", "other-client"); status != 400 {
		t.Errorf("another client: %d", status)
	}
	if status := exchange(codeOf(t, login(t, s)), "client_secret", "x"); status != 401 {
		t.Errorf("another secret: %d", status)
	}
	pkce := []string{"code_challenge", challenge, "code_challenge_method", "S256"}
	if a, b := exchange(codeOf(t, login(t, s, pkce...)), "code_verifier", verifier), exchange(codeOf(t, login(t, s, pkce...))); a != 200 || b != 400 {
		t.Errorf("PKCE: %d with the verifier, %d without", a, b)
	}
	code = codeOf(t, login(t, s))
	now = now.Add(10 * time.Minute)
	if status := exchange(code); status != 400 {
		t.Errorf("after ten minutes: %d", status)
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	s := start(t, func(c *sim.Config) { c.Apps[0].RedirectURIs = []string{redirect} })
	for _, test := range []struct {
		name  string
		set   []string
		wants string // error sent back; "" = none may be sent anywhere
	}{
		{"unknown client", []string{"client_id", "x"}, ""},
		{"foreign address", []string{"redirect_uri", "https://evil.example/"}, ""},
		{"address with more", []string{"redirect_uri", redirect + "/x"}, ""},
		{"no address", []string{"redirect_uri", ""}, ""},
		{"implicit flow", []string{"response_type", "token"}, "unsupported_response_type"},
		{"no openid", []string{"scope", "email"}, "invalid_scope"},
	} {
		resp := login(t, s, test.set...)
		u, _ := url.Parse(resp.Header.Get("Location"))
		if test.wants == "" && (resp.StatusCode != http.StatusBadRequest || u.String() != "") {
			t.Errorf("%s: %d to %q, want 400 and no redirect", test.name, resp.StatusCode, u)
		}
		if test.wants != "" && u.Query().Get("error") != test.wants {
			t.Errorf("%s: %d to %q, want %s", test.name, resp.StatusCode, u, test.wants)
		}
	}
}

func TestSignInPageEscapes(t *testing.T) {
	s := start(t)
	q := url.Values{"client_id": {"demo-client"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {`"><script>alert(1)</script>`}}
	resp, body := get(t, "GET", s.AuthURL()+"/authorize?"+q.Encode(), "")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "김하늘") || !strings.Contains(body, "이바다") {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if strings.Contains(body, "<script") {
		t.Error("the state became markup")
	}
	if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "script-src 'self'") {
		t.Error("no policy")
	}
}

func TestDiscoveryUsesTheRequestsHostWithoutABaseURL(t *testing.T) {
	cfg := company()
	s, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	base := newServer(t, s.ServeHTTP)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx := oidc.ClientContext(context.Background(), &http.Client{Transport: transport})
	if _, err := oidc.NewProvider(ctx, base); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
