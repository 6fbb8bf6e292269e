package works

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func ok201(r *http.Request) (*http.Response, error) { return answer(201, struct{}{}), nil }

func TestTokenIsMadeOnceForManyCallers(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		s := &service{api: ok201}
		s.auth = func(*http.Request) (*http.Response, error) {
			timer := time.NewTimer(time.Second) // long enough for all callers to come
			<-timer.C
			return answer(200, map[string]any{"access_token": "a", "expires_in": "3600"}), nil
		}
		c := newClient(t, s)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := c.SendMessage(t.Context(), "u", Text{Plain("x")}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := s.tokensMade(); n != 1 {
			t.Errorf("%d tokens were asked for, want 1", n)
		}
	})
}

func TestTokenRequest(t *testing.T) {
	key, _ := testKey()
	s := &service{api: ok201}
	s.auth = func(r *http.Request) (*http.Response, error) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		var claims jwt.RegisteredClaims
		_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("client-1"),
			jwt.WithSubject("pbx.serviceaccount@acme.example"), jwt.WithIssuedAt(), jwt.WithExpirationRequired(),
		).ParseWithClaims(r.Form.Get("assertion"), &claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil })
		if err != nil {
			t.Errorf("assertion: %v", err)
		} else if life := claims.ExpiresAt.Sub(claims.IssuedAt.Time); life <= 0 || life > time.Hour {
			t.Errorf("the assertion lives %v, at most an hour is allowed", life)
		} else if age := time.Since(claims.IssuedAt.Time); age < 30*time.Second {
			t.Errorf("the assertion is dated back by %v, want 30 s or more against clocks that run ahead", age)
		}
		for field, want := range map[string]string{
			"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "client_id": "client-1",
			"client_secret": "client-secret-value", "scope": "bot.message bot.read user.read contact.read",
		} {
			if got := r.Form.Get(field); got != want {
				t.Errorf("%s = %q, want %q", field, got, want)
			}
		}
		return answer(200, map[string]any{"access_token": "a", "expires_in": 3600}), nil
	}
	if err := newClient(t, s).SendMessage(t.Context(), "u", Text{Plain("x")}); err != nil {
		t.Fatal(err)
	}
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	for _, test := range []struct {
		name    string
		expires any
		sleep   time.Duration
		want    int
	}{
		{"text, still good", "3600", 50 * time.Minute, 1},
		{"text, close to the end", "3600", 56 * time.Minute, 2},
		{"number, still good", 3600, 50 * time.Minute, 1},
		{"number, close to the end", 3600, 56 * time.Minute, 2},
		{"a day", "86400", 23 * time.Hour, 1},
		{"missing", nil, 26 * time.Minute, 1},
		{"missing, later", nil, 31 * time.Minute, 2},
		{"nonsense", "soon", 31 * time.Minute, 2},
		{"negative", -5, time.Minute, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			testKey()
			synctest.Test(t, func(t *testing.T) {
				s := &service{api: ok201}
				s.auth = func(*http.Request) (*http.Response, error) {
					return answer(200, map[string]any{"access_token": "a", "expires_in": test.expires}), nil
				}
				c := newClient(t, s)
				for range 2 {
					if err := c.SendMessage(t.Context(), "u", Text{Plain("x")}); err != nil {
						t.Fatal(err)
					}
					<-time.After(test.sleep)
				}
				if n := s.tokensMade(); n != test.want {
					t.Errorf("%d tokens, want %d", n, test.want)
				}
			})
		})
	}
}

func TestUnauthorizedGetsOneNewTokenAndOneMoreTry(t *testing.T) {
	requests := 0
	s := &service{}
	s.api = func(r *http.Request) (*http.Response, error) {
		requests++
		if r.Header.Get("Authorization") == "Bearer access-token-1" {
			return answer(401, map[string]string{"code": "UNAUTHORIZED"}), nil
		}
		return answer(201, nil), nil
	}
	if err := newClient(t, s).SendMessage(t.Context(), "u", Text{Plain("x")}); err != nil {
		t.Fatal(err)
	}
	if requests != 2 || s.tokensMade() != 2 {
		t.Errorf("%d requests with %d tokens, want 2 and 2", requests, s.tokensMade())
	}

	requests = 0
	s = &service{api: func(*http.Request) (*http.Response, error) {
		requests++
		return answer(401, map[string]string{"code": "UNAUTHORIZED", "description": "access-token-1 is bad"}), nil
	}}
	err := newClient(t, s).SendMessage(t.Context(), "u", Text{Plain("x")})
	var api *APIError
	if !errors.As(err, &api) || api.Status != 401 {
		t.Fatalf("error %v, want the 401", err)
	}
	if requests != 2 || s.tokensMade() != 2 {
		t.Errorf("%d requests with %d tokens, want 2 and 2", requests, s.tokensMade())
	}
}

