package web_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// person is a browser without a screen.
type person struct {
	t      *testing.T
	client *http.Client
}

func newPerson(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &person{t: t, client: &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}}
}

func (p *person) get(target string, header ...string) (int, string, *http.Response) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, target, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp
}

// signIn goes the whole way over the simulated provider.
func (p *person) signIn(b *bench, email, next string) *http.Response {
	p.t.Helper()
	follow := p.client.CheckRedirect
	p.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/authorize") && r.URL.Query().Get("login_hint") == "" {
			q := r.URL.Query()
			q.Set("login_hint", email)
			r.URL.RawQuery = q.Encode()
		}
		return nil
	}
	defer func() { p.client.CheckRedirect = follow }()
	_, _, resp := p.get(b.http.URL + "/sign-in/start?next=" + url.QueryEscape(next))
	return resp
}

// TestTenantWalls: who sees what, over the whole way of a real sign-in.
func TestTenantWalls(t *testing.T) {
	b := newBench(t)
	company(t, b)
	for _, tt := range []struct {
		email string
		sees  []string // calls
		not   []string
	}{
		{"haneul@acme.example", []string{"call-pulled", "call-missed", "call-live"}, []string{"call-of-102", "no-such-call", "..%2f"}},
		{"bada@acme.example", []string{"call-pulled", "call-of-102", "call-internal"}, []string{"call-missed", "call-live", "call-hostile"}},
		{"admin@acme.example", []string{"call-pulled", "call-of-102", "call-live"}, []string{"no-such-call"}},
	} {
		t.Run(tt.email, func(t *testing.T) {
			p := newPerson(t)
			if resp := p.signIn(b, tt.email, "/"); resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
				t.Fatalf("the sign-in ended at %s with %d", resp.Request.URL, resp.StatusCode)
			}
			_, list, _ := p.get(b.http.URL + "/")
			for _, id := range tt.sees {
				if status, _, _ := p.get(b.http.URL + "/calls/" + id); status != 200 {
					t.Errorf("%s is answered %d", id, status)
				}
				if !strings.Contains(list, "/calls/"+id) {
					t.Errorf("%s is not in the list", id)
				}
			}
			_, unknown, _ := p.get(b.http.URL + "/calls/not-there")
			for _, id := range tt.not {
				status, body, _ := p.get(b.http.URL + "/calls/" + id)
				// What exists and what does not look the same but for the address itself.
				if status != 404 || strings.ReplaceAll(body, id, "not-there") != unknown && id != "..%2f" {
					t.Errorf("%s is answered %d, and not like a call that does not exist", id, status)
				}
				if strings.Contains(list, "/calls/"+id+"\"") {
					t.Errorf("%s is in the list", id)
				}
			}
		})
	}
}

// TestRightsFollowConfiguration: a session gives nothing by itself.
func TestRightsFollowConfiguration(t *testing.T) {
	b := newBench(t)
	company(t, b)
	p := newPerson(t)
	p.signIn(b, "haneul@acme.example", "/")
	c := b.config
	c.Extensions = []web.Extension{{Number: "102", WorksUser: "haneul@acme.example"}}
	if err := b.server.Apply(c); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := p.get(b.http.URL + "/calls/call-missed"); status != 404 {
		t.Errorf("the old extension's call is answered %d", status)
	}
	if status, _, _ := p.get(b.http.URL + "/calls/call-of-102"); status != 200 {
		t.Errorf("the new extension's call is answered %d", status)
	}
	c.Extensions = nil
	if err := b.server.Apply(c); err != nil {
		t.Fatal(err)
	}
	if status, body, _ := p.get(b.http.URL + "/"); status != 403 || !strings.Contains(body, "haneul@acme.example") {
		t.Errorf("without an extension the history is answered %d", status)
	}
	c.SessionKey = []byte("another key of thirty-two bytes!!")
	if err := b.server.Apply(c); err != nil {
		t.Fatal(err)
	}
	if _, _, resp := p.get(b.http.URL + "/"); resp.Request.URL.Path != "/sign-in" {
		t.Errorf("a session under another key leads to %s", resp.Request.URL)
	}
	c.SessionKey = []byte("short")
	if err := b.server.Apply(c); err == nil {
		t.Error("a short session key was accepted")
	}
}

