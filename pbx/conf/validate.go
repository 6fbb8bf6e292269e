package conf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Parse reads a document from JSON. It refuses unknown fields, text after the
// document, another version, and what Validate refuses. The error never holds
// a secret.
func Parse(b []byte) (*Document, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var d *Document
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("document: %w", plain(err))
	}
	if d == nil {
		return nil, errors.New("document: is null: write an object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("document: more text follows the object: remove it")
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// GenerationOf reads the generation out of a text that Parse may have refused;
// "" if it has none.
func GenerationOf(b []byte) string {
	var d struct {
		Generation string `json:"generation"`
	}
	if json.Unmarshal(b, &d) != nil || len(d.Generation) > maxGeneration {
		return ""
	}
	return d.Generation
}

const maxGeneration = 253

// plain keeps a decoder's error from quoting a value of the document.
func plain(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s: must be of type %s", wrong.Field, wrong.Type)
	}
	return err
}

// checker collects problems with the path of each field.
type checker struct {
	errs []error
}

// wrong reports one field; value is shown unless it is nil.
func (c *checker) wrong(path string, value any, cure string) {
	if value == nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %s", path, cure))
		return
	}
	if s, ok := value.(string); ok {
		value = strconv.Quote(s)
	}
	c.errs = append(c.errs, fmt.Errorf("%s %v: %s", path, value, cure))
}

func (c *checker) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.wrong(path, value, "must be one of "+strings.TrimPrefix(strings.Join(allowed, ", "), ", "))
	}
}

func (c *checker) between(path string, value, least, most int) {
	if value < least || value > most {
		c.wrong(path, value, fmt.Sprintf("must be %d to %d", least, most))
	}
}

func (c *checker) digits(path, value string, least, most int) bool {
	if len(value) < least || len(value) > most || strings.Trim(value, "0123456789") != "" {
		c.wrong(path, value, fmt.Sprintf("must be %d to %d digits", least, most))
		return false
	}
	return true
}

// text refuses what must not reach a SIP header or a log line.
func (c *checker) text(path, value string, most int) {
	if !utf8.ValidString(value) || utf8.RuneCountInString(value) > most ||
		strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.wrong(path, value, fmt.Sprintf("must be at most %d characters without control characters", most))
	}
}

func (c *checker) name(path, value string) {
	if value == "" {
		c.wrong(path, nil, "must not be empty")
	}
	c.text(path, value, 253)
}

// Validate reports everything that is wrong with the document, each problem
// with the path of its field and its value, joined into one error:
//
//	extensions[3].number "1x1": must be 2 to 8 digits
func (d *Document) Validate() error {
	if d == nil {
		return errors.New("document: there is none")
	}
	if d.Version != Version {
		return fmt.Errorf("version %d: this program reads version %d: update the older of the two", d.Version, Version)
	}
	c := &checker{}
	c.tenant(d)
	c.network(&d.Network, d.Limits.ConcurrentCalls)
	c.policies(d)
	c.web(d)
	c.sipTLS(d.SIPTLS)
	owners := map[string]string{}
	c.extensions(d, owners)
	c.groups(d, owners)
	dids := c.trunks(d)
	c.flows(d, owners, dids)
	c.forwards(d)
	c.bot(d.Bot)
	return errors.Join(c.errs...)
}

func (c *checker) tenant(d *Document) {
	c.name("tenant.namespace", d.Tenant.Namespace)
	c.name("tenant.name", d.Tenant.Name)
	c.name("tenant.domain", d.Tenant.Domain)
	c.text("tenant.displayName", d.Tenant.DisplayName, 100)
	c.text("tenant.locale", d.Tenant.Locale, 35)
	c.text("generation", d.Generation, maxGeneration)
	if strings.ContainsAny(d.Tenant.Domain, " <>\"@;,") {
		c.wrong("tenant.domain", d.Tenant.Domain, "must be a domain name")
	}
	if _, err := time.LoadLocation(d.Tenant.TimeZone); err != nil {
		c.wrong("tenant.timeZone", d.Tenant.TimeZone, "must be an IANA name such as Asia/Seoul")
	}
	const many = 1 << 20
	c.between("limits.extensions", d.Limits.Extensions, 1, many)
	c.between("limits.registrationsOperating", d.Limits.RegistrationsOperating, 1, many)
	c.between("limits.registrationsMaximum", d.Limits.RegistrationsMaximum, 1, many)
	c.between("limits.concurrentCalls", d.Limits.ConcurrentCalls, 1, many)
	if len(d.Extensions) > d.Limits.Extensions {
		c.wrong("extensions", len(d.Extensions), fmt.Sprintf("limits.extensions permits %d", d.Limits.Extensions))
	}
}

