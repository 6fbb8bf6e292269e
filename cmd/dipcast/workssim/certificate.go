package workssim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/dipcast/dipcast/pbx/works/sim"
)

// certificateLife is long enough for a demo that stays up.
const certificateLife = 90 * 24 * time.Hour

// ownCertificate makes a CA and, of it, the certificate for the addresses and
// names that the simulator is reached at. The CA's key is forgotten.
func (n *network) ownCertificate(cfg *sim.Config, listen string) (*tls.Config, error) {
	ca, err := newCertificate(&x509.Certificate{
		Subject: pkix.Name{CommonName: "DIPCAST works-sim CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "DIPCAST works-sim"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range n.hosts(cfg, listen) {
		if a, err := netip.ParseAddr(host); err == nil {
			leaf.IPAddresses = append(leaf.IPAddresses, a.AsSlice())
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	pair, err := newCertificate(leaf, ca)
	if err != nil {
		return nil, err
	}
	if n.caOut != "" {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Leaf.Raw})
		if err := os.WriteFile(n.caOut, text, 0o644); err != nil { //nolint:gosec // a CA's certificate is for everybody
			return nil, fmt.Errorf("--ca-out: %w", err)
		}
	}
	return serverTLS(*pair), nil
}

// hosts are the names of the certificate: where the simulator listens, what
// --url and --tls-name say, and loopback.
func (n *network) hosts(cfg *sim.Config, listen string) []string {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, n.names...)
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		if a, err := netip.ParseAddr(host); err != nil || !a.IsUnspecified() {
			hosts = append(hosts, host)
		}
	}
	if u, err := url.Parse(cfg.BaseURL); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	return hosts
}

// newCertificate completes the template and signs it, by itself without a CA.
func newCertificate(template *x509.Certificate, ca *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour) // clocks differ
	template.NotAfter = time.Now().Add(certificateLife)
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
