package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// grant is what an access token stands for.
type grant struct {
	app     App
	user    string // user ID of a signed-in user; empty for a service account
	scopes  []string
	expires time.Time
}

// mayUse reports whether the grant has one of the scopes; "" needs none.
func (g grant) mayUse(scopes string) bool {
	if scopes == "" {
		return true
	}
	return slices.ContainsFunc(strings.Fields(scopes), func(s string) bool { return slices.Contains(g.scopes, s) })
}

// refusal writes the error body of OAuth (RFC 6749 §5.2).
func refusal(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": description})
}

// token is the token endpoint with its two grants.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		refusal(w, http.StatusBadRequest, "invalid_request", "The body must be a form.")
		return
	}
	app, ok := s.app(r.PostForm.Get("client_id"))
	if !ok || subtle.ConstantTimeCompare([]byte(app.ClientSecret), []byte(r.PostForm.Get("client_secret"))) != 1 {
		refusal(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
		return
	}
	switch r.PostForm.Get("grant_type") {
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		s.tokenByAssertion(w, r, app)
	case "authorization_code":
		s.tokenByCode(w, r, app)
	default:
		refusal(w, http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
	}
}

func (s *Server) app(clientID string) (App, bool) {
	i := slices.IndexFunc(s.cfg.Apps, func(a App) bool { return a.ClientID == clientID })
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < 0 || s.barred[clientID] {
		return App{}, false
	}
	return s.cfg.Apps[i], true
}

func (s *Server) tokenByAssertion(w http.ResponseWriter, r *http.Request, app App) {
	if why := s.checkAssertion(r.PostForm.Get("assertion"), app); why != "" {
		refusal(w, http.StatusBadRequest, "invalid_grant", why)
		return
	}
	scopes := strings.Fields(r.PostForm.Get("scope"))
	allowed := func(scope string) bool { return slices.Contains(app.Scopes, scope) }
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(scope string) bool { return !allowed(scope) }) {
		refusal(w, http.StatusBadRequest, "invalid_scope", "Request scope is not valid.")
		return
	}
	writeJSON(w, http.StatusOK, s.issue(grant{app: app, scopes: scopes}))
}

// issue makes an access token; expires_in is text, as in practice.
func (s *Server) issue(g grant) map[string]string {
	token := random()
	s.mu.Lock()
	defer s.mu.Unlock()
	g.expires = s.cfg.Now().Add(time.Duration(g.app.TokenSeconds) * time.Second)
	s.tokens[token] = g
	return map[string]string{
		"access_token": token, "refresh_token": random(), "token_type": "Bearer",
		"expires_in": strconv.Itoa(g.app.TokenSeconds), "scope": strings.Join(g.scopes, " "),
	}
}

// checkAssertion returns why the JWT is not accepted, "" if it is.
func (s *Server) checkAssertion(assertion string, app App) string {
	key, err := publicKey(app.PublicKey)
	if err != nil {
		return "The app has no service account."
	}
	claims := jwt.MapClaims{} // which, unlike the typed claims, refuses times that are text
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(app.ClientID), jwt.WithSubject(app.ServiceAccount),
		jwt.WithIssuedAt(), jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.cfg.Now),
	)
	if _, err := parser.ParseWithClaims(assertion, claims, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
		return "The assertion is not valid: " + err.Error()
	}
	issued, err := claims.GetIssuedAt()
	if err != nil || issued == nil {
		return "The assertion has no iat."
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return "The assertion has no exp."
	}
	if life := expires.Sub(issued.Time); life > time.Hour || life <= 0 {
		return "The assertion lives longer than 60 minutes."
	}
	return ""
}

// atHash is the at_hash claim of OpenID Connect Core §3.1.3.6 for RS256.
func atHash(accessToken string) string {
	h := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(h[:len(h)/2])
}
