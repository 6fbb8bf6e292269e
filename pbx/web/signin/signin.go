package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// The paths that the sign-in lives at, below the console's base URL.
const (
	PathStart    = "/sign-in/start"
	PathCallback = "/sign-in/callback"
)

const (
	// providerTimeout bounds each talk with the provider.
	providerTimeout = 8 * time.Second
	// discoveryPause is how long a provider that did not answer is left alone.
	discoveryPause = 5 * time.Second
	maxNext        = 512
)

// Errors of a sign-in, for the page that tells of them.
var (
	// ErrProvider: the provider does not answer, or not as it should.
	ErrProvider = errors.New("NAVER WORKS could not be asked")
	// ErrRefused: the person or the provider broke the sign-in off, or it was
	// too old, or it was not begun in this browser.
	ErrRefused = errors.New("the sign-in was not completed")
)

// Config is one tenant's sign-in.
type Config struct {
	Tenant       string // "namespace/name"
	BaseURL      string // of the console; the redirect URL is PathCallback below it
	IssuerURL    string // empty: nobody can sign in
	ClientID     string
	ClientSecret string
	SessionKey   []byte // 32 random bytes or more
}

// Options are the surroundings; the zero value works.
type Options struct {
	Client *http.Client     // nil = a client of its own with time-outs
	Now    func() time.Time // nil = time.Now
	Rand   io.Reader        // nil = crypto/rand
}

// SignIn serves one tenant's sign-ins. It is safe for concurrent use.
type SignIn struct {
	cfg     Config
	opts    Options
	session *jar
	state   *jar

	mu       sync.Mutex // held while the provider is discovered: one asks, the others wait
	provider *oidc.Provider
	pkce     bool
	failed   time.Time
}

// state travels through the browser while the person is at the provider.
type state struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v,omitempty"` // PKCE, RFC 7636
	Next     string `json:"t"`           // where to go afterwards
	Expires  int64  `json:"x"`
}

// New returns a sign-in; nothing is asked over the network.
func New(c Config, o Options) (*SignIn, error) {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: providerTimeout}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	secure := strings.HasPrefix(c.BaseURL, "https://")
	session, err := newJar(c.SessionKey, c.Tenant, "session", secure, SessionLife)
	if err != nil {
		return nil, err
	}
	st, err := newJar(c.SessionKey, c.Tenant, "state", secure, stateLife)
	if err != nil {
		return nil, err
	}
	return &SignIn{cfg: c, opts: o, session: session, state: st}, nil
}

// Enabled reports whether there is a provider to sign in with.
func (s *SignIn) Enabled() bool { return s.cfg.IssuerURL != "" && s.cfg.ClientID != "" }

// Session returns who is signed in.
func (s *SignIn) Session(r *http.Request) (Session, bool) {
	var v Session
	if s.session.get(r, &v) != nil || v.ID == "" || s.opts.Now().Unix() >= v.Expires {
		return Session{}, false
	}
	return v, true
}

// CSRF returns what a form of this session must carry.
func (s *SignIn) CSRF(v Session) string {
	return base64.RawURLEncoding.EncodeToString(s.session.mac("csrf " + v.ID + " " + v.Nonce))
}

// ValidCSRF compares a form's value in constant time.
func (s *SignIn) ValidCSRF(v Session, got string) bool {
	return hmac.Equal([]byte(got), []byte(s.CSRF(v)))
}

// End takes the session away.
func (s *SignIn) End(w http.ResponseWriter) error { return s.session.set(w, nil) }

// Start sends the browser to the provider; next is a path of the console to
// come back to.
func (s *SignIn) Start(w http.ResponseWriter, r *http.Request, next string) error {
	p, pkce, err := s.discover(r.Context())
	if err != nil {
		return err
	}
	st := state{State: s.random(), Nonce: s.random(), Next: LocalPath(next), Expires: s.opts.Now().Add(stateLife).Unix()}
	if st.State == "" || st.Nonce == "" {
		return fmt.Errorf("%w: no randomness", ErrProvider)
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(st.Nonce)}
	if pkce {
		st.Verifier = s.random()
		options = append(options, oauth2.S256ChallengeOption(st.Verifier))
	}
	if err := s.state.set(w, st); err != nil {
		return err
	}
	http.Redirect(w, r, s.oauth(p).AuthCodeURL(st.State, options...), http.StatusSeeOther)
	return nil
}

