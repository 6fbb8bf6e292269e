package works

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// OperationToken is the Operation of errors that the token endpoint answered.
const OperationToken = "token"

const (
	// issuedBefore dates the assertion back: a clock that runs ahead makes
	// it a future one, which is refused.
	issuedBefore  = 45 * time.Second
	assertionLife = 30 * time.Minute // at most one hour is allowed
	// fallbackLife is taken where the answer names no life.
	fallbackLife = 30 * time.Minute
	// refusalRests is how long a refusal is repeated without asking again,
	// so that a wrong secret does not become a storm of requests.
	refusalRests = 5 * time.Second
	// warmAhead is how long before its renewal is due a token is renewed by
	// a Queue, so that no card waits for one.
	warmAhead = time.Minute
)

// tokenSource keeps one access token. Whoever holds turn asks for a new one;
// all others wait for it, each no longer than its own context.
type tokenSource struct {
	client *Client
	key    *rsa.PrivateKey
	turn   chan struct{}

	mu      sync.Mutex
	token   string
	renewAt time.Time
	refusal error
	restsTo time.Time
}

func newTokenSource(c *Client, key *rsa.PrivateKey) *tokenSource {
	return &tokenSource{client: c, key: key, turn: make(chan struct{}, 1)}
}

// get returns a token that is good for some minutes yet.
func (s *tokenSource) get(ctx context.Context) (string, error) {
	if token, err := s.cached(); token != "" || err != nil {
		return token, err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", &TransportError{Operation: OperationToken, Err: context.Cause(ctx)}
	}
	if token, err := s.cached(); token != "" || err != nil {
		return token, err
	}
	return s.fetch(ctx)
}

func (s *tokenSource) cached() (string, error) {
	now := s.client.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && now.Before(s.renewAt) {
		return s.token, nil
	}
	if s.refusal != nil && now.Before(s.restsTo) {
		return "", s.refusal
	}
	return "", nil
}

// current returns the last token, for redaction.
func (s *tokenSource) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// drop forgets a token that was refused. Of many that were refused the same
// token, one makes a new one.
func (s *tokenSource) drop(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.renewAt = time.Time{}
	}
}

// warm sees to it that a token is there and good for a while yet, and returns
// when to look again. Meanwhile others go on with the token that is there.
func (s *tokenSource) warm(ctx context.Context) (time.Duration, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if left := s.warmFor(); left > 0 {
		return left, nil
	}
	if _, err := s.fetch(ctx); err != nil {
		return 0, err
	}
	return max(s.warmFor(), warmAhead), nil
}

// warmFor returns how long the token is good before it is worth renewing
// ahead of its time.
func (s *tokenSource) warmFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewAt.Add(-warmAhead).Sub(s.client.opts.Now())
}

// fetch asks for a token; the caller holds the turn.
func (s *tokenSource) fetch(ctx context.Context) (string, error) {
	now := s.client.opts.Now()
	token, life, err := s.request(ctx, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		var refused *APIError
		if errors.As(err, &refused) && refused.Status < 500 {
			s.refusal, s.restsTo = err, now.Add(max(refusalRests, refused.RetryAfter))
		}
		return "", err
	}
	// A tenth of the life, at most five minutes, is left unused.
	s.token, s.renewAt, s.refusal = token, now.Add(life-min(life/10, 5*time.Minute)), nil
	return token, nil
}

func (s *tokenSource) request(ctx context.Context, now time.Time) (string, time.Duration, error) {
	assertion, err := s.assertion(now)
	if err != nil {
		return "", 0, err
	}
	cfg := s.client.cfg
	form := url.Values{
		"assertion":     {assertion},
		"grant_type":    {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"client_id":     {cfg.ClientID},
		"client_secret": {cfg.ClientSecret},
		"scope":         {strings.Join(cfg.Scopes, " ")},
	}.Encode()
	a, err := s.client.exchange(ctx, OperationToken, func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.AuthURL+"/token", strings.NewReader(form))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
		return r, nil
	})
	if err != nil {
		return "", 0, err
	}
	if a.status != http.StatusOK {
		clean := func(t string) string { return strings.ReplaceAll(s.client.redact(t), assertion, redacted) }
		return "", 0, parseError(OperationToken, a, clean)
	}
	return parseToken(a.body)
}

func (s *tokenSource) assertion(now time.Time) (string, error) {
	issued := now.Add(-issuedBefore)
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": s.client.cfg.ClientID,
		"sub": s.client.cfg.ServiceAccount,
		"iat": issued.Unix(),
		"exp": issued.Add(assertionLife).Unix(),
	})
	signed, err := t.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("NAVER WORKS token: the assertion cannot be signed with the private key: %w", err)
	}
	return signed, nil
}

// parseToken reads the answer; expires_in comes as text in practice and as a
// number by the standard.
func parseToken(data []byte) (string, time.Duration, error) {
	var b struct {
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(data, &b); err != nil || b.AccessToken == "" {
		return "", 0, &APIError{Operation: OperationToken, Status: http.StatusOK, Description: "the answer holds no access_token"}
	}
	life := fallbackLife
	var seconds float64
	if json.Unmarshal([]byte(strings.Trim(string(b.ExpiresIn), `" `)), &seconds) == nil && seconds >= 1 {
		life = time.Duration(min(seconds, 90*24*3600) * float64(time.Second))
	}
	return b.AccessToken, life, nil
}
