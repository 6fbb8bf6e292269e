package compile

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// The public service of NAVER WORKS.
const (
	defaultAPI    = "https://www.worksapis.com/v1.0"
	defaultAuth   = "https://auth.worksmobile.com/oauth2/v2.0"
	defaultIssuer = "https://auth.worksmobile.com"
)

func (c *compiler) bot() {
	for i := range c.in.Bots {
		b := &c.in.Bots[i]
		o := Object{v1alpha1.KindNaverWorksBot, b.Namespace, b.Name}
		if i > 0 {
			c.errorf(o, "spec.tenantRef.name", b.Spec.TenantRef.Name, v1alpha1.ReasonDuplicate,
				"this tenant already has the NaverWorksBot %s: a tenant has one bot, remove one of the two", c.in.Bots[0].Name)
			continue
		}
		c.doc.Bot = c.oneBot(o, b)
	}
	if len(c.in.Bots) == 0 && len(c.users) > 0 {
		c.warn(c.tenantObject(), "", "", v1alpha1.ReasonNotFound,
			"extensions name NAVER WORKS users and no NaverWorksBot names this tenant, so no cards are sent: create one")
	}
}

func (c *compiler) oneBot(o Object, b *v1alpha1.NaverWorksBot) *conf.Bot {
	if b.Spec.BotID < 1 {
		c.errorf(o, "spec.botID", strconv.FormatInt(b.Spec.BotID, 10), v1alpha1.ReasonInvalid, "must be the ID that the Developer Console shows, at least 1")
	}
	if b.Spec.DomainID < 1 {
		c.errorf(o, "spec.domainID", strconv.FormatInt(b.Spec.DomainID, 10), v1alpha1.ReasonInvalid, "must be the ID of the company on NAVER WORKS, at least 1")
	}
	scopes := b.Spec.Scopes
	if len(scopes) == 0 {
		scopes = []string{"bot", "bot.read", "user.read", "contact.read"}
	}
	manage := unlessFalse(b.Spec.ManageBot)
	switch {
	case slices.Contains(scopes, "bot"):
	case !slices.Contains(scopes, "bot.message"):
		c.errorf(o, "spec.scopes", strings.Join(scopes, ","), v1alpha1.ReasonInvalid, "without the scope bot or bot.message no card can be sent: add one")
	case manage:
		c.errorf(o, "spec.scopes", strings.Join(scopes, ","), v1alpha1.ReasonInvalid, "manageBot needs the scope bot: add it or set manageBot to false")
	}
	e, cards := b.Spec.Endpoints, b.Spec.Cards
	return &conf.Bot{
		BotID: b.Spec.BotID, DomainID: b.Spec.DomainID, Scopes: slices.Clone(scopes),
		APIURL:      c.endpoint(o, "spec.endpoints.api", cmp.Or(e.API, defaultAPI)),
		AuthURL:     c.endpoint(o, "spec.endpoints.auth", cmp.Or(e.Auth, defaultAuth)),
		IssuerURL:   c.endpoint(o, "spec.endpoints.issuer", cmp.Or(e.Issuer, defaultIssuer)),
		Credentials: c.credentials(o, b.Spec.CredentialsRef.Name),
		Cards: conf.Cards{
			External: unlessFalse(cards.External), Internal: unlessFalse(cards.Internal), Missed: unlessFalse(cards.Missed),
			Fax: unlessFalse(cards.Fax), Voicemail: unlessFalse(cards.Voicemail),
		},
		Manage: manage,
	}
}

// unlessFalse is true by default.
func unlessFalse(b *bool) bool { return b == nil || *b }

// endpoint accepts https everywhere and http on loopback: credentials must
// not cross a network in the clear.
func (c *compiler) endpoint(o Object, path, raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname()))) {
		c.errorf(o, path, raw, v1alpha1.ReasonInvalid,
			"must be an https URL; plain http only on a loopback address such as http://127.0.0.1:9080")
	}
	return strings.TrimSuffix(raw, "/")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func (c *compiler) credentials(o Object, name string) conf.Credentials {
	const path = "spec.credentialsRef.name"
	if _, ok := c.in.Secrets[name]; !ok {
		c.errorf(o, path, name, v1alpha1.ReasonSecretMissing,
			"there is no Secret %s/%s: create it with the keys client-id, client-secret, service-account, private-key and bot-secret",
			c.in.Tenant.Namespace, name)
		return conf.Credentials{}
	}
	get := func(key string) conf.Secret {
		v, _ := c.secret(o, path, name, key)
		return v
	}
	out := conf.Credentials{
		ClientID:       get(v1alpha1.KeyClientID).Reveal(),
		ClientSecret:   get(v1alpha1.KeyClientSecret),
		ServiceAccount: get(v1alpha1.KeyServiceAccount).Reveal(),
		PrivateKey:     get(v1alpha1.KeyPrivateKey),
		BotSecret:      get(v1alpha1.KeyBotSecret),
	}
	if out.PrivateKey != "" {
		if err := privateKey(out.PrivateKey.Reveal()); err != nil {
			c.errorf(o, path, name, v1alpha1.ReasonSecretInvalid, "key %s %v", v1alpha1.KeyPrivateKey, err)
		}
	}
	return out
}

// privateKey reports what is wrong with a key, never what it holds.
func privateKey(text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("is no PEM text: paste the file that the Developer Console gave, with its BEGIN and END lines")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return errors.New("is no PKCS#8 private key: convert it with openssl pkcs8 -topk8 -nocrypt")
	}
	k, ok := key.(*rsa.PrivateKey)
	if !ok {
		return errors.New("is no RSA key: issue the service account's key anew in the Developer Console")
	}
	if k.N.BitLen() < 2048 {
		return errors.New("has fewer than 2048 bits: issue the service account's key anew in the Developer Console")
	}
	return nil
}
