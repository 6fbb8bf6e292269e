package naverworks

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/works"
)

// Clients are the clients of all bots. Make them with NewClients.
type Clients struct {
	transport http.RoundTripper
	now       func() time.Time
	log       *slog.Logger

	mu    sync.Mutex
	byBot map[types.NamespacedName]*entry
}

// entry is one bot's client and the last one that NAVER WORKS took.
type entry struct {
	key    [sha256.Size]byte
	client *works.Client
	config works.Config
	proven *works.Config
}

// NewClients returns no clients yet. All of them send through transport.
func NewClients(transport http.RoundTripper, now func() time.Time, log *slog.Logger) *Clients {
	return &Clients{transport: transport, now: now, log: log, byBot: map[types.NamespacedName]*entry{}}
}

// Get returns the bot's client, a new one if the configuration has changed. It
// sends nothing.
func (c *Clients) Get(bot types.NamespacedName, cfg works.Config) (*works.Client, error) {
	key := Key(cfg)
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byBot[bot]
	if e != nil && e.client != nil && e.key == key {
		return e.client, nil
	}
	client, err := c.open(cfg)
	if err != nil {
		return nil, err
	}
	if e == nil {
		e = &entry{}
		c.byBot[bot] = e
	}
	e.key, e.client, e.config = key, client, cfg
	return client, nil
}

// Once returns a client that is not kept.
func (c *Clients) Once(cfg works.Config) (*works.Client, error) { return c.open(cfg) }

func (c *Clients) open(cfg works.Config) (*works.Client, error) {
	return works.New(cfg, works.Options{Transport: c.transport, Now: c.now, Logger: c.log})
}

// Proven notes that NAVER WORKS took the bot's credentials as they are now.
func (c *Clients) Proven(bot types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byBot[bot]; e != nil {
		cfg := e.config
		e.proven = &cfg
	}
}

// LastProven returns the last configuration of the bot that NAVER WORKS took,
// while this process has lived: with it a bot can be cleared whose Secret went
// first.
func (c *Clients) LastProven(bot types.NamespacedName) (works.Config, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byBot[bot]; e != nil && e.proven != nil {
		return *e.proven, true
	}
	return works.Config{}, false
}

// Forget drops a bot that is gone.
func (c *Clients) Forget(bot types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byBot, bot)
}

// Key tells two configurations apart and tells nothing of their secrets.
func Key(cfg works.Config) [sha256.Size]byte {
	type plain works.Config              // without its String
	raw, err := json.Marshal(plain(cfg)) //nolint:gosec // for its hash alone
	if err != nil {                      // texts and numbers alone
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(raw)
}

// Config makes a client's configuration of a bot and its Secret. The verdict is
// zero unless something is missing.
func Config(b *v1alpha1.NaverWorksBot, secret map[string][]byte, found bool) (works.Config, Verdict) {
	name := b.Namespace + "/" + b.Spec.CredentialsRef.Name
	keys := []string{
		v1alpha1.KeyClientID, v1alpha1.KeyClientSecret, v1alpha1.KeyServiceAccount, v1alpha1.KeyPrivateKey, v1alpha1.KeyBotSecret,
	}
	if !found {
		return works.Config{}, no(v1alpha1.ReasonSecretMissing, "there is no Secret %s: create it with the keys %s", name, strings.Join(keys, ", "))
	}
	get := func(key string) string { return string(bytes.TrimSpace(secret[key])) }
	missing := slices.DeleteFunc(keys, func(key string) bool { return get(key) != "" })
	if len(missing) > 0 {
		return works.Config{}, no(v1alpha1.ReasonSecretMissing, "Secret %s lacks %s: add what is missing, from the Developer Console", name, strings.Join(missing, ", "))
	}
	e := b.Spec.Endpoints
	return works.Config{
		APIURL: e.API, AuthURL: e.Auth, BotID: b.Spec.BotID, DomainID: b.Spec.DomainID,
		ClientID: get(v1alpha1.KeyClientID), ClientSecret: get(v1alpha1.KeyClientSecret),
		ServiceAccount: get(v1alpha1.KeyServiceAccount), PrivateKey: get(v1alpha1.KeyPrivateKey),
		BotSecret: get(v1alpha1.KeyBotSecret), Scopes: scopes(b),
	}, Verdict{}
}

func scopes(b *v1alpha1.NaverWorksBot) []string {
	if len(b.Spec.Scopes) > 0 {
		return slices.Clone(b.Spec.Scopes)
	}
	return []string{"bot", "bot.read", "user.read", "contact.read"}
}

// BaseURL is where people and NAVER WORKS reach the tenant's PBX.
func BaseURL(t *v1alpha1.PBXTenant) string {
	return strings.TrimSuffix(cmp.Or(t.Spec.Web.ExternalURL, "https://"+t.Spec.Domain), "/")
}

// CallbackURL is what NAVER WORKS must call, for a PBX at base.
func CallbackURL(base string) string { return base + "/works/callback" }

// Open returns the bot's client and what tells its configuration from another,
// or the verdict that says what is in its way.
func (c *Clients) Open(b *v1alpha1.NaverWorksBot, secret map[string][]byte, found bool) (*works.Client, string, Verdict) {
	cfg, v := Config(b, secret, found)
	if v != (Verdict{}) {
		return nil, "", v
	}
	client, err := c.Get(types.NamespacedName{Namespace: b.Namespace, Name: b.Name}, cfg)
	if err != nil {
		return nil, "", no(v1alpha1.ReasonSecretInvalid, "Secret %s/%s or spec.endpoints: %v", b.Namespace, b.Spec.CredentialsRef.Name, err)
	}
	key := Key(cfg)
	return client, hex.EncodeToString(key[:]), Verdict{}
}

// no is a verdict against something.
func no(reason, format string, args ...any) Verdict {
	return Verdict{Status: "False", Reason: reason, Message: fmt.Sprintf(format, args...)}
}
