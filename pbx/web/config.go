package web

import (
	"context"
	"crypto/x509"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
)

// Extension is one number and the NAVER WORKS user behind it.
type Extension struct {
	Number      string
	DisplayName string
	WorksUser   string // login e-mail or user ID, may be empty
}

// OIDC is the provider that people sign in with.
type OIDC struct {
	IssuerURL    string // empty: nobody can sign in
	ClientID     string
	ClientSecret string
}

// Callback is what the bot's callback endpoint needs.
type Callback struct {
	BotID string // decimal, as in the header X-WORKS-BotId; empty: there is no bot
	// Verify compares the signature of a raw body in constant time.
	Verify func(body []byte, signature string) bool
	// Mark is sent with each answer as X-Dipcast-Tenant: it tells the operator
	// whose PBX answers. Empty: not sent.
	Mark string
}

// Config is what the web knows of its tenant. It is not changed after it was
// handed over.
type Config struct {
	Tenant         string // "namespace/name"
	DisplayName    string
	Locale         string         // BCP 47; the console's language where the browser asks for none
	TimeZone       *time.Location // nil = UTC
	BaseURL        string         // public URL of the console, no trailing slash
	Administrators []string       // NAVER WORKS users, login e-mail or user ID
	Extensions     []Extension
	APIToken       string // bearer token of the REST interface; empty: every request is refused
	SessionKey     []byte // at least 32 random bytes
	OIDC           OIDC
	Callback       Callback
	// TrustedProxies are networks, beside those of the Options, whose
	// X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// RootCAs are trusted in talks with the provider; nil = the system's.
	RootCAs *x509.CertPool
}

// String names the tenant; it holds no secret.
func (c Config) String() string { return "web of " + c.Tenant }

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Hooks are told what happened, for metrics. Each may be nil; none may block.
type Hooks struct {
	// Callback: a callback came; outcome is "accepted", "duplicate",
	// "unsigned", "signature", "bot", "body" or "overflow".
	Callback func(outcome string)
}

// Options are what the server needs of its surroundings.
type Options struct {
	Config  Config
	CDRs    pbx.CDRStore
	Control pbx.Controller
	// Recording opens a recording by the name in its record (pbx.Recording);
	// fs.ErrNotExist if there is none. nil = none are offered.
	Recording func(file string) (fs.File, error)
	// Registrations lists the registered phones; nil = not offered.
	Registrations func(ctx context.Context) ([]pbx.Contact, error)
	// Deliver takes the raw body of a verified callback that is no
	// duplicate. It may take its time; ctx ends with Run. An error says that
	// the callback was not served: the next process does it.
	Deliver func(ctx context.Context, body []byte) error
	// Healthy and Ready answer /healthz and /readyz; the error's text is
	// shown to whoever asks. nil = always well.
	Healthy, Ready func() error
	// TrustedProxies are networks whose X-Forwarded-For is believed when
	// sources are told apart for rate limits, whatever the Config says.
	TrustedProxies []netip.Prefix
	Hooks          Hooks
	// Journal keeps callbacks from their 200 until they were served, so that
	// the death of the process loses none; nil: it does.
	Journal journal.Store
	Client  *http.Client     // to the OpenID provider; nil = its own, with the Config's RootCAs
	Log     *slog.Logger     // nil = discard
	Now     func() time.Time // nil = time.Now
	Rand    io.Reader        // nil = crypto/rand
}