// TestForgedSessions: cookies that we did not sign, or signed for another
// tenant or purpose, are nobody's.
func TestForgedSessions(t *testing.T) {
	b := newBench(t)
	company(t, b)
	other := newBench(t, func(o *web.Options) {
		o.Config.Tenant = "beta/beta"
		o.Config.OIDC.IssuerURL = b.sim.URL()
	})
	p, q := newPerson(t), newPerson(t)
	p.signIn(b, "haneul@acme.example", "/")
	q.signIn(other, "haneul@acme.example", "/")
	mine := sessionOf(t, p, b.http.URL)
	theirs := sessionOf(t, q, other.http.URL)
	body, sig, _ := strings.Cut(mine.Value, ".")
	admin := base64.RawURLEncoding.EncodeToString([]byte(`{"i":"` + sim.UserID("admin@acme.example") + `","x":9999999999}`))
	for name, value := range map[string]string{
		"another tenant's": theirs.Value, "altered": admin + "." + sig, "unsigned": admin, "empty signature": admin + ".",
		"cut": body[:len(body)-2] + "." + sig, "huge": strings.Repeat("A", 8000), "nothing": "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/calls/call-pulled", nil)
		r.AddCookie(&http.Cookie{Name: mine.Name, Value: value})
		w := httptest.NewRecorder()
		b.server.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/sign-in?") {
			t.Errorf("%s cookie is answered %d %s", name, w.Code, w.Header())
		}
	}
}

func sessionOf(t *testing.T, p *person, base string) *http.Cookie {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.client.Jar.Cookies(u) {
		if strings.Contains(c.Name, "session") {
			return c
		}
	}
	t.Fatal("there is no session")
	return nil
}

func TestSessionEnds(t *testing.T) {
	now := time.Now()
	b := newBench(t, func(o *web.Options) { o.Now = func() time.Time { return now } })
	p := newPerson(t)
	p.signIn(b, "haneul@acme.example", "/")
	now = now.Add(12*time.Hour + time.Second)
	if _, _, resp := p.get(b.http.URL + "/"); resp.Request.URL.Path != "/sign-in" {
		t.Errorf("after twelve hours the history leads to %s", resp.Request.URL)
	}
}

func TestSignInRefusals(t *testing.T) {
	b := newBench(t)
	p := newPerson(t)
	if status, _, _ := p.get(b.http.URL + "/sign-in/callback?code=x&state=y"); status != 403 {
		t.Errorf("an answer nobody asked for is answered %d", status)
	}
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, _, resp := p.get(b.http.URL + "/sign-in/start?next=//evil.example")
	if where := resp.Header.Get("Location"); !strings.HasPrefix(where, b.sim.AuthURL()) || strings.Contains(where, "app-secret") {
		t.Errorf("the sign-in leads to %s", where)
	}
	if status, _, _ := p.get(b.http.URL + "/sign-in/callback?code=x&state=wrong"); status != 403 {
		t.Errorf("a wrong state is answered %d", status)
	}
	_, _, resp = p.get(b.http.URL + "/sign-in/start")
	state := mustQuery(t, resp.Header.Get("Location")).Get("state")
	if status, _, _ := p.get(b.http.URL + "/sign-in/callback?error=access_denied&state=" + state); status != 403 {
		t.Errorf("a refusal of the provider is answered %d", status)
	}
	_, _, resp = p.get(b.http.URL + "/sign-in/start")
	state = mustQuery(t, resp.Header.Get("Location")).Get("state")
	if status, _, _ := p.get(b.http.URL + "/sign-in/callback?code=made-up&state=" + state); status != 502 {
		t.Errorf("a made-up code is answered %d", status)
	}
	if strings.Contains(b.log.String(), "app-secret") {
		t.Error("the client secret is in the log")
	}
}

