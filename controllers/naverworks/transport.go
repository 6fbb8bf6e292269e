package naverworks

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"time"
)

// Transport carries all requests of the operator to NAVER WORKS and to
// callback URLs. It trusts the system's certificates and the installation's
// own, which it takes over when they change. Make it with NewTransport.
type Transport struct {
	roots func() string // PEM

	mu      sync.Mutex
	pem     string
	current *http.Transport
}

// NewTransport returns a transport that trusts the PEM certificates of roots
// beside the system's; roots is asked with each request.
func NewTransport(roots func() string) *Transport {
	return &Transport{roots: roots}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.now().RoundTrip(r) }

// CloseIdleConnections lets go of connections that nobody uses.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil {
		t.current.CloseIdleConnections()
	}
}

func (t *Transport) now() *http.Transport {
	pem := t.roots()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil || t.pem != pem {
		if t.current != nil {
			t.current.CloseIdleConnections()
		}
		t.pem, t.current = pem, newTransport(pem)
	}
	return t.current
}

func newTransport(pem string) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if pem != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool() // a system without certificates of its own
		}
		pool.AppendCertsFromPEM([]byte(pem))
		config.RootCAs = pool
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   16,
		MaxConnsPerHost:       64, // a thousand tenants share one service
		IdleConnTimeout:       60 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
	}
}
