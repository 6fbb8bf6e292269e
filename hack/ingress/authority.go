package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
	startEarlier  = time.Hour // clocks differ
)

// authority makes the certificates of hosts that bring none.
type authority struct {
	pair tls.Certificate // its own
	now  time.Time       // when it was opened

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by host
}

// openAuthority reads ca.crt and ca.key from the folder, or makes them.
func openAuthority(folder string, now time.Time) (*authority, error) {
	cert, key := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "ca.key")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(cert, key, now); err != nil {
			return nil, fmt.Errorf("certificate authority: %w", err)
		}
		pair, err = tls.LoadX509KeyPair(cert, key)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority in %s: %w", folder, err)
	}
	return &authority{pair: pair, now: now, leaves: make(map[string]*tls.Certificate)}, nil
}

func makeAuthority(cert, key string, now time.Time) error {
	if err := os.MkdirAll(filepath.Dir(cert), 0o700); err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "dipcast local ingress"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: now.Add(authorityLife),
	}
	made, err := sign(template, nil, now)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}), 0o600)
}

// sign makes a certificate of template, signed by the issuer or, without one,
// by itself.
func sign(template *x509.Certificate, issuer *tls.Certificate, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	template.NotBefore = now.Add(-startEarlier)
	parent, signer := template, any(key)
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// certificate is the host's; the caller hands in only hosts that exist, so
// what is kept stays small.
func (a *authority) certificate(host string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[host]; c != nil {
		return c, nil
	}
	c, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotAfter: a.now.Add(leafLife),
	}, &a.pair, a.now)
	if err == nil {
		a.leaves[host] = c
	}
	return c, err
}
