package digest

import (
	"crypto/md5" //nolint:gosec // RFC 3261 §22.4 names MD5; many phones know nothing else
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
)

// Credentials are the parts of an Authorization or Proxy-Authorization header.
type Credentials struct {
	Username, Realm, Nonce, URI, Response string
	Algorithm                             string // "MD5" if absent
	CNonce, Opaque, QOP                   string
	NC                                    string // eight hexadecimal digits
}

// Challenge is a challenge of somebody else, to be answered by us.
type Challenge struct {
	Realm, Nonce, Opaque string
	Algorithm            string // "MD5" if absent
	QOP                  bool   // "auth" is among the qop values
	Stale                bool
}

// maxField bounds one value of a header.
const maxField = 512

// ParseCredentials reads the value of an Authorization header; ok is false if
// it is not a complete digest.
func ParseCredentials(value string) (c Credentials, ok bool) {
	ok = parse(value, func(name, v string) {
		switch name {
		case "username":
			c.Username = v
		case "realm":
			c.Realm = v
		case "nonce":
			c.Nonce = v
		case "uri":
			c.URI = v
		case "response":
			c.Response = v
		case "algorithm":
			c.Algorithm = v
		case "cnonce":
			c.CNonce = v
		case "opaque":
			c.Opaque = v
		case "qop":
			c.QOP = v
		case "nc":
			c.NC = v
		}
	})
	if c.Algorithm == "" {
		c.Algorithm = "MD5"
	}
	return c, ok && c.Username != "" && c.Nonce != "" && c.URI != "" && c.Response != ""
}

// ParseChallenge reads the value of a WWW-Authenticate or Proxy-Authenticate
// header.
func ParseChallenge(value string) (c Challenge, ok bool) {
	hasQOP := false
	ok = parse(value, func(name, v string) {
		switch name {
		case "realm":
			c.Realm = v
		case "nonce":
			c.Nonce = v
		case "opaque":
			c.Opaque = v
		case "algorithm":
			c.Algorithm = v
		case "stale":
			c.Stale = strings.EqualFold(v, "true")
		case "qop":
			hasQOP = true
			for q := range strings.SplitSeq(v, ",") {
				c.QOP = c.QOP || strings.EqualFold(strings.TrimSpace(q), "auth")
			}
		}
	})
	if c.Algorithm == "" {
		c.Algorithm = "MD5"
	}
	return c, ok && c.Nonce != "" && (c.QOP || !hasQOP) && newHash(c.Algorithm) != nil
}

// parse cuts `Digest name=value, name="value"` and hands out each pair; a name
// that comes twice makes it wrong.
func parse(value string, set func(name, v string)) bool {
	const scheme = "digest"
	value = strings.TrimSpace(value)
	if len(value) <= len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) ||
		(value[len(scheme)] != ' ' && value[len(scheme)] != '\t') {
		return false
	}
	rest := strings.TrimLeft(value[len(scheme):], " \t")
	var seen [16]string
	for n := 0; rest != ""; n++ {
		name, after, ok := strings.Cut(rest, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" || n == len(seen) {
			return false
		}
		for _, s := range seen[:n] {
			if s == name {
				return false
			}
		}
		seen[n] = name
		v, next, ok := cutValue(strings.TrimLeft(after, " \t"))
		if !ok || len(v) > maxField {
			return false
		}
		set(name, v)
		rest = strings.TrimLeft(next, " \t")
		if rest == "" {
			return true
		}
		if rest[0] != ',' {
			return false
		}
		rest = strings.TrimLeft(rest[1:], " \t,")
	}
	return false
}

// cutValue takes a token or a quoted string off the front.
func cutValue(s string) (v, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, ", \t")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], !strings.Contains(s[:i], `"`)
	}
	if i := 1 + strings.IndexAny(s[1:], `"\`); i > 0 && s[i] == '"' {
		return s[1:i], s[i+1:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func newHash(algorithm string) hash.Hash {
	switch {
	case strings.EqualFold(algorithm, "MD5"):
		return md5.New() //nolint:gosec // RFC 3261 §22.4
	case strings.EqualFold(algorithm, "SHA-256"):
		return sha256.New()
	}
	return nil
}

// sum hashes the parts with colons between them; buf is room to work in.
func sum(h hash.Hash, buf []byte, parts ...string) string {
	h.Reset()
	for i, p := range parts {
		if i > 0 {
			h.Write(append(buf[:0], ':'))
		}
		h.Write(append(buf[:0], p...))
	}
	return hex.EncodeToString(h.Sum(buf[:0]))
}

// response computes the request-digest (RFC 7616 §3.4.1).
func response(h hash.Hash, c *Credentials, realm, secret, method string) string {
	buf := make([]byte, 0, 256)
	a1 := sum(h, buf, c.Username, realm, secret)
	a2 := sum(h, buf, method, c.URI)
	if c.QOP == "" {
		return sum(h, buf, a1, c.Nonce, a2)
	}
	return sum(h, buf, a1, c.Nonce, c.NC, c.CNonce, c.QOP, a2)
}

// Answer returns the value of the Authorization header that answers a
// challenge; cnonce must be fresh, nc counts the uses of the nonce from 1.
func Answer(ch Challenge, username, secret, method, uri, cnonce string, nc uint32) string {
	c := Credentials{Username: username, Nonce: ch.Nonce, URI: uri, Algorithm: ch.Algorithm}
	if ch.QOP {
		c.QOP, c.CNonce = "auth", cnonce
		text := strconv.FormatUint(uint64(nc), 16)
		c.NC = strings.Repeat("0", 8-len(text)) + text
	}
	c.Response = response(newHash(ch.Algorithm), &c, ch.Realm, secret, method)
	var b strings.Builder
	b.WriteString("Digest username=" + quote(username) + ", realm=" + quote(ch.Realm) +
		", nonce=" + quote(ch.Nonce) + ", uri=" + quote(uri) +
		", response=" + quote(c.Response) + ", algorithm=" + ch.Algorithm)
	if ch.QOP {
		b.WriteString(", cnonce=" + quote(cnonce) + ", qop=auth, nc=" + c.NC)
	}
	if ch.Opaque != "" {
		b.WriteString(", opaque=" + quote(ch.Opaque))
	}
	return b.String()
}

func quote(s string) string {
	if strings.ContainsAny(s, `"\`) {
		s = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
	}
	return `"` + s + `"`
}
