package workssim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/works/sim"
)

// network is how the simulator meets others: its own certificate, and the way
// to the PBXs that it calls back.
type network struct {
	tls               bool
	cert, key, caOut  string
	names, trust, res several
}

func (n *network) flags(f *flag.FlagSet) {
	f.BoolVar(&n.tls, "tls", false, "serve https with a certificate of a CA that is made for this run; clients find it in --ca-out")
	f.StringVar(&n.caOut, "ca-out", "", "`file` that the CA of --tls is written to, in PEM form")
	f.Var(&n.names, "tls-name", "further host `name or address` in the certificate of --tls; may be given several times")
	f.StringVar(&n.cert, "tls-cert", "", "serve https with the certificate in this PEM `file`")
	f.StringVar(&n.key, "tls-key", "", "its private key: a PEM `file`")
	f.Var(&n.trust, "trust", "PEM `file` with CAs that callbacks trust beside the system's; may be given several times")
	f.Var(&n.res, "resolve", "`HOST=ADDRESS[:PORT]`: callbacks to HOST go there, whatever DNS (and, with a port, the URL) says; may be given several times")
}

// complete puts what the flags say into the configuration.
func (n *network) complete(cfg *sim.Config, listen string) error {
	var err error
	switch {
	case n.tls && (n.cert != "" || n.key != ""):
		return errors.New("--tls makes a certificate: leave --tls-cert and --tls-key out, or --tls")
	case !n.tls && (n.caOut != "" || len(n.names) > 0):
		return errors.New("--ca-out and --tls-name belong to --tls")
	case n.tls:
		cfg.TLS, err = n.ownCertificate(cfg, listen)
	case n.cert != "" || n.key != "":
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(n.cert, n.key); err != nil {
			return fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
		cfg.TLS = serverTLS(pair)
	}
	if err != nil {
		return err
	}
	cfg.Callbacks, err = n.transport()
	return err
}

func serverTLS(pair tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
}

// transport carries the callbacks.
func (n *network) transport() (*http.Transport, error) {
	roots, err := n.roots()
	if err != nil {
		return nil, err
	}
	to, err := n.resolved()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, kind, to.of(address))
		},
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
	}, nil
}

// roots are the system's CAs and those of --trust; nil = the system's alone.
func (n *network) roots() (*x509.CertPool, error) {
	if len(n.trust) == 0 {
		return nil, nil //nolint:nilnil // a nil pool is crypto/tls's word for the system's
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, file := range n.trust {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--trust: %w", err)
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--trust %s: no certificate in PEM form", file)
		}
	}
	return roots, nil
}

// places is where hosts are, by name in lower case; a place without a port
// keeps the URL's.
type places map[string]netip.AddrPort

func (n *network) resolved() (places, error) {
	to := make(places, len(n.res))
	for _, r := range n.res {
		host, text, ok := strings.Cut(r, "=")
		place, err := netip.ParseAddrPort(text)
		if err != nil {
			var a netip.Addr
			a, err = netip.ParseAddr(text)
			place = netip.AddrPortFrom(a, 0)
		}
		if !ok || host == "" || err != nil {
			return nil, fmt.Errorf("--resolve %q: must be like acme.pbx.example.com=127.0.0.1:8443", r)
		}
		to[strings.ToLower(host)] = place
	}
	return to, nil
}

// of returns where to dial instead of the address.
func (p places) of(address string) string {
	host, port, err := net.SplitHostPort(address)
	place, ok := p[strings.ToLower(host)]
	switch {
	case err != nil || !ok:
		return address
	case place.Port() == 0:
		return net.JoinHostPort(place.Addr().String(), port)
	}
	return place.String()
}