func TestManyRefusedTokensMakeOneNewOne(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		s.api = func(r *http.Request) (*http.Response, error) {
			<-time.After(time.Second)
			if r.Header.Get("Authorization") == "Bearer access-token-1" {
				return answer(401, nil), nil
			}
			return answer(201, nil), nil
		}
		c := newClient(t, s)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := c.SendMessage(t.Context(), "u", Text{Plain("x")}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := s.tokensMade(); n != 2 {
			t.Errorf("%d tokens, want 2", n)
		}
	})
}

func TestRefusedTokenRequest(t *testing.T) {
	for code, cure := range map[string]string{
		"invalid_scope": "lacks one of the requested scopes", "invalid_client": "client secret is wrong", "invalid_grant": "clock",
	} {
		t.Run(code, func(t *testing.T) {
			testKey()
			synctest.Test(t, func(t *testing.T) {
				s := &service{api: ok201}
				s.auth = func(r *http.Request) (*http.Response, error) {
					_ = r.ParseForm()
					// A server that repeats what it was sent must not make us log it.
					return answer(400, map[string]string{"error": code, "error_description": "Request scope is not valid.\n" +
						r.Form.Get("client_secret") + r.Form.Get("assertion")}), nil
				}
				c := newClient(t, s)
				for range 10 {
					err := c.SendMessage(t.Context(), "u", Text{Plain("x")})
					var api *APIError
					if !errors.As(err, &api) || api.Code != code || api.Operation != "token" || !strings.Contains(err.Error(), cure) {
						t.Fatalf("error %v, want code %s and a cure with %q", err, code, cure)
					}
					noSecret(t, err.Error())
					if strings.Contains(err.Error(), "\n") {
						t.Errorf("%q has more than one line", err)
					}
				}
				if n := s.tokensMade(); n != 1 {
					t.Errorf("a refusal was asked for %d times in one instant, want 1", n)
				}
				<-time.After(time.Minute)
				_ = c.SendMessage(t.Context(), "u", Text{Plain("x")})
				if n := s.tokensMade(); n != 2 {
					t.Errorf("after a minute %d requests, want 2", n)
				}
			})
		})
	}
}

func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		s := &service{api: ok201}
		s.auth = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		c := newClient(t, s)
		first := make(chan error, 1)
		go func() { first <- c.SendMessage(t.Context(), "u", Text{Plain("x")}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		err := c.SendMessage(ctx, "u", Text{Plain("x")})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v, want the deadline after 1 s", time.Since(begin), err)
		}
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the first caller got %v, want the request's time-out", err)
		}
	})
}

func TestTransportErrorsHideTheURL(t *testing.T) {
	s := &service{api: func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Post", URL: r.URL.String() + "?token=access-token-1", Err: errors.New("connection refused")}
	}}
	err := newClient(t, s).SendMessage(t.Context(), "u", Text{Plain("x")})
	var tr *TransportError
	if !errors.As(err, &tr) || tr.Sent {
		t.Fatalf("error %v, want a TransportError before sending", err)
	}
	noSecret(t, err.Error())
	if strings.Contains(err.Error(), "https://") {
		t.Errorf("%q shows the URL", err)
	}
}

func TestConfigIsCheckedAtOnce(t *testing.T) {
	_, err := New(Config{APIURL: "http://api.example/v1", AuthURL: "auth.example", PrivateKey: "-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----"}, Options{})
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, want := range []string{"APIURL", "https", "AuthURL", "BotID", "ClientID", "ClientSecret", "ServiceAccount", "PrivateKey is not"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secretsecret") {
		t.Errorf("the error shows the key: %v", err)
	}
	for _, u := range []string{"http://127.0.0.1:1/v1.0", "http://[::1]:1/v1.0", "http://localhost:9/v1.0", "https://gov.worksapis.com/v1.0"} {
		cfg := testConfig()
		cfg.APIURL = u
		if _, err := New(cfg, Options{}); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://10.0.0.1/v1.0", "http://localhost.example/v1.0", "https://u:p@api.example", "https://api.example/?a=b", "ftp://127.0.0.1/"} {
		cfg := testConfig()
		cfg.APIURL = u
		if _, err := New(cfg, Options{}); err == nil {
			t.Errorf("%s was accepted", u)
		}
	}
	cfg := testConfig()
	cfg.PrivateKey = strings.ReplaceAll(cfg.PrivateKey, "\n", `\n`)
	if _, err := New(cfg, Options{}); err != nil {
		t.Errorf("a key with escaped line ends: %v", err)
	}
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v %#v", cfg, cfg), cfg.LogValue().String()} {
		noSecret(t, text)
	}
}
