package sim

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
)

// Server is the simulator. It is an http.Handler; Start gives it a listener
// of its own.
type Server struct {
	cfg    Config
	mux    *http.ServeMux
	signer signer
	http   *http.Server
	out    *http.Client // for callbacks
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	baseURL string
	addr    string // of the listener
	bots    map[int64]*botState
	users   []works.User     // replaced, never changed
	barred  map[string]bool  // client IDs of apps whose credentials are withdrawn
	chats   map[string]*chat // by user ID
	tokens  map[string]grant // by access token
	codes   map[string]code
	windows map[string]*window
	files   map[string]*file
	faults  []*Fault
	calls   map[string]int
	lines   int           // number of the last line of any chat
	changed chan struct{} // closed and replaced whenever a chat grows
}

// New makes a simulator of that company. It listens nowhere yet.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("works-sim configuration: %w", err)
	}
	s := &Server{
		cfg: cfg, baseURL: cfg.BaseURL,
		bots: make(map[int64]*botState), chats: make(map[string]*chat), tokens: make(map[string]grant),
		codes: make(map[string]code), windows: make(map[string]*window), files: make(map[string]*file),
		calls: make(map[string]int), users: cfg.Users, barred: make(map[string]bool), changed: make(chan struct{}),
	}
	s.out = &http.Client{
		Timeout:       callbackTimeout,
		Transport:     cfg.Callbacks,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, b := range cfg.Bots {
		s.bots[b.BotID] = newBotState(b)
	}
	for _, u := range cfg.Users {
		s.chats[u.UserID] = &chat{user: u}
	}
	s.mux = s.routes()
	return s, nil
}

func (s *Server) routes() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("POST /oauth2/v2.0/token", s.open("token", s.token))
	m.HandleFunc("GET /oauth2/v2.0/authorize", s.open("authorize", s.authorize))
	m.HandleFunc("POST /oauth2/v2.0/authorize", s.open("authorize", s.authorize))
	m.HandleFunc("GET /oauth2/v2.0/userinfo", s.open("userinfo", s.userinfo))
	m.HandleFunc("GET /oauth2/v2.0/certs", s.open("jwks", s.jwks))
	m.HandleFunc("GET /.well-known/openid-configuration", s.open("discovery", s.discovery))

	const v1 = "/v1.0"
	m.HandleFunc("POST "+v1+"/bots/{bot}/users/{user}/messages", s.api("bot.message.user", "bot.message bot", s.sendToUser))
	m.HandleFunc("POST "+v1+"/bots/{bot}/attachments", s.api("bot.attachment.create", "bot.message bot", s.createAttachment))
	m.HandleFunc("GET "+v1+"/bots/{bot}/attachments/{file}", s.api("bot.attachment.get", "bot bot.read", s.locateAttachment))
	m.HandleFunc("GET "+v1+"/bots/{bot}", s.api("bot.get", "bot bot.read", s.getBot))
	m.HandleFunc("PATCH "+v1+"/bots/{bot}", s.api("bot.patch", "bot", s.patchBot))
	m.HandleFunc("POST "+v1+"/bots/{bot}/persistentmenu", s.api("bot.menu.set", "bot.message bot", s.setMenu))
	m.HandleFunc("GET "+v1+"/bots/{bot}/persistentmenu", s.api("bot.menu.get", "bot.message bot bot.read", s.getMenu))
	m.HandleFunc("DELETE "+v1+"/bots/{bot}/persistentmenu", s.api("bot.menu.delete", "bot.message bot", s.deleteMenu))
	m.HandleFunc("GET "+v1+"/users", s.api("user.list", "user user.read directory directory.read", s.listUsers))
	m.HandleFunc("GET "+v1+"/users/{user}", s.api("user.get", "user user.read directory directory.read user.profile.read", s.getUser))
	m.HandleFunc("GET "+v1+"/contacts", s.api("contact.list", "contact contact.read", s.listContacts))
	m.HandleFunc(v1+"/", s.api("unknown", "", func(w http.ResponseWriter, _ *http.Request, _ grant) {
		fail(w, http.StatusNotFound, "NOT_FOUND", "The simulator does not serve this API.")
	}))
	m.HandleFunc("POST /storage/{key}", s.open("bot.attachment.upload", s.upload))
	m.HandleFunc("GET /storage/{key}", s.open("bot.attachment.download", s.download))
	s.pages(m)
	return m
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Start listens on addr ("127.0.0.1:0") and serves until Close.
func (s *Server) Start(addr string) error {
	l, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot %w: choose another address, or end the program that has it", err)
	}
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return s.ctx },
	}
	s.mu.Lock()
	s.http, s.addr = srv, l.Addr().String()
	if s.baseURL == "" {
		s.baseURL = s.scheme() + l.Addr().String()
	}
	s.mu.Unlock()
	if s.cfg.TLS != nil {
		l = tls.NewListener(l, s.cfg.TLS)
	}
	s.wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Logger.Error("works-sim stopped serving", "error", err)
		}
	})
	return nil
}

