package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// secure is SIP over TLS and over WebSocket. Its listeners are there as long as
// the document has a certificate; connections that are up outlive both.
type secure struct {
	bind  []netip.Addr
	ports Ports
	serve *tls.Config // of our listeners

	mu       sync.Mutex
	tls, wss []socket
	serving  bool
	closed   bool
}

var errNoCertificate = errors.New("the document has no certificate")

// newSecure makes the configuration of the listeners. The certificate is asked
// for at each handshake, so that a renewed one needs nothing.
func (e *Edge) newSecure() {
	e.secure.serve = &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c := e.look().certificate; c != nil {
				return c, nil
			}
			return nil, errNoCertificate
		},
	}
}

// trust reads the certificates of a document. They have been validated: a fault
// is one of the machine.
func (i *index) trust(doc *conf.Document, log *slog.Logger) {
	if t := doc.SIPTLS; t != nil {
		c, err := tls.X509KeyPair([]byte(t.Certificate), []byte(t.PrivateKey.Reveal()))
		if err != nil {
			log.Error("the certificate of SIP over TLS cannot be used", "error", err)
		} else {
			i.certificate = &c
		}
	}
	if doc.TrustedCAs == "" {
		return
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // an image without certificates: those of the document are all
	}
	if roots.AppendCertsFromPEM([]byte(doc.TrustedCAs)) {
		i.roots = roots
	}
}

// Apply opens the listeners that a document wants, or closes those that it does
// not want. Its certificate is in force as soon as the document is.
func (e *Edge) Apply(ctx context.Context, doc *conf.Document) error {
	s := &e.secure
	s.mu.Lock()
	defer s.mu.Unlock()
	if doc.SIPTLS == nil || s.closed {
		s.drop()
		return nil
	}
	if len(s.tls) > 0 {
		return nil
	}
	var err error
	if s.tls, err = e.listen(ctx, s.bind, s.ports.TLS, listenOnly(kindTLS, "TLS")); err == nil {
		s.wss, err = e.listen(ctx, s.bind, s.ports.WSS, listenOnly(kindWSS, "WebSocket"))
	}
	if err == nil && s.serving {
		err = e.serveListeners()
	}
	if err != nil {
		s.drop()
	}
	return err
}

// drop closes the listeners; s.mu is held.
func (s *secure) drop() {
	for _, all := range [][]socket{s.tls, s.wss} {
		for i := range all {
			all[i].close()
		}
	}
	s.tls, s.wss = nil, nil
}

// close closes the listeners for good.
func (s *secure) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.drop()
}

func (s *secure) of(transport string) []socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if transport == "TLS" {
		return s.tls
	}
	return s.wss
}

// secured is our port for a transport over TLS; 0: it is another one, or not
// served.
func (e *Edge) secured(transport string) uint16 {
	if transport != "TLS" && transport != "WSS" {
		return 0
	}
	if all := e.secure.of(transport); len(all) > 0 {
		return all[0].addr.Port()
	}
	return 0
}

func (e *Edge) serveSecure() error {
	e.secure.mu.Lock()
	defer e.secure.mu.Unlock()
	e.secure.serving = true
	return e.serveListeners()
}

// serveListeners serves what is open; secure.mu is held.
func (e *Edge) serveListeners() error {
	for _, s := range e.secure.tls {
		if err := e.gate.ServeTLS(s.tcp, e.secure.serve); err != nil {
			return err
		}
	}
	for _, s := range e.secure.wss {
		if err := e.gate.ServeWSS(s.tcp, e.secure.serve, e.origin); err != nil {
			return err
		}
	}
	return nil
}

// origin reports whether pages of an origin may connect phones: the console's,
// those of the tenant's domain, and those that the document names.
func (e *Edge) origin(origin string) bool {
	doc := e.look().doc
	if strings.EqualFold(origin, "https://"+doc.Tenant.Domain) {
		return true
	}
	if u, err := url.Parse(doc.Web.BaseURL); err == nil && strings.EqualFold(origin, u.Scheme+"://"+u.Host) {
		return true
	}
	if doc.SIPTLS != nil {
		for _, o := range doc.SIPTLS.Origins {
			if strings.EqualFold(origin, o) {
				return true
			}
		}
	}
	return false
}

// errEnded is why nothing can be sent to a phone over TLS or WebSocket: it is
// there only as long as its connection (RFC 5626 §5.3, RFC 7118 §5).
var errEnded = errors.New("the phone's connection has ended; it is reached again when it registers anew")

// secureFlow returns the way to a peer over TLS: the connection that it has
// opened; to a host of a trunk also a new one.
func (e *Edge) secureFlow(ctx context.Context, to Hop, addr netip.AddrPort) (*gate.Flow, error) {
	if f := e.gate.Open(to.Transport, addr); f != nil {
		return f, nil
	}
	name := to.Name
	if name == "" {
		name = e.nameOf(addr.Addr())
	}
	if to.Transport != "TLS" || name == "" {
		return nil, errEnded
	}
	return e.gate.Secure(ctx, addr, name, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: e.look().roots})
}

// Connected reports whether the connection to a hop is up.
func (e *Edge) Connected(to Hop) bool {
	return e.gate.Open(to.Transport, netip.AddrPortFrom(to.Addr.Addr().Unmap(), to.Addr.Port())) != nil
}

// nameOf is whom the certificate of a trunk's host at that address must be for,
// if nobody knows which of the trunk's hosts it is: the first one over TLS.
func (e *Edge) nameOf(addr netip.Addr) string {
	name, ok := e.cfg.Trunk(addr)
	if !ok {
		return ""
	}
	for i := range e.cfg.Document().Trunks {
		t := &e.cfg.Document().Trunks[i]
		for _, h := range t.Hosts {
			if t.Name == name && h.Transport == "TLS" {
				return h.Host
			}
		}
	}
	return ""
}
