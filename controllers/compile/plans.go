package compile

import (
	"cmp"
	"net/netip"
	"strings"
	"time"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// voicemail is the word that stands for a mailbox where a number is expected.
const voicemail = "voicemail"

// passwordLength is the least length of an extension's password. The password
// is what stands between the internet and the company's telephone bill.
const passwordLength = 12

// plans reads all numbers first, so that references may point forward.
func (c *compiler) plans() {
	for i := range c.in.Plans {
		c.claimPlan(&c.in.Plans[i])
	}
	for i := range c.in.Flows {
		c.claimFlow(&c.in.Flows[i])
	}
	for i := range c.in.Plans {
		c.claimDirectory(&c.in.Plans[i])
	}
	for i := range c.in.Plans {
		c.plan(&c.in.Plans[i])
	}
	for i := range c.in.Plans {
		c.directory(&c.in.Plans[i])
	}
	c.extensionLimit()
}

func planObject(p *v1alpha1.ExtensionPlan) Object {
	return Object{v1alpha1.KindExtensionPlan, p.Namespace, p.Name}
}

func (c *compiler) claimPlan(p *v1alpha1.ExtensionPlan) {
	o := planObject(p)
	for i, e := range p.Spec.Extensions {
		c.claimNumber(e.Number, place{o, index("spec.extensions", i) + ".number", isExtension})
	}
	for i, r := range p.Spec.Ranges {
		c.claimRange(o, index("spec.ranges", i), r)
	}
	for i, g := range p.Spec.Groups {
		c.claimNumber(g.Number, place{o, index("spec.groups", i) + ".number", isGroup})
	}
	for i, r := range p.Spec.Conferences {
		c.claimNumber(r.Number, place{o, index("spec.conferences", i) + ".number", isConference})
	}
	for i, r := range p.Spec.Pages {
		c.claimNumber(r.Number, place{o, index("spec.pages", i) + ".number", isPage})
	}
}

// claimNumber judges a number and makes it belong to one place.
func (c *compiler) claimNumber(number string, p place) bool {
	if !validInternal(number) {
		c.errorf(p.object, p.path, number, v1alpha1.ReasonInvalid, "must be 2 to 8 digits, e.g. 101")
		return false
	}
	return c.dialable(number, p) && c.claim(number, p)
}

// dialable reports whether people can reach a number by dialling it.
func (c *compiler) dialable(number string, p place) bool {
	for _, e := range c.doc.Numbering.Emergency {
		if number == e {
			c.errorf(p.object, p.path, number, v1alpha1.ReasonConflict,
				"is an emergency number (spec.numbering.emergency of the tenant): choose another number")
			return false
		}
	}
	if did, taken := c.dids[number]; taken {
		c.errorf(p.object, p.path, number, v1alpha1.ReasonConflict,
			"is also an outside number of the company (%s): choose another number", did)
		return false
	}
	prefix := c.doc.Numbering.OutsidePrefix
	if prefix != "" && strings.HasPrefix(number, prefix) {
		c.errorf(p.object, p.path, number, v1alpha1.ReasonConflict,
			"begins with the outside prefix %s, so dialling it would leave the company: choose another number or change spec.numbering.outsidePrefix of the tenant", prefix)
		return false
	}
	if prefix == "" && strings.HasPrefix(number, "0") {
		c.errorf(p.object, p.path, number, v1alpha1.ReasonConflict,
			"begins with 0 and there is no outside prefix, so dialling it would leave the company: choose another number or set spec.numbering.outsidePrefix of the tenant")
		return false
	}
	return true
}

// claimRange claims every number of a range, and reports only the first that
// is wrong, since fifty lines would say the same.
func (c *compiler) claimRange(o Object, path string, r v1alpha1.ExtensionRange) {
	numbers, err := expand(r)
	if err != nil {
		c.errorf(o, path, r.From+"-"+r.To, v1alpha1.ReasonInvalid, "%v", err)
		return
	}
	for _, n := range numbers {
		if !c.claimNumber(n, place{o, path, isExtension}) {
			return
		}
	}
}

func (c *compiler) plan(p *v1alpha1.ExtensionPlan) {
	o := planObject(p)
	for i := range p.Spec.Extensions {
		c.extension(o, index("spec.extensions", i), &p.Spec.Extensions[i])
	}
	for i, r := range p.Spec.Ranges {
		c.extensionRange(o, index("spec.ranges", i), r)
	}
	for i := range p.Spec.Groups {
		c.group(o, index("spec.groups", i), &p.Spec.Groups[i])
	}
	for i, r := range p.Spec.Conferences {
		c.warn(o, index("spec.conferences", i), r.Number, v1alpha1.ReasonNotServed,
			"conference rooms are not served yet: the number is kept and leads nowhere")
	}
	for i, r := range p.Spec.Pages {
		c.page(o, index("spec.pages", i), r)
	}
}

// mine reports whether the number was claimed at this place: of two that are
// equal only the first goes into the document.
func (c *compiler) mine(number string, o Object, path string) bool {
	p, ok := c.internal[number]
	return ok && p.object == o && p.path == path
}

func (c *compiler) extension(o Object, path string, e *v1alpha1.Extension) {
	name, secretPath := ExtensionSecret(c.in.Tenant.Name, e.Number), path+".number"
	var password conf.Secret
	var ok bool
	if e.SecretRef != nil {
		name, secretPath = e.SecretRef.Name, path+".secretRef.name"
		password, ok = c.secret(o, secretPath, name, v1alpha1.KeyPassword)
	} else if validInternal(e.Number) {
		password, ok = c.generated(o, secretPath, name, v1alpha1.KeyPassword)
	}
	if ok {
		c.password(o, secretPath, name, password)
	}
	out := conf.Extension{
		Number: e.Number, DisplayName: e.DisplayName, WorksUser: strings.TrimSpace(e.WorksUser),
		MaxContacts: int(cmp.Or(e.MaxContacts, defaultContacts)), Password: password, AutoAnswer: e.AutoAnswer,
	}
	if e.Mobile != "" {
		m, err := mobile(e.Mobile)
		if err != nil {
			c.errorf(o, path+".mobile", e.Mobile, v1alpha1.ReasonInvalid, "%v", err)
		}
		out.Mobile = m
	}
	c.worksUser(o, path+".worksUser", out.WorksUser)
	for i, did := range e.DID {
		if digits, ok := c.leadDID(o, index(path+".did", i), did); ok {
			out.DIDs = append(out.DIDs, digits)
			c.edges[digits] = append(c.edges[digits], edge{e.Number, o, index(path+".did", i)})
		}
	}
	if e.NoAnswer != nil {
		out.NoAnswer = conf.Forward{
			After: c.duration(o, path+".noAnswer.after", e.NoAnswer.After, 30*time.Second, 5*time.Second, 180*time.Second),
			To:    c.forward(o, path+".noAnswer.to", e.Number, e.NoAnswer.To),
		}
	}
	if c.mine(e.Number, o, path+".number") {
		c.doc.Extensions = append(c.doc.Extensions, out)
	}
}

func (c *compiler) password(o Object, path, name string, password conf.Secret) {
	p := password.Reveal()
	if len(p) < passwordLength || len(p) > 128 {
		c.errorf(o, path, name, v1alpha1.ReasonSecretInvalid,
			"key %s of Secret %s/%s must have %d to 128 characters: choose a longer random one, or remove secretRef to have one made",
			v1alpha1.KeyPassword, c.in.Tenant.Namespace, name, passwordLength)
		return
	}
	if strings.ContainsFunc(p, func(r rune) bool { return r < '!' || r > '~' }) {
		c.errorf(o, path, name, v1alpha1.ReasonSecretInvalid,
			"key %s of Secret %s/%s holds a blank or a character that phones cannot enter: use letters, digits and ASCII signs",
			v1alpha1.KeyPassword, c.in.Tenant.Namespace, name)
	}
}

func (c *compiler) worksUser(o Object, path, user string) {
	if user == "" {
		return
	}
	if strings.ContainsAny(user, " \t\r\n") {
		c.errorf(o, path, user, v1alpha1.ReasonInvalid, "must be a NAVER WORKS login e-mail or user ID without blanks")
		return
	}
	key := strings.ToLower(user)
	if first, taken := c.users[key]; taken {
		c.errorf(o, path, user, v1alpha1.ReasonDuplicate,
			"this user already has the extension of %s, and a press must say whose phone is meant: remove one of the two", first)
		return
	}
	c.users[key] = place{o, path, isExtension}
}

func (c *compiler) extensionRange(o Object, path string, r v1alpha1.ExtensionRange) {
	numbers, err := expand(r)
	if err != nil {
		return // told while claiming
	}
	for _, n := range numbers {
		if !c.mine(n, o, path) {
			continue
		}
		password, ok := c.generated(o, path, ExtensionSecret(c.in.Tenant.Name, n), v1alpha1.KeyPassword)
		if !ok {
			return // fifty lines would say the same
		}
		c.doc.Extensions = append(c.doc.Extensions, conf.Extension{
			Number: n, MaxContacts: int(cmp.Or(r.MaxContacts, 1)), Password: password,
		})
	}
}

func (c *compiler) group(o Object, path string, g *v1alpha1.RingGroup) {
	out := conf.Group{
		Number: g.Number, DisplayName: g.DisplayName, Strategy: conf.Strategy(cmp.Or(g.Strategy, v1alpha1.StrategyRingAll)),
		Timeout:  c.duration(o, path+".timeout", g.Timeout, 25*time.Second, 5*time.Second, 180*time.Second),
		NoAnswer: c.forward(o, path+".noAnswer", g.Number, g.NoAnswer),
	}
	if out.Strategy != conf.RingAll && out.Strategy != conf.Sequential {
		c.warn(o, path+".strategy", string(out.Strategy), v1alpha1.ReasonNotServed,
			"this strategy is not served yet: the group rings all members at once (RingAll)")
		out.Strategy = conf.RingAll
	}
	out.Members = c.members(o, path+".members", g.Members)
	if c.mine(g.Number, o, path+".number") {
		c.doc.Groups = append(c.doc.Groups, out)
	}
}

func (c *compiler) members(o Object, path string, members []string) []string {
	if len(members) == 0 {
		c.errorf(o, path, "", v1alpha1.ReasonInvalid, "must name at least one extension")
	}
	seen := map[string]bool{}
	var out []string
	for i, m := range members {
		p, ok := c.internal[m]
		switch {
		case !ok && c.hasDirectory():
			// Somebody has left the company: that must not stop the others.
			c.warn(o, index(path, i), m, v1alpha1.ReasonNotFound,
				"there is no such extension, in no plan and not in the directory: the others ring; add it or remove it here")
		case !ok:
			c.errorf(o, index(path, i), m, v1alpha1.ReasonNotFound,
				"there is no such extension: add it to a plan or remove it here")
		case p.kind != isExtension:
			c.errorf(o, index(path, i), m, v1alpha1.ReasonInvalid,
				"is a %s (%s), members must be extensions: name its extensions instead", p.kind, p)
		case seen[m]:
			c.errorf(o, index(path, i), m, v1alpha1.ReasonDuplicate, "is named twice: remove one of the two")
		default:
			out = append(out, m)
		}
		seen[m] = true
	}
	if len(out) == 0 && len(members) > 0 && c.hasDirectory() {
		c.errorf(o, path, strings.Join(members, ","), v1alpha1.ReasonNotFound, "none of them exists: name at least one extension")
	}
	return out
}

func (c *compiler) page(o Object, path string, p v1alpha1.Page) {
	if len(p.Members) > 0 {
		c.members(o, path+".members", p.Members)
	}
	if p.Multicast != "" {
		a, err := netip.ParseAddrPort(p.Multicast)
		if err != nil || !a.Addr().IsMulticast() || a.Port() == 0 {
			c.errorf(o, path+".multicast", p.Multicast, v1alpha1.ReasonInvalid,
				"must be a multicast address and a port, e.g. 239.10.0.1:5004")
		}
	}
	c.warn(o, path, p.Number, v1alpha1.ReasonNotServed,
		"pages are not served yet: the number is kept and leads nowhere")
}

// forward resolves where an unanswered call goes: an internal number, or an
// outside one that a trunk and the policy allow.
func (c *compiler) forward(o Object, path, from, to string) string {
	if to == "" {
		return ""
	}
	if to == voicemail {
		c.warn(o, path, to, v1alpha1.ReasonNotServed, "voicemail is not served yet: the call ends instead")
		return ""
	}
	if p, ok := c.internal[to]; ok {
		if p.kind == isConference || p.kind == isPage {
			c.errorf(o, path, to, v1alpha1.ReasonNotServed,
				"is a %s (%s), which is not served yet: name an extension or a group", p.kind, p)
			return ""
		}
		c.edges[from] = append(c.edges[from], edge{to, o, path})
		return to
	}
	digits, err := National(to)
	if err != nil && validInternal(to) && c.hasDirectory() {
		c.warn(o, path, to, v1alpha1.ReasonNotFound,
			"there is no such extension, in no plan and not in the directory: the call ends instead; name another one")
		return ""
	}
	if err != nil {
		c.errorf(o, path, to, v1alpha1.ReasonNotFound,
			"is no number of this tenant and no outside number: name an extension, a group, or write the outside number whole, e.g. 010-1234-5678")
		return ""
	}
	if _, ours := c.dids[digits]; ours {
		c.edges[from] = append(c.edges[from], edge{digits, o, path})
		return digits // the call stays in the house
	}
	if policy := c.doc.Outbound.Policy; policy != string(v1alpha1.OutboundDomestic) && policy != string(v1alpha1.OutboundInternational) {
		c.errorf(o, path, to, v1alpha1.ReasonConflict,
			"is an outside number, which spec.outbound.policy %s of the tenant refuses: set Domestic or name an internal number", policy)
	}
	if len(c.in.Trunks) == 0 {
		c.errorf(o, path, to, v1alpha1.ReasonNotFound, "is an outside number and the tenant has no SIPTrunk: create one or name an internal number")
	}
	return digits
}

func (c *compiler) extensionLimit() {
	limit := c.doc.Limits.Extensions
	if n := len(c.doc.Extensions); c.in.Class != nil && n > limit {
		c.errorf(c.tenantObject(), "spec.className", c.in.Class.Name, v1alpha1.ReasonLimitExceeded,
			"the plans hold %d extensions, this class sells %d: remove %d or choose a larger class", n, limit, n-limit)
	}
}
