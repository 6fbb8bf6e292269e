package sim

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dipcast/dipcast/pbx/works"
)

// Config is the company that is simulated. JSON names are those of the file
// that `dipcast works-sim --config` reads.
type Config struct {
	// BaseURL is the URL that others reach the simulator at; empty = taken
	// from each request's Host.
	BaseURL  string          `json:"baseURL,omitempty"`
	Apps     []App           `json:"apps"`
	Bots     []Bot           `json:"bots"`
	Users    []works.User    `json:"users"`
	Contacts []works.Contact `json:"contacts,omitempty"`
	// RatePerMinute is the limit of each API operation; 0 = 240, negative =
	// no limit.
	RatePerMinute int `json:"ratePerMinute,omitempty"`

	// TLS makes Start serve https; nil = http.
	TLS *tls.Config `json:"-"`
	// Callbacks carries the bots' callbacks; nil = a transport of its own.
	Callbacks http.RoundTripper `json:"-"`

	Now    func() time.Time `json:"-"` // nil = time.Now
	Logger *slog.Logger     `json:"-"` // nil = discard
}

// App is an app of the Developer Console with its service account.
type App struct {
	ClientID       string   `json:"clientID"`
	ClientSecret   string   `json:"clientSecret"`
	ServiceAccount string   `json:"serviceAccount"`
	PublicKey      string   `json:"publicKey"` // PEM of the service account's RSA key (public or private)
	DomainID       int64    `json:"domainID"`
	Scopes         []string `json:"scopes,omitempty"`       // empty = every documented scope
	TokenSeconds   int      `json:"tokenSeconds,omitempty"` // life of access tokens; 0 = 86400
	// RedirectURIs are the addresses that a sign-in may return to; empty =
	// every https address and every loopback address.
	RedirectURIs []string `json:"redirectURIs,omitempty"`
}

// Bot is a bot of the Developer Console.
type Bot struct {
	BotID       int64  `json:"botID"`
	Name        string `json:"name"`
	Secret      string `json:"secret"`
	DomainID    int64  `json:"domainID"`
	CallbackURL string `json:"callbackURL,omitempty"`
	// Members are the users (ID or e-mail) that the bot is open to; empty =
	// everybody of the domain.
	Members []string `json:"members,omitempty"`
}

const (
	defaultRate  = 240
	defaultToken = 86400
)

// documentedScopes are the default of an app.
func documentedScopes() []string {
	return strings.Fields(`openid email profile bot bot.message bot.read user user.read user.email.read
		user.profile.read directory directory.read orgunit orgunit.read group group.read contact contact.read
		calendar calendar.read board board.read audit.read`)
}

func (c Config) withDefaults() Config {
	c.Apps, c.Bots, c.Users = slices.Clone(c.Apps), slices.Clone(c.Bots), slices.Clone(c.Users)
	for i := range c.Apps {
		if len(c.Apps[i].Scopes) == 0 {
			c.Apps[i].Scopes = documentedScopes()
		}
		if c.Apps[i].TokenSeconds <= 0 {
			c.Apps[i].TokenSeconds = defaultToken
		}
	}
	for i := range c.Users {
		u := &c.Users[i]
		if u.UserID == "" {
			u.UserID = UserID(u.Email)
		}
		if u.Locale == "" {
			u.Locale = string(works.Korean)
		}
		if u.DomainID == 0 && len(c.Bots) > 0 {
			u.DomainID = c.Bots[0].DomainID
		}
	}
	if c.RatePerMinute == 0 {
		c.RatePerMinute = defaultRate
	}
	if c.Callbacks == nil {
		c.Callbacks = &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	return c
}

// UserID derives the ID (a UUID) of a user whose configuration names none.
func UserID(email string) string {
	h := sha256.Sum256([]byte(strings.ToLower(email)))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// check reports everything that is wrong with the configuration.
func (c Config) check() error {
	var errs []error
	seen := make(map[string]bool)
	unique := func(kind, name string) {
		if name == "" {
			errs = append(errs, fmt.Errorf("%s without a name", kind))
		} else if seen[kind+name] {
			errs = append(errs, fmt.Errorf("%s %q is there twice", kind, name))
		}
		seen[kind+name] = true
	}
	for _, a := range c.Apps {
		unique("app", a.ClientID)
		if _, err := publicKey(a.PublicKey); err != nil {
			errs = append(errs, fmt.Errorf("app %q: %w", a.ClientID, err))
		}
	}
	for _, b := range c.Bots {
		unique("bot", strconv.FormatInt(b.BotID, 10))
		if b.Secret == "" {
			errs = append(errs, fmt.Errorf("bot %d has no secret", b.BotID))
		}
		if err := checkCallback(b.CallbackURL); err != nil {
			errs = append(errs, fmt.Errorf("bot %d: %w", b.BotID, err))
		}
	}
	for _, u := range c.Users {
		unique("user", strings.ToLower(u.Email))
		unique("user ID", u.UserID)
	}
	return errors.Join(errs...)
}

// publicKey reads a public key, or the public half of a private one, so that
// one Secret serves both sides of a demo.
func publicKey(pem string) (*rsa.PublicKey, error) {
	if key, err := jwt.ParseRSAPublicKeyFromPEM([]byte(pem)); err == nil {
		return key, nil
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(pem))
	if err != nil {
		return nil, errors.New("publicKey is not an RSA key in PEM form")
	}
	return &key.PublicKey, nil
}

// checkCallback accepts https, and http for loopback hosts; "" = none.
func checkCallback(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return fmt.Errorf("callbackUrl %q must be https", raw)
	}
	return nil
}
