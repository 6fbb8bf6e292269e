package works

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The hosts of the commercial service; the public sector has its own.
const (
	DefaultAPIURL  = "https://www.worksapis.com/v1.0"
	DefaultAuthURL = "https://auth.worksmobile.com/oauth2/v2.0"
	// DefaultStorageHost is the suffix of the hosts that attachments are
	// uploaded to and downloaded from.
	DefaultStorageHost = ".worksmobile.com"
)

// Config is one tenant's app, service account and bot.
type Config struct {
	APIURL         string   // empty = DefaultAPIURL
	AuthURL        string   // empty = DefaultAuthURL
	BotID          int64    // required
	DomainID       int64    // required for the directory
	ClientID       string   // of the app in the Developer Console
	ClientSecret   string   //
	ServiceAccount string   // "xxxxx.serviceaccount@domain"
	PrivateKey     string   // PEM of the service account's RSA key; literal "\n" is accepted
	BotSecret      string   // HMAC key of callbacks; only VerifyCallback uses it
	Scopes         []string // empty = bot.message bot.read user.read contact.read
	// StorageHosts are further host suffixes (".example.com") that may be
	// sent the access token when an attachment is moved.
	StorageHosts []string
}

// String names the bot; it holds no secret.
func (c Config) String() string { return fmt.Sprintf("bot %d of domain %d", c.BotID, c.DomainID) }

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Options are what a Client needs of its surroundings. The zero value works.
type Options struct {
	// Transport carries the requests; nil = a transport of its own with TLS
	// 1.2 or better and time-outs for connecting.
	Transport http.RoundTripper
	// RootCAs are trusted by the client's own transport; nil = the system's.
	RootCAs *x509.CertPool
	Now     func() time.Time // nil = time.Now
	// Jitter returns numbers in [0, 1) that spread retries; nil = random.
	Jitter func() float64
	Logger *slog.Logger // nil = discard
	// Observe is told of every HTTP exchange; status 0 = no answer came.
	Observe func(operation string, status int, d time.Duration)
}

func (c Config) withDefaults() Config {
	if c.APIURL == "" {
		c.APIURL = DefaultAPIURL
	}
	if c.AuthURL == "" {
		c.AuthURL = DefaultAuthURL
	}
	if len(c.Scopes) == 0 {
		// Enough to send, to read the bot's settings, the directory and the
		// contacts. One scope that the app lacks fails the whole token request.
		c.Scopes = []string{"bot.message", "bot.read", "user.read", "contact.read"}
	}
	c.APIURL = strings.TrimRight(c.APIURL, "/")
	c.AuthURL = strings.TrimRight(c.AuthURL, "/")
	return c
}

func (o Options) withDefaults() Options {
	if o.Transport == nil {
		o.Transport = newTransport(o.RootCAs)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, int, time.Duration) {}
	}
	return o
}

// check returns every fault of the configuration at once, and the parsed key.
func (c Config) check() (*rsa.PrivateKey, error) {
	var errs []error
	for _, u := range []struct{ name, value string }{{"APIURL", c.APIURL}, {"AuthURL", c.AuthURL}} {
		if err := checkEndpoint(u.name, u.value); err != nil {
			errs = append(errs, err)
		}
	}
	if c.BotID <= 0 {
		errs = append(errs, fmt.Errorf("BotID %d: must be the positive number that the Developer Console shows for the bot", c.BotID))
	}
	for _, f := range []struct{ name, value string }{
		{"ClientID", c.ClientID}, {"ClientSecret", c.ClientSecret}, {"ServiceAccount", c.ServiceAccount},
	} {
		if strings.TrimSpace(f.value) == "" {
			errs = append(errs, fmt.Errorf("%s is empty: copy it from the app in the Developer Console", f.name))
		}
	}
	key, err := parseKey(c.PrivateKey)
	if err != nil {
		errs = append(errs, err)
	}
	return key, errors.Join(errs...)
}

// parseKey reads a PKCS#8 or PKCS#1 RSA key. The error never quotes the key.
func parseKey(pem string) (*rsa.PrivateKey, error) {
	if !strings.Contains(pem, "\n") {
		pem = strings.ReplaceAll(pem, `\n`, "\n")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(strings.TrimSpace(pem) + "\n"))
	if err != nil {
		return nil, errors.New("PrivateKey is not an RSA key in PEM form: " +
			"use the whole private_*.key file of the service account, from -----BEGIN PRIVATE KEY----- to the end")
	}
	return key, nil
}

// checkEndpoint accepts https, and http for loopback hosts alone: the
// requests carry secrets.
func checkEndpoint(name, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%s %q: must be an absolute URL like %s", name, raw, DefaultAPIURL)
	case u.User != nil:
		return fmt.Errorf("%s: must not carry a user or password", name)
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s %q: must have no query and no fragment", name, raw)
	case !secureURL(u):
		return fmt.Errorf("%s %q: must be https; http is accepted for loopback addresses alone", name, raw)
	}
	return nil
}

// secureURL reports whether u is https, or http to this very machine.
func secureURL(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