func (c *checker) network(n *Network, calls int) {
	for node, addresses := range sorted(n.Advertise) {
		if len(addresses) == 0 {
			c.wrong("network.advertise["+strconv.Quote(node)+"]", nil, "must hold an address")
		}
		for i, a := range addresses {
			c.address(fmt.Sprintf("network.advertise[%q][%d]", node, i), a)
		}
	}
	if len(n.Advertise) == 0 {
		c.wrong("network.advertise", nil, "must hold an address")
	}
	for i, a := range n.Bind {
		if _, err := netip.ParseAddr(a); err != nil {
			c.wrong(fmt.Sprintf("network.bind[%d]", i), a, "must be an IPv4 or IPv6 address")
		}
	}
	c.ports(n.Ports, calls)
}

func (c *checker) address(path, a string) {
	if ip, err := netip.ParseAddr(a); err != nil || ip.IsUnspecified() {
		c.wrong(path, a, "must be an IPv4 or IPv6 address that phones can reach")
	}
}

// ports accepts 0 for "the kernel chooses"; RTP is chosen as a whole or not.
func (c *checker) ports(p Ports, calls int) {
	seen := map[int]string{}
	for _, port := range []struct {
		name string
		n    int
	}{{"sip", p.SIP}, {"sips", p.SIPS}, {"wss", p.WSS}, {"http", p.HTTP}, {"admin", p.Admin}} {
		path := "network.ports." + port.name
		c.between(path, port.n, 0, 65535)
		if other := seen[port.n]; port.n != 0 && other != "" {
			c.wrong(path, port.n, "is also the port of "+other+": give them different ports")
		}
		if port.n != 0 && port.n >= p.RTPFrom && port.n <= p.RTPTo {
			c.wrong(path, port.n, fmt.Sprintf("lies in the RTP range %d-%d: move one of the two", p.RTPFrom, p.RTPTo))
		}
		seen[port.n] = port.name
	}
	if p.RTPFrom == 0 && p.RTPTo == 0 {
		return
	}
	rtp := fmt.Sprintf("%d-%d", p.RTPFrom, p.RTPTo)
	if p.RTPFrom < 1 || p.RTPTo > 65535 || p.RTPFrom > p.RTPTo || p.RTPFrom%2 != 0 {
		c.wrong("network.ports.rtpFrom", rtp, "must lie within 1 to 65535, lower end first, and begin with an even port")
		return
	}
	// Compared by division: calls comes from outside and may be huge.
	if (p.RTPTo-p.RTPFrom+1)/4 < calls {
		c.wrong("network.ports.rtpTo", rtp, fmt.Sprintf("is too small for %d calls of four ports", calls))
	}
}

func (c *checker) policies(d *Document) {
	c.text("numbering.country", d.Numbering.Country, 2)
	if d.Numbering.AreaCode != "" {
		c.digits("numbering.areaCode", d.Numbering.AreaCode, 2, 4)
	}
	c.digits("numbering.outsidePrefix", d.Numbering.OutsidePrefix, 0, 4)
	for i, e := range d.Numbering.Emergency {
		c.digits(fmt.Sprintf("numbering.emergency[%d]", i), e, 2, 6)
	}
	c.codecs("media.codecs", d.Media.Codecs)
	c.oneOf("media.srtp", d.Media.SRTP, "", "Disabled", "Optional", "Required")
	c.oneOf("recording.mode", d.Recording.Mode, "", "Off", "OnDemand", "All")
	if d.Recording.Retention < 0 {
		c.wrong("recording.retention", d.Recording.Retention, "must not be negative")
	}
	c.oneOf("outbound.policy", d.Outbound.Policy, "None", "Internal", "Domestic", "International")
	const many = 1 << 30
	c.between("outbound.maxCallsPerMinute", d.Outbound.MaxCallsPerMinute, 0, many)
	c.between("outbound.dailyMinutes", d.Outbound.DailyMinutes, 0, many)
}

