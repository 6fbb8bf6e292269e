package compile

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	// Time zones are judged alike on every machine.
	_ "time/tzdata"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

var (
	reLocale = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`)
	reDomain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

func (c *compiler) tenant() {
	t, o := c.in.Tenant, c.tenantObject()
	c.doc.Tenant = conf.Tenant{
		Namespace: t.Namespace, Name: t.Name,
		DisplayName: cmp.Or(t.Spec.DisplayName, t.Name),
		Domain:      t.Spec.Domain,
		Locale:      cmp.Or(t.Spec.Locale, "ko-KR"),
		TimeZone:    cmp.Or(t.Spec.TimeZone, "Asia/Seoul"),
		Suspend:     t.Spec.Suspend,
	}
	if len(t.Spec.Domain) > 253 || !reDomain.MatchString(t.Spec.Domain) {
		c.errorf(o, "spec.domain", t.Spec.Domain, v1alpha1.ReasonInvalid,
			"must be a domain name in lower case with at least one dot, e.g. acme.pbx.example.com")
	}
	c.locale(o)
	c.class(o)
	c.numbering(o)
	c.media(o)
	c.recording(o)
	c.outbound()
	c.web(o)
	c.webTLS(o)
	c.database(o)
	c.sipTLS(o)
}

func (c *compiler) locale(o Object) {
	zone := c.doc.Tenant.TimeZone
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		c.errorf(o, "spec.timeZone", zone, v1alpha1.ReasonInvalid,
			"is no time zone: write an IANA name such as Asia/Seoul")
	}
	locale := c.doc.Tenant.Locale
	if !reLocale.MatchString(locale) {
		c.errorf(o, "spec.locale", locale, v1alpha1.ReasonInvalid,
			"is no language tag: write one such as ko-KR, en-US or ja-JP")
		return
	}
	if lang, _, _ := strings.Cut(locale, "-"); lang != "ko" && lang != "en" && lang != "ja" {
		c.warn(o, "spec.locale", locale, v1alpha1.ReasonNotServed,
			"there are no texts in this language yet: people see English; ko, en and ja are served")
	}
}

func (c *compiler) class(o Object) {
	if c.in.Class == nil {
		name := c.in.Tenant.Spec.ClassName
		if name == "" {
			c.errorf(o, "spec.className", "", v1alpha1.ReasonNotFound,
				"is not set and no PBXClass is the default: name a class, or set spec.default: true on one")
			return
		}
		c.errorf(o, "spec.className", name, v1alpha1.ReasonNotFound,
			"there is no such PBXClass: create it or name another one")
		return
	}
	l := c.in.Class.Spec.Limits
	c.doc.Limits = conf.Limits{
		Extensions:             int(l.Extensions),
		RegistrationsOperating: int(l.Registrations.Operating),
		RegistrationsMaximum:   int(l.Registrations.Maximum),
		ConcurrentCalls:        int(l.ConcurrentCalls),
	}
}

func (c *compiler) numbering(o Object) {
	n := c.in.Tenant.Spec.Numbering
	prefix := "9"
	if n.OutsidePrefix != nil {
		prefix = *n.OutsidePrefix
	}
	emergency := n.Emergency
	if emergency == nil {
		emergency = []string{"112", "119"}
	}
	c.doc.Numbering = conf.Numbering{
		Country: cmp.Or(n.Country, "KR"), AreaCode: cmp.Or(n.AreaCode, "02"),
		OutsidePrefix: prefix, Emergency: slices.Clone(emergency),
	}
	if !slices.Contains(emergency, "119") || !slices.Contains(emergency, "112") {
		c.warn(o, "spec.numbering.emergency", strings.Join(emergency, ","), v1alpha1.ReasonInsecure,
			"does not hold both 112 and 119: calls to a number that is missing obey the outbound policy; add it")
	}
}

func (c *compiler) media(o Object) {
	m := c.in.Tenant.Spec.Media
	c.doc.Media = conf.Media{
		Codecs: c.codecs(o, "spec.media.codecs", m.Codecs),
		SRTP:   string(cmp.Or(m.SRTP, v1alpha1.SRTPOptional)),
	}
}

// codecs are those that calls may use. A list without G.711 is served, but few
// carriers and old phones can take a call then.
func (c *compiler) codecs(o Object, path string, wanted []v1alpha1.Codec) []string {
	if len(wanted) == 0 {
		wanted = []v1alpha1.Codec{v1alpha1.CodecPCMA, v1alpha1.CodecPCMU}
	}
	var out []string
	narrow := false
	for _, codec := range wanted {
		out = append(out, string(codec))
		narrow = narrow || codec == v1alpha1.CodecPCMA || codec == v1alpha1.CodecPCMU
	}
	if !narrow {
		c.warn(o, path, strings.Join(out, ","), v1alpha1.ReasonInsecure, "holds neither PCMA nor PCMU: a phone or carrier that knows nothing else cannot be called; add PCMA at the end")
	}
	return out
}

// recording turns on what is served, and never records a call less safely than
// was asked for.
func (c *compiler) recording(o Object) {
	r := c.in.Tenant.Spec.Recording
	mode := cmp.Or(r.Mode, v1alpha1.RecordingOff)
	c.doc.Recording = conf.Recording{Mode: string(v1alpha1.RecordingOff)}
	if mode == v1alpha1.RecordingOnDemand {
		c.warn(o, "spec.recording.mode", string(mode), v1alpha1.ReasonNotServed,
			"recording on demand is not served yet: calls are not recorded")
	}
	if r.EncryptionKeyRef != nil {
		c.warn(o, "spec.recording.encryptionKeyRef.name", r.EncryptionKeyRef.Name, v1alpha1.ReasonNotServed,
			"encrypted recordings are not served yet, and nothing is recorded without this key: calls are not recorded")
		return
	}
	if mode == v1alpha1.RecordingAll {
		c.doc.Recording.Mode = string(mode)
		c.warn(o, "spec.recording.retention", r.Retention, v1alpha1.ReasonNotServed,
			"retention is not served yet: recordings are kept until somebody deletes them")
	}
}

func (c *compiler) outbound() {
	out := c.in.Tenant.Spec.Outbound
	perMinute, daily := int32(30), int32(600)
	if out.MaxCallsPerMinute != nil {
		perMinute = *out.MaxCallsPerMinute
	}
	if out.DailyMinutes != nil {
		daily = *out.DailyMinutes
	}
	c.doc.Outbound = conf.Outbound{
		Policy:            string(cmp.Or(out.Policy, v1alpha1.OutboundDomestic)),
		MaxCallsPerMinute: int(perMinute), DailyMinutes: int(daily),
	}
}

func (c *compiler) web(o Object) {
	w := c.in.Tenant.Spec.Web
	c.doc.Web = conf.Web{
		BaseURL:        strings.TrimSuffix(cmp.Or(w.ExternalURL, "https://"+c.in.Tenant.Spec.Domain), "/"),
		Administrators: slices.Clone(w.Administrators),
		TrustedProxies: slices.Clone(c.in.TrustedProxies),
	}
	c.doc.TrustedCAs = c.in.TrustedCAs
	token, _ := c.generated(o, "", APISecret(c.in.Tenant.Name), v1alpha1.KeyToken)
	session, ok := c.generated(o, "", SessionSecret(c.in.Tenant.Name), v1alpha1.KeySession)
	if ok && len(session) < 32 {
		c.errorf(o, "", "", v1alpha1.ReasonSecretInvalid,
			"Secret %s/%s: key %s must have at least 32 bytes: delete the Secret, it is made anew",
			c.in.Tenant.Namespace, SessionSecret(c.in.Tenant.Name), v1alpha1.KeySession)
	}
	c.doc.Web.APIToken, c.doc.Web.SessionKey = token, session
}

// webTLS looks for the certificate of the console. Without it the ingress shows
// its own: the telephone works, so it is a Warning.
func (c *compiler) webTLS(o Object) {
	tls := c.in.Tenant.Spec.Web.TLS
	if tls == nil || tls.SecretRef == nil {
		return
	}
	name := tls.SecretRef.Name
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(c.in.Secrets[name][key]) == 0 {
			c.warn(o, "spec.web.tls.secretRef.name", name, v1alpha1.ReasonSecretMissing, fmt.Sprintf(
				"there is no Secret %s/%s with the key %s, so browsers and NAVER WORKS see no valid certificate: create it with the keys %s and %s",
				c.in.Tenant.Namespace, name, key, corev1.TLSCertKey, corev1.TLSPrivateKeyKey))
			return
		}
	}
}

func (c *compiler) database(o Object) {
	ref := c.in.Tenant.Spec.Database.PostgresSecretRef
	if ref == nil {
		return
	}
	const path = "spec.database.postgresSecretRef.name"
	dsn, ok := c.secret(o, path, ref.Name, v1alpha1.KeyDSN)
	if !ok {
		return
	}
	u, err := url.Parse(dsn.Reveal())
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Host == "" {
		c.errorf(o, path, ref.Name, v1alpha1.ReasonSecretInvalid,
			"key %s must be a URL like postgres://user:password@host:5432/database", v1alpha1.KeyDSN)
		return
	}
	c.doc.Database.PostgresDSN = dsn
}

func (c *compiler) network() {
	o := c.tenantObject()
	c.doc.Network = conf.Network{Advertise: c.advertise(o), Ports: c.in.Ports}
	p := c.in.Ports
	seen := map[int]string{}
	for _, port := range []struct {
		name string
		n    int
	}{{"sip", p.SIP}, {"sips", p.SIPS}, {"wss", p.WSS}, {"http", p.HTTP}, {"admin", p.Admin}} {
		path := "ports." + port.name
		if port.n < 0 || port.n > 65535 {
			c.errorf(o, path, strconv.Itoa(port.n), v1alpha1.ReasonInvalid, "must be 1 to 65535, or 0 for a free one")
			continue
		}
		if port.n == 0 {
			continue
		}
		if other, taken := seen[port.n]; taken {
			c.errorf(o, path, strconv.Itoa(port.n), v1alpha1.ReasonConflict, "is also the port of %s: give them different ports", other)
		}
		seen[port.n] = port.name
		if p.RTPFrom > 0 && port.n >= p.RTPFrom && port.n <= p.RTPTo {
			c.errorf(o, path, strconv.Itoa(port.n), v1alpha1.ReasonConflict, "lies in the RTP range %d-%d: move one of the two", p.RTPFrom, p.RTPTo)
		}
	}
	c.rtpPorts(o, p)
}

func (c *compiler) rtpPorts(o Object, p conf.Ports) {
	const path = "ports.rtp"
	value := fmt.Sprintf("%d-%d", p.RTPFrom, p.RTPTo)
	need := 4 * c.doc.Limits.ConcurrentCalls
	switch {
	case p.RTPFrom == 0 && p.RTPTo == 0: // the kernel chooses: tests only
	case p.RTPFrom < 1 || p.RTPTo > 65535 || p.RTPFrom > p.RTPTo:
		c.errorf(o, path, value, v1alpha1.ReasonInvalid, "must lie within 1 to 65535, lower end first")
	case p.RTPFrom%2 != 0:
		c.errorf(o, path, value, v1alpha1.ReasonInvalid, "must begin with an even port: RTP uses even ports")
	case p.RTPTo-p.RTPFrom+1 < need:
		c.errorf(o, path, value, v1alpha1.ReasonLimitExceeded,
			"is too small: %d calls need %d ports; widen it or choose a smaller class", c.doc.Limits.ConcurrentCalls, need)
	case p.RTPTo >= 32768:
		c.warn(o, path, value, v1alpha1.ReasonConflict,
			"reaches into the kernel's ephemeral ports (32768 and above): other programs may take them; stay below")
	}
}

func (c *compiler) advertise(o Object) map[string][]string {
	out := maps.Clone(c.in.Advertise)
	if len(out) == 0 && c.in.Class != nil && c.in.Class.Spec.Network.Advertise.From == v1alpha1.AdvertiseStatic {
		out = map[string][]string{"": {c.in.Class.Spec.Network.Advertise.Address}}
	}
	if len(out) == 0 && c.in.Class != nil {
		c.errorf(o, "", "", v1alpha1.ReasonNotFound,
			"no address is known to tell phones and trunks: give the nodes of class %s an address (%s), or set its network.advertise.from to NodeInternalIP or Static",
			c.in.Class.Name, cmp.Or(c.in.Class.Spec.Network.Advertise.From, v1alpha1.AdvertiseNodeExternalIP))
	}
	for _, node := range slices.Sorted(maps.Keys(out)) {
		for _, a := range out[node] {
			if ip, err := netip.ParseAddr(a); err != nil || ip.IsUnspecified() {
				c.errorf(o, "advertise["+strconv.Quote(node)+"]", a, v1alpha1.ReasonInvalid,
					"must be an IPv4 or IPv6 address that phones can reach, e.g. 203.0.113.10")
			}
		}
	}
	return out
}

// index writes the path of one element.
func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// duration reads a duration that the schema has checked already; a wrong one
// is reported, an empty one is the default.
func (c *compiler) duration(o Object, path string, d v1alpha1.Duration, def, least, most time.Duration) conf.Duration {
	if d == "" {
		return conf.Duration(def)
	}
	v, err := time.ParseDuration(string(d))
	if err != nil || v < least || v > most {
		c.errorf(o, path, string(d), v1alpha1.ReasonInvalid, "must be between %v and %v, e.g. \"%v\"", least, most, def)
		return conf.Duration(def)
	}
	return conf.Duration(v)
}
