package works

import (
	"crypto/x509"
	"errors"
	"net/http"
)

// Roots is what connections to NAVER WORKS trust: the system's certificates
// and those of the PEM text. "" yields nil, which stands for the system's alone.
func Roots(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil //nolint:nilnil // a nil pool is crypto/tls's word for the system's
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // an image without certificates: those of the text are all
	}
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("trusted CAs: no certificate in PEM form: begin with -----BEGIN CERTIFICATE-----")
	}
	return roots, nil
}

// CredentialsRefused reports whether err says that NAVER WORKS does not accept
// who we say we are: the token endpoint refused client, secret, service
// account, key or scopes, or the API refused a token that was just made. A bot
// or a member that we may not see is not that: it answers 403 with a good token.
func CredentialsRefused(err error) bool {
	var a *APIError
	if !errors.As(err, &a) {
		return false
	}
	switch a.Status {
	case http.StatusUnauthorized:
		return true
	case http.StatusBadRequest, http.StatusForbidden:
		return a.Operation == OperationToken
	}
	return false
}
