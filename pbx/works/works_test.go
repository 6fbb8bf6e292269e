package works

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey is one service account's key for all tests.
var testKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

func testConfig() Config {
	_, private := testKey()
	return Config{
		APIURL: "https://api.example/v1.0", AuthURL: "https://auth.example/oauth2/v2.0",
		BotID: 2000001, DomainID: 40029600, ClientID: "client-1", ClientSecret: "client-secret-value",
		ServiceAccount: "pbx.serviceaccount@acme.example", PrivateKey: private, BotSecret: "bot-secret-value",
	}
}

// service is NAVER WORKS by hand: it answers the token endpoint by itself and
// hands everything else to api.
type service struct {
	api func(*http.Request) (*http.Response, error)
	// auth, if set, answers the token endpoint instead.
	auth func(*http.Request) (*http.Response, error)

	mu     sync.Mutex
	tokens int
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/token") {
		return s.api(r)
	}
	s.mu.Lock()
	s.tokens++
	n := s.tokens
	s.mu.Unlock()
	if s.auth != nil {
		return s.auth(r)
	}
	return answer(200, map[string]any{"access_token": "access-token-" + string(rune('0'+n)), "expires_in": "86400"}), nil
}

func (s *service) tokensMade() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

func answer(status int, body any, headers ...string) *http.Response {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	resp := &http.Response{
		StatusCode: status, Header: make(http.Header),
		Body: io.NopCloser(bytes.NewReader(data)),
	}
	for i := 0; i+1 < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

// wrote tells the client that the request left the machine.
func wrote(r *http.Request) {
	if t := httptrace.ContextClientTrace(r.Context()); t != nil && t.WroteHeaders != nil {
		t.WroteHeaders()
	}
}

func newClient(t *testing.T, s *service, change ...func(*Config, *Options)) *Client {
	t.Helper()
	cfg, opts := testConfig(), Options{Transport: s, Jitter: func() float64 { return 1 }}
	opts.Logger = slog.New(slog.DiscardHandler)
	for _, c := range change {
		c(&cfg, &opts)
	}
	c, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// noSecret fails the test if text repeats anything that must stay secret.
func noSecret(t *testing.T, text string) {
	t.Helper()
	cfg := testConfig()
	for _, secret := range []string{cfg.ClientSecret, cfg.BotSecret, "access-token-", "PRIVATE KEY", "eyJ"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows the secret %q", text, secret)
		}
	}
}