func mustQuery(t *testing.T, raw string) url.Values {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// TestOpenRedirect: the sign-in leads nowhere but into this console.
func TestOpenRedirect(t *testing.T) {
	b := newBench(t)
	for _, next := range []string{"//evil.example/", "https://evil.example", `/\evil.example`, "/\t/evil.example", "evil", "", "/" + strings.Repeat("a", 600)} {
		p := newPerson(t)
		if resp := p.signIn(b, "haneul@acme.example", next); resp.Request.URL.Host != strings.TrimPrefix(b.http.URL, "http://") || resp.Request.URL.Path != "/" {
			t.Errorf("next=%q leads to %s", next, resp.Request.URL)
		}
		p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if _, _, resp := p.get(b.http.URL + "/language/en?next=" + url.QueryEscape(next)); resp.Header.Get("Location") != "/" {
			t.Errorf("the language switch with next=%q leads to %s", next, resp.Header.Get("Location"))
		}
	}
}

// TestProviderDown: the PBX starts and serves without its provider.
func TestProviderDown(t *testing.T) {
	b := newBench(t, func(o *web.Options) { o.Config.OIDC.IssuerURL = "http://127.0.0.1:1" })
	p := newPerson(t)
	for range 2 { // the second is refused without asking again
		if status, body, _ := p.get(b.http.URL+"/sign-in/start", "Accept-Language", "en"); status != 502 || !strings.Contains(body, "cannot be reached") {
			t.Errorf("the sign-in is answered %d", status)
		}
	}
	off := newBench(t, func(o *web.Options) { o.Config.OIDC = web.OIDC{} })
	if status, _, _ := p.get(off.http.URL + "/"); status != 503 {
		t.Errorf("without a provider the sign-in page is answered %d", status)
	}
}

var csrf = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func TestSignOut(t *testing.T) {
	b := newBench(t)
	p := newPerson(t)
	p.signIn(b, "haneul@acme.example", "/")
	_, page, _ := p.get(b.http.URL + "/")
	post := func(form string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.http.URL+"/sign-out", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("csrf=wrong"); got != 403 {
		t.Errorf("a form of another site is answered %d", got)
	}
	if got := post("csrf=" + csrf.FindStringSubmatch(page)[1]); got != 200 {
		t.Errorf("our own form is answered %d", got)
	}
	if _, _, resp := p.get(b.http.URL + "/"); resp.Request.URL.Path != "/sign-in" {
		t.Error("the session is still there")
	}
}

func TestLanguages(t *testing.T) {
	b := newBench(t)
	for accept, want := range map[string]string{
		"": "로그인", "ko-KR,ko;q=0.9,en;q=0.8": "로그인", "en-GB": "Sign in", "fr,en;q=0.5": "Sign in", "ja": "로그인", ";;,,": "로그인",
	} {
		p := newPerson(t)
		if _, body, _ := p.get(b.http.URL+"/sign-in", "Accept-Language", accept); !strings.Contains(body, "<h1>"+want+"</h1>") {
			t.Errorf("Accept-Language %q does not get %q", accept, want)
		}
		p.get(b.http.URL + "/language/en?next=/sign-in")
		if _, body, _ := p.get(b.http.URL+"/sign-in", "Accept-Language", accept); !strings.Contains(body, "<h1>Sign in</h1>") {
			t.Error("the choice of English is not kept")
		}
	}
}

func TestWrongFilters(t *testing.T) {
	b := newBench(t)
	company(t, b)
	p := newPerson(t)
	p.signIn(b, "haneul@acme.example", "/")
	for query, want := range map[string]string{
		"?from=tomorrow": "2026-01-31", "?number=%3Cscript%3E": "숫자와 하이픈만", "?direction=up": "알 수 없습니다", "?cursor=nonsense": "처음부터 다시",
	} {
		status, body, _ := p.get(b.http.URL + "/" + query)
		if status != 200 || !strings.Contains(body, want) || strings.Contains(body, "<script>") {
			t.Errorf("%s is answered %d without %q", query, status, want)
		}
	}
	for i := range 60 {
		add(t, b.store, record("many-"+string(rune('A'+i%26))+string(rune('a'+i/26)), "101", 100+i))
	}
	_, body, _ := p.get(b.http.URL + "/?direction=inbound")
	if !strings.Contains(body, `href="/?cursor=50&amp;direction=inbound"`) {
		t.Error("the first page does not lead to the second")
	}
	if _, body, _ = p.get(b.http.URL + "/?direction=inbound&cursor=50"); !strings.Contains(body, `href="/?direction=inbound"`) || strings.Count(body, "<tr class") == 0 {
		t.Error("the second page does not lead back")
	}
	b.store.mu.Lock()
	b.store.fail = io.ErrUnexpectedEOF
	b.store.mu.Unlock()
	if status, body, _ := p.get(b.http.URL + "/"); status != 500 || strings.Contains(body, "EOF") {
		t.Errorf("with a failing store the history is answered %d", status)
	}
}

func TestHeadersAndHealth(t *testing.T) {
	b := newBench(t, func(o *web.Options) {
		o.Config.BaseURL = "https://acme.pbx.example.com"
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	get := func(h http.Handler, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	h := b.server.Handler()
	for _, path := range []string{"/sign-in", "/api/v1/cdrs", "/static/style.css", "/static/none", "/healthz", "/nowhere"} {
		w := get(h, path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age",
		} {
			if !strings.Contains(w.Header().Get(name), want) {
				t.Errorf("%s has %s %q", path, name, w.Header().Get(name))
			}
		}
	}
	cookie := get(h, "/sign-in/start").Header().Get("Set-Cookie")
	for _, want := range []string{"__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie %q lacks %s", cookie, want)
		}
	}
	if w := get(h, "/healthz"); w.Code != 200 {
		t.Errorf("/healthz is answered %d", w.Code)
	}
	if w := get(h, "/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), "trunk kt is down") {
		t.Errorf("/readyz is answered %d %s", w.Code, w.Body)
	}
	if w := get(h, "/metrics"); w.Code != http.StatusSeeOther {
		t.Errorf("/metrics of the public listener is answered %d", w.Code)
	}
	admin := b.server.AdminHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }), map[string]http.HandlerFunc{
		"GET /private": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "private") },
	})
	if w := get(admin, "/metrics"); w.Body.String() != "metrics" {
		t.Errorf("/metrics of the admin listener is answered %d", w.Code)
	}
	for path, status := range map[string]int{"/private": 401, "/api/v1/calls": 401, "/healthz": 200} {
		if w := get(admin, path); w.Code != status || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s of the admin listener without a token is answered %d, want %d", path, w.Code, status)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/private", nil)
	r.Header.Set("Authorization", "Bearer "+apiToken)
	w := httptest.NewRecorder()
	if admin.ServeHTTP(w, r); w.Body.String() != "private" {
		t.Errorf("/private with the token is answered %d %s", w.Code, w.Body)
	}
	if w := get(admin, "/sign-in"); w.Code != 404 {
		t.Errorf("the admin listener serves the console: %d", w.Code)
	}
}

