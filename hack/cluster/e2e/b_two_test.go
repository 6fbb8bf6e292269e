//go:build cluster

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/works"
)

// Two tenants of one class on one node have different slots, and nothing of
// one is seen by, or open to, the other.
func TestTwoTenantsOnOneNodeAreStrangers(t *testing.T) {
	the.installed(t)
	ownClass(t, "e2e-n1", "{from: 15000, to: 15999}", "  scheduling: {nodeSelector: {kubernetes.io/hostname: n1}}\n")
	a := found(t, plan{name: "bots-a", class: "e2e-n1", bot: true})
	b := found(t, plan{name: "bots-b", class: "e2e-n1", bot: true})
	apart(t, a.ready(), b.ready())

	desk := a.desk("101")
	v := a.talk(desk, "025550101")
	t.Run("ports", func(t *testing.T) {
		open := listeners(t, "n1")
		for _, c := range []*company{a, b} {
			p := get(t, c.tenant(), c.name, c.name).Status.Ports
			for _, socket := range []string{
				fmt.Sprint("udp ", p.SIP), fmt.Sprint("tcp ", p.SIP), fmt.Sprint("tcp ", p.HTTP),
			} {
				// One for IPv4 and one for IPv6 at most.
				at := open[socket]
				if slices.Sort(at); len(at) == 0 || len(slices.Compact(slices.Clone(at))) != len(at) {
					t.Errorf("%s: the sockets that listen on %s of n1 are %v", c.name, socket, at)
				}
			}
		}
	})
	t.Run("phones", func(t *testing.T) { refusesPhones(t, a, b); refusesPhones(t, b, a) })
	t.Run("REST", func(t *testing.T) {
		for _, path := range []string{"/api/v1/calls", "/api/v1/cdrs"} {
			if code, _ := a.rest(t, path, b.token()); code != http.StatusUnauthorized {
				t.Errorf("%s of %s with the token of %s: %d", path, a.name, b.name, code)
			}
			if code, _ := b.rest(t, path, ""); code != http.StatusUnauthorized {
				t.Errorf("%s of %s without a token: %d", path, b.name, code)
			}
		}
		caller := []byte("010-9999-8888")
		if code, body := a.rest(t, "/api/v1/calls", a.token()); code != http.StatusOK || !bytes.Contains(body, caller) {
			t.Errorf("the own calls: %d %s", code, body)
		}
		if code, body := b.rest(t, "/api/v1/calls", b.token()); code != http.StatusOK || bytes.Contains(body, caller) {
			t.Errorf("%s sees a call of %s: %d %s", b.name, a.name, code, body)
		}
		if code, _ := ask(t, http.MethodGet, "http://"+a.admin()+conf.PathReport, b.token(), nil, nil); code != http.StatusUnauthorized {
			t.Errorf("the report of %s with the token of %s: %d", a.name, b.name, code)
		}
	})
	t.Run("console", func(t *testing.T) { consolesApart(t, a, b) })
	t.Run("metrics", func(t *testing.T) { ownMetrics(t, a); ownMetrics(t, b) })
	t.Run("callbacks", func(t *testing.T) {
		body := []byte(`{"type":"message","source":{"userId":"` + "u" + `","domainId":1},"issuedTime":"2026-11-23T00:00:00.000Z","content":{"type":"text","text":"x"}}`)
		for _, by := range []*company{a, b} {
			for _, at := range []*company{a, b} {
				header := http.Header{
					works.HeaderSignature: {works.Sign(by.name+"-bot-secret", body)},
					works.HeaderBotID:     {fmt.Sprint(bots()[at.name])},
					"Content-Type":        {"application/json"},
				}
				code, _ := ask(t, http.MethodPost, at.url()+"/works/callback", "", header, body)
				if ok := code == http.StatusOK; ok != (by == at) {
					t.Errorf("a callback to %s with the secret of %s: %d", at.name, by.name, code)
				}
			}
		}
	})
	v.goesOn("after all that")
	v.lossless()
	v.end()
}

// apart fails unless both run on n1 in slots that share no port.
func apart(t *testing.T, a, b *v1alpha1.PBXTenant) {
	t.Helper()
	if a.Status.NodeName != "n1" || b.Status.NodeName != "n1" {
		t.Errorf("they run on %q and %q, want both on n1", a.Status.NodeName, b.Status.NodeName)
	}
	if *a.Status.Slot == *b.Status.Slot {
		t.Errorf("both have slot %d", *a.Status.Slot)
	}
	fromA, toA := span(t, a)
	fromB, toB := span(t, b)
	if fromA <= toB && fromB <= toA {
		t.Errorf("ports %d-%d and %d-%d overlap", fromA, toA, fromB, toB)
	}
	for _, tenant := range []*v1alpha1.PBXTenant{a, b} {
		condition(t, tenant, v1alpha1.ConditionPortsAllocated, metav1.ConditionTrue, v1alpha1.ReasonAllocated)
	}
}

