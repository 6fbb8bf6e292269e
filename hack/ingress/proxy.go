package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"
)

const dialTimeout = 5 * time.Second

// proxy hands each request to an endpoint of its host and path.
type proxy struct {
	table     *atomic.Pointer[table]
	authority *authority
	transport http.RoundTripper
	log       *slog.Logger
}

// newProxy makes a proxy whose requests come from an address that endpoints
// may trust.
func newProxy(t *atomic.Pointer[table], a *authority, from netip.Addr, log *slog.Logger) *proxy {
	dialer := &net.Dialer{Timeout: dialTimeout, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	transport := &http.Transport{MaxIdleConnsPerHost: 16, DialContext: dialer.DialContext} // no proxy: endpoints are near
	return &proxy{table: t, authority: a, transport: transport, log: log}
}

// ServeHTTP answers 404 for hosts and paths that no Ingress names, and 503
// while their Service has no ready endpoint.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := p.table.Load()
	if t == nil {
		http.Error(w, "the ingress has not read the cluster yet", http.StatusServiceUnavailable)
		return
	}
	way, ok := t.route(r.Host, r.URL.Path)
	if !ok {
		http.Error(w, "no Ingress names this host and path", http.StatusNotFound)
		return
	}
	if len(way.endpoints) == 0 {
		http.Error(w, fmt.Sprintf("Service %s has no ready endpoint", way.service), http.StatusServiceUnavailable)
		return
	}
	endpoint := way.endpoints[rand.IntN(len(way.endpoints))]
	(&httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(&url.URL{Scheme: "http", Host: endpoint})
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded() // what the client claimed is dropped
		},
		Transport: p.transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.log.Info("no answer", "host", r.Host, "endpoint", endpoint, "error", err)
			http.Error(w, "the endpoint does not answer", http.StatusBadGateway)
		},
	}).ServeHTTP(w, r)
}

func (p *proxy) tlsConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.certificate, NextProtos: []string{"h2", "http/1.1"}}
}

func (p *proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := hostOnly(hello.ServerName)
	t := p.table.Load()
	if t == nil || t.sites[host] == nil {
		return nil, fmt.Errorf("no Ingress names %q", host)
	}
	if c := t.sites[host].cert; c != nil {
		return c, nil
	}
	return p.authority.certificate(host)
}
