package server

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/bot"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works"
)

// botConfig is what the bot knows of the document.
func botConfig(d *conf.Document) bot.Config {
	c := bot.Config{
		BaseURL: d.Web.BaseURL, Locale: d.Tenant.Locale, TimeZone: zone(d),
		Extensions: make([]bot.Extension, len(d.Extensions)),
	}
	if d.Bot != nil {
		c.Cards = bot.Cards{External: d.Bot.Cards.External, Internal: d.Bot.Cards.Internal, Missed: d.Bot.Cards.Missed}
	}
	for i, e := range d.Extensions {
		c.Extensions[i] = bot.Extension{
			Number: e.Number, DisplayName: e.DisplayName, WorksUser: e.WorksUser, Mobile: e.Mobile,
		}
	}
	return c
}

// webConfig is what console, REST and callbacks know of the document.
func webConfig(d *conf.Document, k keys) (web.Config, error) {
	roots, err := works.Roots(d.TrustedCAs)
	if err != nil {
		return web.Config{}, err
	}
	proxies, err := networks("web.trustedProxies", d.Web.TrustedProxies)
	if err != nil {
		return web.Config{}, err
	}
	c := web.Config{
		RootCAs: roots, TrustedProxies: proxies, Tenant: d.Tenant.Namespace + "/" + d.Tenant.Name, DisplayName: d.Tenant.DisplayName,
		Locale: d.Tenant.Locale, TimeZone: zone(d), BaseURL: d.Web.BaseURL,
		Administrators: d.Web.Administrators, Extensions: make([]web.Extension, len(d.Extensions)),
		APIToken: cmp.Or(d.Web.APIToken.Reveal(), k.apiToken), SessionKey: k.session,
	}
	if key := d.Web.SessionKey.Reveal(); key != "" {
		c.SessionKey = derive(key, forSessions) // a rotated key is in force at once
	}
	for i, e := range d.Extensions {
		c.Extensions[i] = web.Extension{Number: e.Number, DisplayName: e.DisplayName, WorksUser: e.WorksUser}
	}
	if b := d.Bot; b != nil {
		secret := b.Credentials.BotSecret.Reveal()
		c.OIDC = web.OIDC{
			IssuerURL: b.IssuerURL, ClientID: b.Credentials.ClientID, ClientSecret: b.Credentials.ClientSecret.Reveal(),
		}
		c.Callback = web.Callback{
			BotID: strconv.FormatInt(b.BotID, 10),
			Verify: func(body []byte, signature string) bool {
				return works.VerifyCallback(secret, body, signature)
			},
		}
	}
	c.Callback.Mark = d.Tenant.Mark()
	return c, nil
}

// zone is the tenant's time zone; Validate has made sure that it exists.
func zone(d *conf.Document) *time.Location {
	if z, err := time.LoadLocation(d.Tenant.TimeZone); err == nil {
		return z
	}
	return time.UTC
}

// press serves one verified callback.
func (s *Server) press(ctx context.Context, body []byte) error {
	arrived := time.Now()
	err := s.bot.Deliver(ctx, body)
	s.metrics.Press(time.Since(arrived))
	return err
}

// registrations lists the registered phones of every extension.
func (s *Server) registrations(context.Context) ([]pbx.Contact, error) {
	var list []pbx.Contact
	for _, e := range s.document().Extensions {
		list = append(list, s.agent.Contacts(e.Number)...)
	}
	return list, nil
}

var errDraining = errors.New("draining: no new calls are taken")

// healthy is what /healthz asks: whether a new process would do better. It
// would not if the database is away: calls go on without it, records wait in
// the journal, and a restart would only make the calls pause.
func (s *Server) healthy() error { return nil }

// ready is what /readyz asks: new calls and presses are welcome. Neither needs
// the database.
func (s *Server) ready() error {
	if s.engine.Draining() {
		return errDraining
	}
	return nil
}

// databaseUp tells whether the database answers: 1 or 0.
func (s *Server) databaseUp() float64 {
	if s.database.up() {
		return 1
	}
	return 0
}
