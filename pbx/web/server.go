package web

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/web/signin"
)

// Server is one tenant's HTTP.
type Server struct {
	opts    Options
	site    atomic.Pointer[site]
	handler http.Handler

	callbacks chan press
	presses   *presses
	leaving   chan struct{} // closed by Leave
	leave     sync.Once
	served    chan struct{} // closed when Run has ended
	seen      *replayFilter
	denied    *limiter // wrong bearer tokens and signatures, by source
	signIns   *limiter // sign-ins, by source
}

// site is a Config with what is derived from it.
type site struct {
	Config
	sources  sources
	signIn   *signin.SignIn
	client   *http.Client // of signIn
	token    [sha256.Size]byte
	admins   map[string]bool
	byNumber map[string]Extension
}

// New returns a server; it starts nothing and asks nothing over the network.
func New(o Options) (*Server, error) {
	if o.CDRs == nil || o.Control == nil {
		return nil, errors.New("the web needs a CDR store and a controller")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		opts:      o,
		callbacks: make(chan press, callbackQueue),
		leaving:   make(chan struct{}),
		served:    make(chan struct{}),
		seen:      newReplayFilter(maxSeen, replayWindow),
		denied:    newLimiter(10, 30*time.Second, o.Now),
		signIns:   newLimiter(20, 3*time.Second, o.Now),
	}
	if err := s.Apply(o.Config); err != nil {
		return nil, err
	}
	s.presses = newPresses(o.Journal, s.seen, o.Now())
	s.handler = s.routes()
	return s, nil
}

// Apply replaces the configuration. Sessions stay valid unless the session
// key or the tenant changed. On an error the old one stays.
func (s *Server) Apply(c Config) error {
	if c.TimeZone == nil {
		c.TimeZone = time.UTC
	}
	old := s.site.Load()
	n := &site{
		Config: c, token: sha256.Sum256([]byte(c.APIToken)),
		sources: sources{trusted: slices.Concat(s.opts.TrustedProxies, c.TrustedProxies)},
		admins:  map[string]bool{}, byNumber: make(map[string]Extension, len(c.Extensions)),
	}
	sc := signin.Config{
		Tenant: c.Tenant, BaseURL: c.BaseURL, IssuerURL: c.OIDC.IssuerURL, ClientID: c.OIDC.ClientID,
		ClientSecret: c.OIDC.ClientSecret, SessionKey: c.SessionKey,
	}
	if old != nil && sameSignIn(old.Config, c) {
		n.signIn, n.client = old.signIn, old.client // keeps what it knows of the provider
	} else {
		n.client = s.providerClient(c.RootCAs)
		si, err := signin.New(sc, signin.Options{Client: n.client, Now: s.opts.Now, Rand: s.opts.Rand})
		if err != nil {
			return fmt.Errorf("web of %s: %w", c.Tenant, err)
		}
		n.signIn = si
	}
	for _, a := range c.Administrators {
		if k := userKey(a); k != "" {
			n.admins[k] = true
		}
	}
	for _, e := range c.Extensions {
		n.byNumber[e.Number] = e
	}
	s.site.Store(n)
	if old != nil && old.client != n.client {
		old.client.CloseIdleConnections()
	}
	return nil
}

// providerTimeout bounds each exchange with the OpenID provider.
const providerTimeout = 8 * time.Second

// providerClient is the client to the OpenID provider, with connections of its
// own, so that they end with it.
func (s *Server) providerClient(roots *x509.CertPool) *http.Client {
	if s.opts.Client != nil {
		return s.opts.Client
	}
	return &http.Client{Timeout: providerTimeout, Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     30 * time.Second,
	}}
}

func sameSignIn(a, b Config) bool {
	return a.Tenant == b.Tenant && a.BaseURL == b.BaseURL && a.OIDC == b.OIDC &&
		string(a.SessionKey) == string(b.SessionKey) && a.RootCAs.Equal(b.RootCAs)
}

// userKey makes two ways to write one NAVER WORKS user equal.
func userKey(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Run serves verified callbacks until ctx ends, those that an earlier process
// has left first, then waits for those under way. Callbacks that still wait are
// in the journal for the next process.
func (s *Server) Run(ctx context.Context) error {
	defer close(s.served)
	var workers sync.WaitGroup
	workers.Go(func() { s.deliverLeft(ctx) })
	for range callbackWorkers {
		workers.Go(func() { s.deliver(ctx) })
	}
	workers.Wait()
	s.site.Load().client.CloseIdleConnections()
	return nil
}

// Handler is the tenant's whole public HTTP.
func (s *Server) Handler() http.Handler { return s.handler }

// AdminHandler is the admin listener's HTTP: metrics and health for whoever
// reaches it; the REST interface and the private patterns ("GET /report") for
// whoever has the API token.
func (s *Server) AdminHandler(metrics http.Handler, private map[string]http.HandlerFunc) http.Handler {
	m := http.NewServeMux()
	for pattern, h := range private {
		m.Handle(pattern, s.authorise(h))
	}
	m.Handle("/api/", s.api())
	m.Handle("GET /metrics", metrics)
	m.HandleFunc("GET /healthz", health(s.opts.Healthy))
	m.HandleFunc("GET /readyz", health(s.opts.Ready))
	return harden(s, m)
}

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /works/callback", s.callback)
	m.HandleFunc("/works/callback", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "callbacks are sent with POST", http.StatusMethodNotAllowed)
	})
	m.HandleFunc("GET /healthz", health(s.opts.Healthy))
	m.HandleFunc("GET /readyz", health(s.opts.Ready))
	m.Handle("/api/", s.api())
	s.console(m)
	return harden(s, m)
}

func health(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if check != nil {
			if err := check(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		_, _ = io.WriteString(w, "ok\n")
	}
}

// harden sets the headers that every answer has, before anybody writes.
func harden(s *Server, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		if strings.HasPrefix(s.site.Load().BaseURL, "https://") {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// NewHTTPServer wraps a handler with the limits that a server on a hostile
// network needs. The caller listens, serves and shuts down.
func NewHTTPServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       90 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