// TestSignInRate: one source cannot keep the sign-in busy; behind a trusted
// proxy sources are told apart by what the proxy says.
func TestSignInRate(t *testing.T) {
	now := time.Now()
	b := newBench(t, func(o *web.Options) {
		o.Now = func() time.Time { return now }
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	start := func(remote, forwarded string) int {
		r := httptest.NewRequest(http.MethodGet, "/sign-in/start", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", forwarded)
		w := httptest.NewRecorder()
		b.server.Handler().ServeHTTP(w, r)
		return w.Code
	}
	refused := 0
	for i := range 25 { // whatever a stranger claims to forward
		if start("192.0.2.1:5", "198.51.100."+string(rune('0'+i%10))) == 429 {
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d of 25 were refused, want 5", refused)
	}
	for range 25 {
		start("10.0.0.1:5", "203.0.113.9, 198.51.100.7")
	}
	if got := start("10.0.0.2:5", "198.51.100.7"); got != 429 {
		t.Errorf("the same source behind another proxy is answered %d", got)
	}
	if got := start("10.0.0.1:5", "198.51.100.7, 203.0.113.9"); got != 303 {
		t.Errorf("another source behind the proxy is answered %d", got)
	}
	for range 21 {
		start("[2001:db8::1]:5", "")
	}
	if got := start("[2001:db8::ffff]:5", ""); got != 429 {
		t.Errorf("another address of the same /64 is answered %d", got)
	}
}
