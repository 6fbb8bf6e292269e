package workssim

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
)

// simulated runs the command until the test ends and returns what it printed.
func simulated(t *testing.T, args ...string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{ch: make(chan string, 64)}
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() { done <- Run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), out, &stderr) }()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("exit code %d: %s", code, stderr.String())
		}
	})
	printed := map[string]string{}
	for printed["user"] == "" { // printed last
		select {
		case line := <-out.ch:
			name, value, _ := strings.Cut(line, ":")
			printed[name] = strings.TrimSpace(value)
		case code := <-done:
			done <- code
			t.Fatalf("it ended with %d: %s", code, stderr.String())
		case <-time.After(patience):
			t.Fatalf("only %v was printed", printed)
		}
	}
	return printed
}

// clientOf trusts the CAs of a file beside the system's.
func clientOf(t *testing.T, file string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := works.Roots(string(text))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func status(t *testing.T, c *http.Client, method, url, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Errorf("%s %s: %v", method, url, err)
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func TestServesTLSOfItsOwnCA(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	key := newKey(t)
	printed := simulated(t, "--tls", "--ca-out", file, "--tls-name", "works.example", "--from", writeManifests(t, false, key))
	if !strings.HasPrefix(printed["issuer"], "https://127.0.0.1:") {
		t.Fatalf("printed %v", printed)
	}
	client := clientOf(t, file)
	if code := status(t, client, "GET", printed["issuer"]+"/.well-known/openid-configuration", ""); code != 200 {
		t.Errorf("discovery: %d", code)
	}
	c, err := works.New(works.Config{
		APIURL: printed["api"], AuthURL: printed["auth"], BotID: 2000009, DomainID: 77, ClientID: "acme-client", ClientSecret: "s3cret",
		ServiceAccount: "pbx@acme.example", PrivateKey: key, BotSecret: "hmac", Scopes: []string{"bot"},
	}, works.Options{Transport: client.Transport})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Bot(t.Context()); err != nil {
		t.Error(err)
	}
	address := strings.TrimPrefix(printed["issuer"], "https://")
	conn, err := (&tls.Dialer{Config: &tls.Config{ServerName: "works.example", RootCAs: rootsOf(client)}}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("under its further name: %v", err)
	}
	conn.Close()
}

func rootsOf(c *http.Client) *x509.CertPool {
	if t, ok := c.Transport.(*http.Transport); ok {
		return t.TLSClientConfig.RootCAs
	}
	return nil
}

// TestCallsBackBehindAnIngress: the callback URL's name and port lead to where
// a test's ingress listens, whose certificate is of a CA of its own.
func TestCallsBackBehindAnIngress(t *testing.T) {
	arrived := make(chan string, 1)
	ingress := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Host + r.URL.Path }))
	defer ingress.Close()
	dir := t.TempDir()
	trust := filepath.Join(dir, "trust.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ingress.Certificate().Raw})
	if err := os.WriteFile(trust, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// The test server's certificate is for example.com.
	const host = "example.com"
	printed := simulated(t, "--trust", trust, "--resolve", strings.ToUpper(host)+"="+ingress.Listener.Addr().String())
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	base := printed["issuer"]
	if code := status(t, c, "PATCH", base+"/sim/bots/2000001", `{"callbackUrl":"https://`+host+`/works/callback"}`); code != 204 {
		t.Fatalf("status %d", code)
	}
	if code := status(t, c, "POST", base+"/sim/say", `{"user":"haneul@acme.example","botID":2000001,"text":"x"}`); code != 204 {
		t.Errorf("the callback failed: %d", code)
	}
	select {
	case where := <-arrived:
		if where != host+"/works/callback" {
			t.Errorf("it came to %s", where)
		}
	case <-time.After(patience):
		t.Error("no callback came")
	}
}

func TestResolved(t *testing.T) {
	n := network{res: several{"acme.pbx.example.com=192.0.2.1:8443", "beta.pbx.example.com=2001:db8::1", "gamma.pbx.example.com=[2001:db8::2]:443"}}
	to, err := n.resolved()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"acme.pbx.example.com:443":  "192.0.2.1:8443",
		"ACME.pbx.example.com:80":   "192.0.2.1:8443",
		"beta.pbx.example.com:443":  "[2001:db8::1]:443",
		"gamma.pbx.example.com:80":  "[2001:db8::2]:443",
		"other.pbx.example.com:443": "other.pbx.example.com:443",
		"no port":                   "no port",
	} {
		if got := to.of(address); got != want {
			t.Errorf("%s leads to %s, want %s", address, got, want)
		}
	}
}

func TestRunRefusesWrongNetworkFlags(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"--tls", "--tls-cert", empty}, "leave --tls-cert"},
		{[]string{"--ca-out", empty}, "belong to --tls"},
		{[]string{"--tls-name", "x"}, "belong to --tls"},
		{[]string{"--tls", "--ca-out", filepath.Join(dir, "none", "ca.pem")}, "--ca-out"},
		{[]string{"--tls-cert", empty, "--tls-key", empty}, "--tls-cert, --tls-key"},
		{[]string{"--tls-key", empty}, "--tls-cert, --tls-key"},
		{[]string{"--trust", filepath.Join(dir, "none")}, "--trust"},
		{[]string{"--trust", empty}, "no certificate in PEM form"},
		{[]string{"--resolve", "acme.pbx.example.com"}, "must be like"},
		{[]string{"--resolve", "=192.0.2.1:1"}, "must be like"},
		{[]string{"--resolve", "a=host:1"}, "must be like"},
	} {
		var stderr bytes.Buffer
		if code := Run(t.Context(), tc.args, &bytes.Buffer{}, &stderr); code != 1 || !strings.Contains(stderr.String(), tc.says) {
			t.Errorf("%q: exit code %d, saying %q, want %q", tc.args, code, stderr.String(), tc.says)
		}
	}
}