// Close ends listening, streams, hanging requests and late callbacks, and
// waits for them.
func (s *Server) Close() error {
	s.cancel()
	s.mu.Lock()
	srv := s.http
	s.mu.Unlock()
	var err error
	if srv != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err = srv.Shutdown(ctx); err != nil {
			err = errors.Join(err, srv.Close())
		}
	}
	s.wg.Wait()
	s.out.CloseIdleConnections()
	return err
}

// URL is the base URL, empty before Start without a BaseURL.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baseURL
}

// ListenAddr is the address that Start listens on, empty before.
func (s *Server) ListenAddr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// APIURL is what a client's Config.APIURL has to be.
func (s *Server) APIURL() string { return s.URL() + "/v1.0" }

// AuthURL is what a client's Config.AuthURL has to be.
func (s *Server) AuthURL() string { return s.URL() + "/oauth2/v2.0" }

// base is the base URL as the request's sender knows it.
func (s *Server) base(r *http.Request) string {
	if u := s.URL(); u != "" {
		return u
	}
	return s.scheme() + r.Host
}

func (s *Server) scheme() string {
	if s.cfg.TLS != nil {
		return "https://"
	}
	return "http://"
}

// open wraps what needs no access token: it counts and applies faults.
func (s *Server) open(operation string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.count(operation)
		if s.fault(operation, w, r) {
			return
		}
		h(w, r)
	}
}

// api wraps an API operation: count, faults, token, scope, rate limit.
func (s *Server) api(operation, scopes string, h func(http.ResponseWriter, *http.Request, grant)) http.HandlerFunc {
	return s.open(operation, func(w http.ResponseWriter, r *http.Request) {
		g, ok := s.bearer(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "Authentication failed.")
			return
		}
		if !g.mayUse(scopes) {
			fail(w, http.StatusForbidden, "FORBIDDEN", "The token's scope does not allow this API. One of: "+scopes)
			return
		}
		if !s.admit(g.app.DomainID, operation, w) {
			fail(w, http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "Too many requests.")
			return
		}
		h(w, r, g)
	})
}

func (s *Server) count(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
}

// Calls returns how often an operation was requested so far, whatever the
// answer was: "token", "bot.message.user", "user.list", ...
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// bearer finds the grant of a request's access token.
func (s *Server) bearer(r *http.Request) (grant, bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return grant{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.tokens[token]
	return g, ok && !s.barred[g.app.ClientID] && s.cfg.Now().Before(g.expires)
}

// RevokeTokens makes every access token invalid: the next request of each is
// answered with 401.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// fail writes the error body of the resource API.
func fail(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, map[string]string{"code": code, "description": description})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone: nothing is left to do
}

// random returns 192 random bits as text.
func random() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails, by its documentation
	return base64.RawURLEncoding.EncodeToString(b)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
