package conf

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// sorted walks a map by key, so that problems come in one order.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// own makes a number belong to one path.
func (c *checker) own(owners map[string]string, path, number string) {
	if first, taken := owners[number]; taken {
		c.wrong(path, number, "is the same as "+first+": numbers must differ")
		return
	}
	owners[number] = path
}

func (c *checker) extensions(d *Document, owners map[string]string) {
	dids := map[string]string{}
	for i, e := range d.Extensions {
		path := fmt.Sprintf("extensions[%d]", i)
		if c.digits(path+".number", e.Number, 2, 8) {
			c.own(owners, path+".number", e.Number)
		}
		if i > 0 && e.Number < d.Extensions[i-1].Number {
			c.wrong(path+".number", e.Number, "must come in ascending order")
		}
		c.text(path+".displayName", e.DisplayName, 64)
		c.text(path+".worksUser", e.WorksUser, 254)
		if e.Mobile != "" {
			c.digits(path+".mobile", strings.ReplaceAll(e.Mobile, "-", ""), 9, 12)
		}
		c.between(path+".maxContacts", e.MaxContacts, 1, 20)
		if e.Password == "" {
			c.wrong(path+".password", nil, "must not be empty")
		}
		for j, did := range e.DIDs {
			at := fmt.Sprintf("%s.dids[%d]", path, j)
			if c.digits(at, did, 3, 15) {
				c.own(dids, at, did)
			}
		}
		c.ringing(path+".noAnswer.after", e.NoAnswer.After)
	}
}

// ringing accepts 0 for the default.
func (c *checker) ringing(path string, d Duration) {
	if d != 0 && (d.D() < 5*time.Second || d.D() > 180*time.Second) {
		c.wrong(path, d, "must be 5s to 180s")
	}
}

func (c *checker) groups(d *Document, owners map[string]string) {
	extensions := map[string]bool{}
	for _, e := range d.Extensions {
		extensions[e.Number] = true
	}
	for i, g := range d.Groups {
		path := fmt.Sprintf("groups[%d]", i)
		if c.digits(path+".number", g.Number, 2, 8) {
			c.own(owners, path+".number", g.Number)
		}
		c.text(path+".displayName", g.DisplayName, 64)
		c.oneOf(path+".strategy", string(g.Strategy), string(RingAll), string(Sequential))
		c.ringing(path+".timeout", g.Timeout)
		if len(g.Members) == 0 {
			c.wrong(path+".members", nil, "must name an extension")
		}
		seen := map[string]bool{}
		for j, m := range g.Members {
			at := fmt.Sprintf("%s.members[%d]", path, j)
			if !extensions[m] {
				c.wrong(at, m, "is no extension of the document")
			}
			if seen[m] {
				c.wrong(at, m, "is named twice")
			}
			seen[m] = true
		}
	}
}

// trunks returns the DIDs of all trunks with their paths.
func (c *checker) trunks(d *Document) map[string]string {
	dids, names := map[string]string{}, map[string]string{}
	for i := range d.Trunks {
		t, path := &d.Trunks[i], fmt.Sprintf("trunks[%d]", i)
		c.name(path+".name", t.Name)
		c.own(names, path+".name", t.Name)
		c.hosts(path, t)
		if t.Register && (t.Username == "" || t.Password == "") {
			c.wrong(path+".username", nil, "register needs username and password")
		}
		c.text(path+".username", t.Username, 128)
		c.text(path+".realm", t.Realm, 253)
		for j, n := range t.AllowedCIDRs {
			if _, err := netip.ParsePrefix(n); err != nil {
				c.wrong(fmt.Sprintf("%s.allowedCIDRs[%d]", path, j), n, "must be a network such as 198.51.100.0/24")
			}
		}
		for j, n := range t.Numbers {
			at := fmt.Sprintf("%s.numbers[%d]", path, j)
			if c.digits(at, n, 3, 15) {
				c.own(dids, at, n)
			}
		}
		c.callerID(path+".callerID", &t.CallerID)
		c.codecs(path+".codecs", t.Codecs)
		c.oneOf(path+".fax", t.Fax, "", "Off", "G711", "T38")
		c.oneOf(path+".calledFrom", t.CalledFrom, "", "RequestURI", "To", "PCalledPartyID")
		c.oneOf(path+".identity", t.Identity, "", "From", "PAssertedIdentity")
		if t.MaxCalls < 0 {
			c.wrong(path+".maxCalls", t.MaxCalls, "must not be negative; 0 means the class limit")
		}
	}
	return dids
}