func (c *checker) codecs(path string, codecs []string) {
	if len(codecs) == 0 {
		c.wrong(path, nil, "must hold one of PCMA, PCMU, G722, opus")
	}
	for i, codec := range codecs {
		c.oneOf(fmt.Sprintf("%s[%d]", path, i), codec, "PCMA", "PCMU", "G722", "opus")
		if slices.Contains(codecs[:i], codec) {
			c.wrong(fmt.Sprintf("%s[%d]", path, i), codec, "must not be there twice")
		}
	}
}

func (c *checker) web(d *Document) {
	c.url("web.baseURL", d.Web.BaseURL)
	for i, a := range d.Web.Administrators {
		c.name(fmt.Sprintf("web.administrators[%d]", i), a)
	}
	if n := len(d.Web.SessionKey); n > 0 && n < 32 {
		c.wrong("web.sessionKey", nil, "must have at least 32 bytes")
	}
	for i, p := range d.Web.TrustedProxies {
		c.proxies(fmt.Sprintf("web.trustedProxies[%d]", i), p)
	}
	c.authorities("trustedCAs", d.TrustedCAs)
	if dsn := d.Database.PostgresDSN.Reveal(); dsn != "" {
		if u, err := url.Parse(dsn); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			c.wrong("database.postgresDSN", nil, "must be a URL like postgres://user@host/database")
		}
	}
}

// sipTLS accepts nothing or a certificate with its key. Neither is repeated.
func (c *checker) sipTLS(t *SIPTLS) {
	if t == nil {
		return
	}
	if _, err := tls.X509KeyPair([]byte(t.Certificate), []byte(t.PrivateKey.Reveal())); err != nil {
		c.wrong("sipTLS.certificate", nil, "must be certificates in PEM form with the private key of the first: "+err.Error())
	}
	for i, o := range t.Origins {
		if u, err := url.Parse(o); err != nil || u.Scheme != "https" || u.Host == "" || o != "https://"+u.Host {
			c.wrong(fmt.Sprintf("sipTLS.origins[%d]", i), o, "must be https://HOST without a path")
		}
	}
}

// proxies accepts a network, but not the one of all addresses: whoever is
// trusted as a proxy may claim to be anybody.
func (c *checker) proxies(path, network string) {
	if p, err := netip.ParsePrefix(network); err != nil || p.Bits() == 0 || p.Addr().Is4In6() {
		c.wrong(path, network, "must be a network like 10.244.0.0/16 or 2001:db8::/64, not that of all addresses")
	}
}

// authorities accepts nothing or certificates in PEM form. The text is not
// repeated: it may be a private key that went astray.
func (c *checker) authorities(path, text string) {
	n := 0
	for rest := []byte(strings.TrimSpace(text)); len(rest) > 0; n++ {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			c.wrong(fmt.Sprintf("%s[%d]", path, n), nil, "must be a certificate in PEM form, beginning with -----BEGIN CERTIFICATE-----")
			return
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			c.wrong(fmt.Sprintf("%s[%d]", path, n), nil, "is no X.509 certificate: copy the file whole")
		}
		rest = bytes.TrimSpace(after)
	}
}

// url accepts https, and http on loopback.
func (c *checker) url(path, raw string) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || strings.HasSuffix(raw, "/") ||
		(u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname()))) {
		c.wrong(path, raw, "must be an https URL without a slash at its end; plain http on a loopback address alone")
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
