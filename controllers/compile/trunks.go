package compile

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

var reHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?$`)

func (c *compiler) trunks() {
	for i := range c.in.Trunks {
		c.trunk(&c.in.Trunks[i])
	}
}

func (c *compiler) trunk(t *v1alpha1.SIPTrunk) {
	o := Object{v1alpha1.KindSIPTrunk, t.Namespace, t.Name}
	out := conf.Trunk{
		Name: t.Name, Register: t.Spec.Auth.Register, Realm: t.Spec.Auth.Realm,
		Codecs: c.codecs(o, "spec.codecs", t.Spec.Codecs), Fax: string(v1alpha1.FaxOff), MaxCalls: int(t.Spec.MaxCalls),
		CalledFrom: string(cmp.Or(t.Spec.CalledFrom, v1alpha1.CalledFromRequestURI)),
		Identity:   string(cmp.Or(t.Spec.Identity, v1alpha1.IdentityFrom)),
	}
	c.hosts(o, t, &out)
	c.trunkAuth(o, t, &out)
	c.trunkNumbers(o, t, &out)
	c.callerID(o, t, &out)
	if fax := cmp.Or(t.Spec.Fax, v1alpha1.FaxOff); fax != v1alpha1.FaxOff {
		c.warn(o, "spec.fax", string(fax), v1alpha1.ReasonNotServed, "fax is not served yet: faxes fail")
	}
	c.doc.Trunks = append(c.doc.Trunks, out)
}

func (c *compiler) hosts(o Object, t *v1alpha1.SIPTrunk, out *conf.Trunk) {
	if len(t.Spec.Hosts) == 0 {
		c.errorf(o, "spec.hosts", "", v1alpha1.ReasonInvalid, "must name at least one host of the carrier")
	}
	seen := map[string]bool{}
	for i, h := range t.Spec.Hosts {
		path := index("spec.hosts", i)
		if _, err := netip.ParseAddr(h.Host); err != nil && !reHost.MatchString(h.Host) {
			c.errorf(o, path+".host", h.Host, v1alpha1.ReasonInvalid,
				"must be a host name or an IP address without a port, e.g. sip.carrier.example")
		}
		if h.Port < 0 || h.Port > 65535 {
			c.errorf(o, path+".port", strconv.Itoa(int(h.Port)), v1alpha1.ReasonInvalid, "must be 1 to 65535, or 0 for SRV records and then 5060 (TLS: 5061)")
		}
		transport := cmp.Or(h.Transport, v1alpha1.TransportUDP)
		key := h.Host + " " + strconv.Itoa(int(h.Port)) + " " + string(transport)
		if seen[key] {
			c.errorf(o, path, h.Host, v1alpha1.ReasonDuplicate, "is named twice: remove one of the two")
		}
		seen[key] = true
		out.Hosts = append(out.Hosts, conf.TrunkHost{
			Host: h.Host, Port: int(h.Port), Transport: string(transport), Weight: int(cmp.Or(h.Weight, 1)),
		})
	}
}

func (c *compiler) trunkAuth(o Object, t *v1alpha1.SIPTrunk, out *conf.Trunk) {
	auth := t.Spec.Auth
	if ref := auth.SecretRef; ref != nil {
		user, _ := c.secret(o, "spec.auth.secretRef.name", ref.Name, v1alpha1.KeyUsername)
		password, _ := c.secret(o, "spec.auth.secretRef.name", ref.Name, v1alpha1.KeyPassword)
		out.Username, out.Password = user.Reveal(), password
	} else if auth.Register {
		c.errorf(o, "spec.auth.secretRef", "", v1alpha1.ReasonInvalid,
			"register: true needs it: name a Secret with the keys username and password")
	}
	if auth.IPAuthentication == nil {
		return
	}
	for i, cidr := range auth.IPAuthentication.AllowedCIDRs {
		path := index("spec.auth.ipAuthentication.allowedCIDRs", i)
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			c.errorf(o, path, cidr, v1alpha1.ReasonInvalid, "must be a network such as 198.51.100.0/24")
			continue
		}
		if p.Bits() == 0 {
			c.errorf(o, path, cidr, v1alpha1.ReasonInsecure,
				"would let anybody on the internet call over this trunk: name the carrier's networks only")
			continue
		}
		out.AllowedCIDRs = append(out.AllowedCIDRs, p.Masked().String())
	}
}

func (c *compiler) trunkNumbers(o Object, t *v1alpha1.SIPTrunk, out *conf.Trunk) {
	out.Numbers = []string{}
	for i, n := range t.Spec.Numbers {
		path := index("spec.numbers", i)
		digits, err := National(n)
		if err != nil {
			c.errorf(o, path, n, v1alpha1.ReasonInvalid, "%v", err)
			continue
		}
		if first, taken := c.dids[digits]; taken {
			c.errorf(o, path, n, v1alpha1.ReasonDuplicate,
				"this number already arrives at %s: a number has one trunk, remove one of the two", first)
			continue
		}
		c.dids[digits] = place{object: o, path: path}
		out.Numbers = append(out.Numbers, digits)
	}
}

func (c *compiler) callerID(o Object, t *v1alpha1.SIPTrunk, out *conf.Trunk) {
	id := t.Spec.CallerID
	out.CallerID.Permitted = slices.Clone(out.Numbers)
	if len(id.Permitted) > 0 {
		out.CallerID.Permitted = nil
	}
	for i, p := range id.Permitted {
		digits, err := permitted(p)
		if err != nil {
			c.errorf(o, index("spec.callerID.permitted", i), p, v1alpha1.ReasonInvalid, "%v", err)
			continue
		}
		out.CallerID.Permitted = append(out.CallerID.Permitted, digits)
	}
	const path = "spec.callerID.default"
	digits, err := National(id.Default)
	if err != nil {
		c.errorf(o, path, id.Default, v1alpha1.ReasonInvalid, "%v", err)
		return
	}
	out.CallerID.Default = digits
	if !slices.ContainsFunc(out.CallerID.Permitted, func(p string) bool { return permits(p, digits) }) {
		c.errorf(o, path, id.Default, v1alpha1.ReasonConflict,
			"is not among spec.callerID.permitted (or, without that, spec.numbers), so the carrier would refuse it: add it there or choose one of them")
	}
}

// leadDID makes a DID of a trunk lead to one place.
func (c *compiler) leadDID(o Object, path, written string) (string, bool) {
	digits, err := National(written)
	if err != nil {
		c.errorf(o, path, written, v1alpha1.ReasonInvalid, "%v", err)
		return "", false
	}
	if _, ok := c.dids[digits]; !ok {
		c.errorf(o, path, written, v1alpha1.ReasonNotFound,
			"arrives at no trunk: add it to spec.numbers of a SIPTrunk or remove it here")
		return "", false
	}
	if first, taken := c.answered[digits]; taken {
		c.errorf(o, path, written, v1alpha1.ReasonDuplicate,
			"already leads to %s: a number leads to one place, remove one of the two", first)
		return "", false
	}
	c.answered[digits] = place{object: o, path: path}
	return digits, true
}

// unusedNumbers tells of DIDs that lead nowhere.
func (c *compiler) unusedNumbers() {
	for _, t := range c.in.Trunks {
		o := Object{v1alpha1.KindSIPTrunk, t.Namespace, t.Name}
		for i, n := range t.Spec.Numbers {
			digits, err := National(n)
			if err != nil {
				continue
			}
			if _, used := c.answered[digits]; !used && c.dids[digits].object == o {
				c.warn(o, index("spec.numbers", i), n, v1alpha1.ReasonNotFound,
					"leads nowhere, callers hear that the number does not exist: name it in a CallFlow or as did of an extension")
			}
		}
	}
}
