package works

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestRootCAs: a service behind an inspecting proxy shows a certificate of a
// CA that only the tenant's document knows.
func TestRootCAs(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	for _, trusted := range []string{"", authority} {
		roots, err := Roots(trusted)
		if err != nil || (roots == nil) != (trusted == "") {
			t.Fatalf("roots %v, %v", roots, err)
		}
		cfg := testConfig()
		cfg.APIURL, cfg.AuthURL = s.URL, s.URL
		c, err := New(cfg, Options{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.tokens.get(t.Context())
		c.Close()
		var answered *APIError
		if errors.As(err, &answered) != (trusted != "") {
			t.Errorf("with %d bytes of CAs: %v", len(trusted), err)
		}
	}
	if _, err := Roots("no certificate"); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("error %v", err)
	}
}

func TestCredentialsRefused(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("other"), false},
		{&TransportError{Operation: OperationToken, Err: errors.New("x")}, false},
		{&APIError{Operation: OperationToken, Status: 400}, true},
		{&APIError{Operation: OperationToken, Status: 401}, true},
		{fmt.Errorf("wrapped: %w", &APIError{Operation: OperationToken, Status: 403}), true},
		{&APIError{Operation: OperationToken, Status: 429}, false},
		{&APIError{Operation: OperationToken, Status: 503}, false},
		{&APIError{Operation: "bot.get", Status: 401}, true},
		{&APIError{Operation: "bot.get", Status: 403}, false},
		{&APIError{Operation: "bot.get", Status: 400}, false},
	} {
		if got := CredentialsRefused(tc.err); got != tc.want {
			t.Errorf("%v: %t", tc.err, got)
		}
	}
}
