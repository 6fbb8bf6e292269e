package dtls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"
)

// life is how long a certificate is good for: longer than any process lives.
// What peers check is the fingerprint alone.
const life = 10 * 365 * 24 * time.Hour

// Identity is the certificate that a process shows to all its peers.
type Identity struct {
	certificate tls.Certificate
	fingerprint string
}

// NewIdentity makes a self-signed certificate with an ECDSA key on P-256, which
// every browser takes. Errors are those of random.
func NewIdentity(random io.Reader, now time.Time) (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("key of the DTLS certificate: %w", err)
	}
	serial := make([]byte, 16)
	if _, err := io.ReadFull(random, serial); err != nil {
		return nil, fmt.Errorf("serial number of the DTLS certificate: %w", err)
	}
	serial[0] &= 0x7F // RFC 5280 §4.1.2.2
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: "pbx"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(random, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("DTLS certificate: %w", err)
	}
	sum := sha256.Sum256(der)
	return &Identity{
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		fingerprint: "sha-256 " + printed(sum[:]),
	}, nil
}

// Fingerprint is how SDP tells the certificate (see media.DTLS). A nil identity
// has none.
func (i *Identity) Fingerprint() string {
	if i == nil {
		return ""
	}
	return i.fingerprint
}

// printed writes a hash as SDP does: "4A:AD:B9".
func printed(sum []byte) string {
	var b strings.Builder
	for i, n := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", n)
	}
	return b.String()
}

// matches reports whether a certificate is the one that SDP told.
func matches(der []byte, told string) bool {
	name, value, _ := strings.Cut(told, " ")
	want, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
	if err != nil {
		return false
	}
	switch name {
	case "sha-256":
		sum := sha256.Sum256(der)
		return bytes.Equal(sum[:], want)
	case "sha-384":
		sum := sha512.Sum384(der)
		return bytes.Equal(sum[:], want)
	case "sha-512":
		sum := sha512.Sum512(der)
		return bytes.Equal(sum[:], want)
	}
	return false
}