func (c *checker) hosts(path string, t *Trunk) {
	if len(t.Hosts) == 0 {
		c.wrong(path+".hosts", nil, "must name a host")
	}
	for j, h := range t.Hosts {
		at := fmt.Sprintf("%s.hosts[%d]", path, j)
		c.name(at+".host", h.Host)
		if strings.ContainsAny(h.Host, " <>\"@;,/[]") {
			c.wrong(at+".host", h.Host, "must be a name or an IP address")
		}
		c.between(at+".port", h.Port, 0, 65535)
		c.oneOf(at+".transport", h.Transport, "UDP", "TCP", "TLS")
	}
}

func (c *checker) callerID(path string, id *CallerID) {
	c.digits(path+".default", id.Default, 3, 15)
	permitted := false
	for j, p := range id.Permitted {
		prefix, star := strings.CutSuffix(p, "*")
		c.digits(fmt.Sprintf("%s.permitted[%d]", path, j), prefix, 1, 15)
		permitted = permitted || prefix == id.Default || (star && strings.HasPrefix(id.Default, prefix))
	}
	if !permitted {
		c.wrong(path+".default", id.Default, "is not among permitted: add it")
	}
}

func (c *checker) flows(d *Document, owners, dids map[string]string) {
	names := map[string]string{}
	for i := range d.Flows {
		f, path := &d.Flows[i], fmt.Sprintf("flows[%d]", i)
		c.name(path+".name", f.Name)
		c.own(names, path+".name", f.Name)
		if len(f.Numbers) == 0 {
			c.wrong(path+".numbers", nil, "must hold a number")
		}
		for j, n := range f.Numbers {
			at := fmt.Sprintf("%s.numbers[%d]", path, j)
			if !c.digits(at, n, 1, 15) {
				continue
			}
			if _, did := dids[n]; !did {
				c.own(owners, at, n)
			}
		}
		c.target(path+".open.dial", f.Open.Dial, d)
		c.target(path+".closed.dial", f.Closed.Dial, d)
		if f.Hours != nil {
			c.hours(path+".hours", f.Hours)
		}
	}
}

// target accepts an extension, a group, or nothing.
func (c *checker) target(path, number string, d *Document) {
	if number != "" && !slices.ContainsFunc(d.Extensions, func(e Extension) bool { return e.Number == number }) &&
		!slices.ContainsFunc(d.Groups, func(g Group) bool { return g.Number == number }) {
		c.wrong(path, number, "is no extension or group of the document")
	}
}

func (c *checker) hours(path string, h *Hours) {
	for i, o := range h.Open {
		at := fmt.Sprintf("%s.open[%d]", path, i)
		if len(o.Days) == 0 {
			c.wrong(at+".days", nil, "must hold a day")
		}
		for j, day := range o.Days {
			c.between(fmt.Sprintf("%s.days[%d]", at, j), int(day), 0, 6)
		}
		if !clock(o.From, false) || !clock(o.To, true) || o.From >= o.To {
			c.wrong(at, o.From+"-"+o.To, "must be two times of day, the earlier first, e.g. 10:00 and 18:00")
		}
	}
	for i, day := range h.Holidays {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			c.wrong(fmt.Sprintf("%s.holidays[%d]", path, i), day, "must be a day such as 2026-05-01")
		}
	}
}

// clock reports whether s is "15:04", or "24:00" where that is allowed.
func clock(s string, endOfDay bool) bool {
	if endOfDay && s == "24:00" {
		return true
	}
	_, err := time.Parse("15:04", s)
	return err == nil && len(s) == len("15:04")
}

// forwards checks where unanswered calls go: digits, of this tenant or not.
func (c *checker) forwards(d *Document) {
	for i, e := range d.Extensions {
		if to := e.NoAnswer.To; to != "" {
			c.digits(fmt.Sprintf("extensions[%d].noAnswer.to", i), to, 1, 15)
		}
	}
	for i, g := range d.Groups {
		if g.NoAnswer != "" {
			c.digits(fmt.Sprintf("groups[%d].noAnswer", i), g.NoAnswer, 1, 15)
		}
	}
}

func (c *checker) bot(b *Bot) {
	if b == nil {
		return
	}
	if b.BotID < 1 {
		c.wrong("bot.botID", b.BotID, "must be at least 1")
	}
	if b.DomainID < 1 {
		c.wrong("bot.domainID", b.DomainID, "must be at least 1")
	}
	c.url("bot.apiURL", b.APIURL)
	c.url("bot.authURL", b.AuthURL)
	c.url("bot.issuerURL", b.IssuerURL)
	for _, f := range []struct{ path, value string }{
		{"clientID", b.Credentials.ClientID},
		{"clientSecret", b.Credentials.ClientSecret.Reveal()},
		{"serviceAccount", b.Credentials.ServiceAccount},
		{"privateKey", b.Credentials.PrivateKey.Reveal()},
		{"botSecret", b.Credentials.BotSecret.Reveal()},
	} {
		if f.value == "" {
			c.wrong("bot.credentials."+f.path, nil, "must not be empty")
		}
	}
}
