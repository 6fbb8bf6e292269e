package sipua

import (
	"crypto/md5" //nolint:gosec // RFC 3261 §22.4 knows nothing better with most carriers
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// challenge is one digest challenge of a 401 or 407.
type challenge struct {
	realm, nonce, opaque, algorithm string
	qop, stale, proxy               bool
}

// challenges reads the digest challenges of a response, the best first:
// SHA-256 (RFC 8760) before MD5.
func challenges(res *sip.Response) []challenge {
	var strong, weak []challenge
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, h := range res.GetHeaders(name) {
			c, ok := parseChallenge(h.Value())
			c.proxy = name == "Proxy-Authenticate"
			switch {
			case !ok:
			case c.algorithm == "SHA-256":
				strong = append(strong, c)
			default:
				weak = append(weak, c)
			}
		}
	}
	return append(strong, weak...)
}

func parseChallenge(v string) (challenge, bool) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(v), " ")
	if !ok || !strings.EqualFold(scheme, "Digest") {
		return challenge{}, false
	}
	p := digestParams(rest)
	c := challenge{realm: p["realm"], nonce: p["nonce"], opaque: p["opaque"], algorithm: strings.ToUpper(p["algorithm"])}
	c.stale = strings.EqualFold(p["stale"], "true")
	if c.algorithm == "" {
		c.algorithm = "MD5"
	}
	for q := range strings.SplitSeq(p["qop"], ",") {
		c.qop = c.qop || strings.EqualFold(strings.TrimSpace(q), "auth")
	}
	known := c.algorithm == "MD5" || c.algorithm == "SHA-256"
	return c, known && c.nonce != "" && (c.qop || p["qop"] == "")
}

// digestParams reads name=value pairs, quoted or not.
func digestParams(s string) map[string]string {
	out := map[string]string{}
	for s != "" && len(out) < 32 {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		name = strings.ToLower(strings.Trim(name, " \t,"))
		rest = strings.TrimLeft(rest, " \t")
		var val string
		if strings.HasPrefix(rest, `"`) {
			val, rest = quoted(rest[1:])
		} else {
			val, rest, _ = strings.Cut(rest, ",")
			val = strings.TrimSpace(val)
		}
		out[name], s = val, rest
	}
	return out
}

// quoted reads up to the closing quote and drops the backslashes.
func quoted(s string) (val, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// answer computes the credentials for a request (RFC 7616 §3.4).
func (c challenge) answer(method, uri, user, password, cnonce string) sip.Header {
	h := func(s string) string {
		var sum hash.Hash = md5.New() //nolint:gosec // see the import
		if c.algorithm == "SHA-256" {
			sum = sha256.New()
		}
		sum.Write([]byte(s))
		return hex.EncodeToString(sum.Sum(nil))
	}
	ha1 := h(user + ":" + c.realm + ":" + password)
	ha2 := h(method + ":" + uri)
	esc := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace
	var b strings.Builder
	b.WriteString(`Digest username="` + esc(user) + `", realm="` + esc(c.realm) + `", nonce="` + esc(c.nonce) + `", uri="` + uri + `", algorithm=` + c.algorithm)
	if c.qop {
		b.WriteString(`, response="` + h(ha1+":"+c.nonce+":00000001:"+cnonce+":auth:"+ha2) + `", qop=auth, nc=00000001, cnonce="` + cnonce + `"`)
	} else {
		b.WriteString(`, response="` + h(ha1+":"+c.nonce+":"+ha2) + `"`)
	}
	if c.opaque != "" {
		b.WriteString(`, opaque="` + esc(c.opaque) + `"`)
	}
	name := "Authorization"
	if c.proxy {
		name = "Proxy-Authorization"
	}
	return sip.NewHeader(name, b.String())
}

// credentials returns the header that answers a 401 or 407, false if no
// challenge in it may be answered. permit decides about realms: a password is
// never used for a realm that is not the trunk's.
func credentials(req *sip.Request, res *sip.Response, user, password, cnonce string, permit func(realm string) bool) (sip.Header, bool) {
	if user == "" || password == "" {
		return nil, false
	}
	for _, c := range challenges(res) {
		if permit(c.realm) {
			return c.answer(string(req.Method), req.Recipient.String(), user, password, cnonce), true
		}
	}
	return nil, false
}
