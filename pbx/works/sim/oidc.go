package sim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	codeLife    = 10 * time.Minute
	idTokenLife = time.Hour
	keyID       = "sim-1"
)

// signer holds the key of the ID tokens, made when it is first needed.
type signer struct {
	once sync.Once
	key  *rsa.PrivateKey
	err  error
}

func (s *signer) get() (*rsa.PrivateKey, error) {
	s.once.Do(func() { s.key, s.err = rsa.GenerateKey(rand.Reader, 2048) })
	return s.key, s.err
}

// code is an authorization code that was handed out.
type code struct {
	client, redirect, user, nonce, challenge string
	scopes                                   []string
	expires                                  time.Time
}

func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	base := s.base(r)
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                base,
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"userinfo_endpoint":                     base + "/oauth2/v2.0/userinfo",
		"jwks_uri":                              base + "/oauth2/v2.0/certs",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post"},
		"scopes_supported":                      []string{"openid", "profile", "email"},
		"claims_supported":                      []string{"iss", "sub", "aud", "nonce", "email", "name", "locale", "iat", "exp", "at_hash"},
	})
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	key, err := s.signer.get()
	if err != nil {
		fail(w, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}}})
}

// authorize shows who may sign in, and sends the browser back with a code
// once a user was chosen: by the page, or by login_hint.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The request cannot be read.", http.StatusBadRequest)
		return
	}
	q := r.Form
	app, redirect, why := s.checkAuthorize(q)
	if why != "" {
		http.Error(w, why, http.StatusBadRequest) // never redirected: the address is not trusted
		return
	}
	if code := authorizeError(q); code != "" {
		http.Redirect(w, r, withQuery(redirect, url.Values{"error": {code}, "state": {q.Get("state")}}), http.StatusFound) //nolint:gosec // checkAuthorize accepted the address
		return
	}
	user, ok := s.userByName(q.Get("login_hint"))
	if !ok {
		s.signInPage(w, app, q)
		return
	}
	c := random()
	s.mu.Lock()
	s.codes[c] = code{
		client: app.ClientID, redirect: q.Get("redirect_uri"), user: user.UserID, nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), scopes: strings.Fields(q.Get("scope")), expires: s.cfg.Now().Add(codeLife),
	}
	s.mu.Unlock()
	back := url.Values{"code": {c}}
	if q.Has("state") {
		back.Set("state", q.Get("state"))
	}
	http.Redirect(w, r, withQuery(redirect, back), http.StatusFound) //nolint:gosec // checkAuthorize accepted the address
}

// checkAuthorize checks what must hold before anything is sent back.
func (s *Server) checkAuthorize(q url.Values) (App, *url.URL, string) {
	app, ok := s.app(q.Get("client_id"))
	if !ok {
		return App{}, nil, "client_id is not known."
	}
	raw := q.Get("redirect_uri")
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return App{}, nil, "redirect_uri must be an absolute https URL."
	}
	if len(app.RedirectURIs) > 0 && !slices.Contains(app.RedirectURIs, raw) {
		return App{}, nil, "redirect_uri is not registered for this app."
	}
	return app, u, ""
}

// authorizeError is the error code that goes back to the redirect address.
func authorizeError(q url.Values) string {
	switch {
	case q.Get("response_type") != "code":
		return "unsupported_response_type"
	case !slices.Contains(strings.Fields(q.Get("scope")), "openid"):
		return "invalid_scope"
	case q.Has("code_challenge") && q.Get("code_challenge_method") != "S256":
		return "invalid_request"
	}
	return ""
}

func withQuery(u *url.URL, add url.Values) string {
	q := u.Query()
	for k, v := range add {
		q[k] = v
	}
	out := *u
	out.RawQuery = q.Encode()
	return out.String()
}

func (s *Server) tokenByCode(w http.ResponseWriter, r *http.Request, app App) {
	form := r.PostForm
	s.mu.Lock()
	c, ok := s.codes[form.Get("code")]
	delete(s.codes, form.Get("code")) // single use, also of a failed try
	s.mu.Unlock()
	switch {
	case !ok || c.client != app.ClientID || !s.cfg.Now().Before(c.expires):
		refusal(w, http.StatusBadRequest, "invalid_grant", "The code is unknown, used or expired.")
		return
	case c.redirect != form.Get("redirect_uri"):
		refusal(w, http.StatusBadRequest, "invalid_grant", "redirect_uri differs from that of the authorization.")
		return
	case c.challenge != "" && !verifies(c.challenge, form.Get("code_verifier")):
		refusal(w, http.StatusBadRequest, "invalid_grant", "code_verifier does not fit.")
		return
	}
	answer := s.issue(grant{app: app, user: c.user, scopes: c.scopes})
	idToken, err := s.idToken(s.base(r), c, answer["access_token"])
	if err != nil {
		fail(w, http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", err.Error())
		return
	}
	answer["id_token"] = idToken
	writeJSON(w, http.StatusOK, answer)
}

// verifies checks a PKCE verifier (RFC 7636 §4.6, S256).
func verifies(challenge, verifier string) bool {
	h := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(h[:])), []byte(challenge)) == 1
}

func (s *Server) idToken(issuer string, c code, accessToken string) (string, error) {
	key, err := s.signer.get()
	if err != nil {
		return "", err
	}
	user, ok := s.userByName(c.user)
	if !ok {
		return "", fmt.Errorf("user %s is gone", c.user)
	}
	now := s.cfg.Now()
	claims := jwt.MapClaims{
		"iss": issuer, "sub": user.UserID, "aud": c.client, "iat": now.Unix(), "exp": now.Add(idTokenLife).Unix(),
		"email": user.Email, "name": user.Name.Full(), "locale": user.Locale, "at_hash": atHash(accessToken),
	}
	if c.nonce != "" {
		claims["nonce"] = c.nonce
	}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = keyID
	return t.SignedString(key)
}

func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	g, ok := s.bearer(r)
	user, found := s.userByName(g.user)
	if !ok || !found {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "Authentication failed.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"sub": user.UserID, "email": user.Email, "name": user.Name.Full(), "locale": user.Locale,
	})
}