// Finish takes the provider's answer, sets the session and returns where the
// person wanted to go.
func (s *SignIn) Finish(w http.ResponseWriter, r *http.Request) (Identity, string, error) {
	var st state
	if err := s.state.get(r, &st); err != nil {
		return Identity{}, "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := s.state.set(w, nil); err != nil {
		return Identity{}, "", err
	}
	q := r.URL.Query()
	switch {
	case s.opts.Now().Unix() >= st.Expires:
		return Identity{}, "", fmt.Errorf("%w: it took longer than %s", ErrRefused, stateLife)
	case !hmac.Equal([]byte(q.Get("state")), []byte(st.State)):
		return Identity{}, "", fmt.Errorf("%w: the answer belongs to another sign-in", ErrRefused)
	case q.Get("error") != "" || q.Get("code") == "":
		return Identity{}, "", fmt.Errorf("%w: the provider says %.100q", ErrRefused, q.Get("error"))
	}
	who, err := s.exchange(r.Context(), q.Get("code"), st)
	if err != nil {
		return Identity{}, "", err
	}
	v := Session{Identity: who, Expires: s.opts.Now().Add(SessionLife).Unix(), Nonce: s.random()}
	if err := s.session.set(w, v); err != nil {
		return Identity{}, "", err
	}
	return who, LocalPath(st.Next), nil
}

// exchange turns the code into a verified identity.
func (s *SignIn) exchange(ctx context.Context, code string, st state) (Identity, error) {
	p, _, err := s.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, s.opts.Client), providerTimeout)
	defer cancel()
	var options []oauth2.AuthCodeOption
	if st.Verifier != "" {
		options = append(options, oauth2.VerifierOption(st.Verifier))
	}
	token, err := s.oauth(p).Exchange(ctx, code, options...)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrProvider, withoutBody(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Identity{}, fmt.Errorf("%w: the answer holds no ID token", ErrProvider)
	}
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: s.cfg.ClientID, Now: s.opts.Now}).Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: the ID token: %w", ErrProvider, err)
	}
	if !hmac.Equal([]byte(id.Nonce), []byte(st.Nonce)) {
		return Identity{}, fmt.Errorf("%w: the ID token belongs to another sign-in", ErrRefused)
	}
	return identity(id)
}

// identity reads the claims. An e-mail that the provider itself calls
// unverified is not used: extensions are found by it.
func identity(id *oidc.IDToken) (Identity, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified *bool  `json:"email_verified"`
		Name     string `json:"name"`
	}
	if err := id.Claims(&claims); err != nil || id.Subject == "" {
		return Identity{}, fmt.Errorf("%w: the ID token lacks its claims", ErrProvider)
	}
	who := Identity{ID: short(id.Subject), Email: short(claims.Email), Name: short(claims.Name)}
	if claims.Verified != nil && !*claims.Verified {
		who.Email = ""
	}
	return who, nil
}

// short keeps the cookie below what browsers store.
func short(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200])
	}
	return s
}

// withoutBody drops the provider's answer from an error: it may repeat what
// was sent.
func withoutBody(err error) error {
	var e *oauth2.RetrieveError
	if errors.As(err, &e) && e.Response != nil {
		return fmt.Errorf("the token endpoint answers HTTP %d %.50q", e.Response.StatusCode, e.ErrorCode)
	}
	return err
}

// discover asks for the provider's description once, and again only after a
// pause when it failed.
func (s *SignIn) discover(ctx context.Context) (*oidc.Provider, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provider != nil {
		return s.provider, s.pkce, nil
	}
	if !s.Enabled() {
		return nil, false, fmt.Errorf("%w: no provider is configured", ErrProvider)
	}
	now := s.opts.Now()
	if now.Before(s.failed.Add(discoveryPause)) {
		return nil, false, fmt.Errorf("%w: it did not answer a moment ago", ErrProvider)
	}
	// The first to come asks for all; its leaving must not fail the others.
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), s.opts.Client), providerTimeout)
	defer cancel()
	p, err := oidc.NewProvider(ctx, s.cfg.IssuerURL)
	if err != nil {
		s.failed = s.opts.Now()
		return nil, false, fmt.Errorf("%w: %w", ErrProvider, err)
	}
	var extra struct {
		Methods []string `json:"code_challenge_methods_supported"`
	}
	if err := p.Claims(&extra); err != nil {
		extra.Methods = nil
	}
	for _, m := range extra.Methods {
		s.pkce = s.pkce || m == "S256"
	}
	s.provider = p
	return p, s.pkce, nil
}

func (s *SignIn) oauth(p *oidc.Provider) *oauth2.Config {
	endpoint := p.Endpoint()
	// As the provider documents it. Trying both styles would use up the code.
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	return &oauth2.Config{
		ClientID: s.cfg.ClientID, ClientSecret: s.cfg.ClientSecret, Endpoint: endpoint,
		RedirectURL: strings.TrimRight(s.cfg.BaseURL, "/") + PathCallback,
		Scopes:      []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// random returns 256 bits as text, empty if there is no randomness.
func (s *SignIn) random() string {
	b := make([]byte, 32)
	if _, err := io.ReadFull(s.opts.Rand, b); err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// LocalPath returns next if it is a path of this console, else "/": nobody is
// sent to another site by a link to the sign-in.
func LocalPath(next string) string {
	if len(next) > maxNext || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") {
		return "/"
	}
	for _, r := range next {
		if r == '\\' || r < 0x21 || r == 0x7f {
			return "/"
		}
	}
	return next
}
