package trunk

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// faultOf says what is wrong with a host whose TLS handshake failed, in words
// without times, so that they stay the same; empty for anything else.
func faultOf(err error) string {
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		return "its certificate is for another name: write the name in the certificate as the trunk's host"
	case errors.As(err, &authority):
		return "its certificate is of no known authority: add the authority's to the trusted CAs"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet: tell the carrier, and see the clock"
	case errors.As(err, &invalid):
		return "its certificate is not valid for servers: tell the carrier"
	case errors.As(err, &noTLS):
		return "it does not speak TLS at this port: see the port and the transport"
	}
	return ""
}