// span is the first and the last port of a tenant.
func span(t *testing.T, tenant *v1alpha1.PBXTenant) (from, to int) {
	t.Helper()
	p := tenant.Status.Ports
	var first int
	if _, err := fmt.Sscanf(p.RTP, "%d-%d", &first, &to); err != nil {
		t.Fatalf("RTP %q: %v", p.RTP, err)
	}
	return min(int(p.SIP), int(p.SIPS), int(p.HTTP), int(p.Admin), first), to
}

// refusesPhones: a phone of one company cannot register at the other, under
// whatever domain.
func refusesPhones(t *testing.T, of, at *company) {
	t.Helper()
	for _, domain := range []string{of.name, at.name} {
		p := newPhone(t, phone.Config{
			User: "102", Password: of.password("102"), Domain: domain + ".pbx.example.com", Server: at.sip(), Listen: phonesAt + ":0",
		})
		err := p.Register(within(t), time.Hour)
		if err == nil || !strings.Contains(err.Error(), "refused (401)") && !strings.Contains(err.Error(), "403") {
			t.Errorf("a phone of %s registers at %s in the domain of %s: %v", of.name, at.name, domain, err)
		}
	}
}

// consolesApart: an employee of one company who has signed in there with NAVER
// WORKS is nobody at the other.
func consolesApart(t *testing.T, of, at *company) {
	t.Helper()
	employee := newBrowser(t, person(of.name))
	if where, code, body := employee.open(of.url() + "/sign-in/start?next=/"); where != of.url()+"/" || code != http.StatusOK || !strings.Contains(body, "010-9999-8888") {
		t.Fatalf("%s is not shown the own call at %s: %d at %s\n%.2000s", person(of.name), of.name, code, where, body)
	}
	own, err := url.Parse(of.url())
	if err != nil {
		t.Fatal(err)
	}
	other, err := url.Parse(at.url())
	if err != nil {
		t.Fatal(err)
	}
	// As if a browser could be made to send one's cookies to the other.
	stolen := newBrowser(t, "")
	stolen.client.Jar.SetCookies(other, employee.client.Jar.Cookies(own))
	if where, _, body := stolen.open(at.url() + "/"); !strings.HasPrefix(where, at.url()+"/sign-in") || strings.Contains(body, "010-9999-8888") {
		t.Errorf("the session of %s leads at %s to %s", of.name, at.name, where)
	}
	if where, code, body := employee.open(at.url() + "/sign-in/start?next=/"); where == at.url()+"/" && code == http.StatusOK || strings.Contains(body, "010-9999-8888") {
		t.Errorf("%s signs in at %s: %d at %s", person(of.name), at.name, code, where)
	}
}

// browser keeps cookies and follows the way over NAVER WORKS, where it signs in
// as user.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T, user string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Transport: the.web.Transport, Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 10 {
			return http.ErrUseLastResponse
		}
		if q := r.URL.Query(); strings.HasSuffix(r.URL.Path, "/authorize") && q.Get("login_hint") == "" {
			q.Set("login_hint", user)
			r.URL.RawQuery = q.Encode()
		}
		return nil
	}}}
}

// open returns where the browser ended, with what.
func (b *browser) open(address string) (where string, code int, body string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(within(b.t), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.Request.URL.Scheme + "://" + resp.Request.URL.Host + resp.Request.URL.Path, resp.StatusCode, string(text)
}

// ownMetrics: every series carries the tenant's own name.
func ownMetrics(t *testing.T, c *company) {
	t.Helper()
	code, body := ask(t, http.MethodGet, "http://"+c.admin()+"/metrics", "", nil, nil)
	if code != http.StatusOK {
		t.Fatalf("metrics of %s: %d", c.name, code)
	}
	series := regexp.MustCompile(`(?m)^dipcast_[^{\s]*(\{[^}]*\})?`).FindAllString(string(body), -1)
	if len(series) == 0 {
		t.Fatalf("%s has no metrics of ours: %.500s", c.name, body)
	}
	for _, s := range series {
		if !regexp.MustCompile(`[{,]tenant="` + c.name + `"`).MatchString(s) {
			t.Errorf("a series of %s is %s", c.name, s)
		}
	}
}

func (c *company) url() string { return "https://" + c.name + ".pbx.example.com" }

// rest asks the REST interface through the ingress.
func (c *company) rest(t *testing.T, path, token string) (int, []byte) {
	t.Helper()
	return ask(t, http.MethodGet, c.url()+path, token, nil, nil)
}

// fetch asks the REST interface for JSON.
func (c *company) fetch(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url()+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token())
	resp, err := the.web.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func ask(t *testing.T, method, address, token string, header http.Header, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := the.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text
}
