// Package digest answers digest challenges (RFC 7616, RFC 8760) with MD5 or
// SHA-256. It is the phone's own, written apart from the PBX's, so that each
// checks the other. Pure functions; the only input from outside is chance.
package digest

import (
	"crypto/md5" //nolint:gosec // RFC 3261 digest with MD5 is what old servers ask for
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// The algorithms (RFC 8760).
const (
	MD5    = "MD5"
	SHA256 = "SHA-256"
)

// Challenge is one WWW-Authenticate or Proxy-Authenticate header.
type Challenge struct {
	realm, nonce, opaque, algorithm string
	qopAuth                         bool
	stale                           bool
}

// Stale reports whether the credentials were right and only the nonce is too
// old, so that it makes sense to answer again.
func (c Challenge) Stale() bool { return c.stale }

// maxChallenge bounds what is parsed of a challenge.
const maxChallenge = 4096

// parseChallenge reads the value of a challenge header (RFC 7616 §3.3). Errors
// name what is missing.
func parseChallenge(value string) (Challenge, error) {
	if len(value) > maxChallenge {
		return Challenge{}, fmt.Errorf("a challenge of %d octets: at most %d are read", len(value), maxChallenge)
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return Challenge{}, fmt.Errorf("challenge of scheme %.20q: only Digest is known", scheme)
	}
	params := parseParams(rest)
	c := Challenge{
		realm: params["realm"], nonce: params["nonce"], opaque: params["opaque"],
		algorithm: strings.ToUpper(params["algorithm"]), stale: strings.EqualFold(params["stale"], "true"),
	}
	for q := range strings.SplitSeq(params["qop"], ",") {
		c.qopAuth = c.qopAuth || strings.EqualFold(strings.TrimSpace(q), "auth")
	}
	if c.algorithm == "" {
		c.algorithm = MD5
	}
	if c.nonce == "" || c.realm == "" {
		return Challenge{}, errors.New("a challenge without realm or nonce")
	}
	return c, nil
}

// parseParams reads name=value pairs; values may be quoted.
func parseParams(s string) map[string]string {
	out := make(map[string]string)
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return out
		}
		name = strings.ToLower(strings.Trim(name, " \t,\r\n"))
		rest = strings.TrimLeft(rest, " \t")
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest = quoted(rest[1:])
		} else {
			value, rest, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
			out[name] = value
			s = rest
			continue
		}
		out[name] = value
		_, s, _ = strings.Cut(rest, ",")
	}
	return out
}

// quoted reads up to the closing quote and returns what follows it.
func quoted(s string) (value, rest string) {
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

// Pick chooses the strongest challenge that is allowed: forced, or, if forced
// is empty, SHA-256 before MD5 (RFC 8760 §2.4).
func Pick(values []string, forced string) (Challenge, error) {
	var best Challenge
	for _, v := range values {
		c, err := parseChallenge(v)
		if err != nil || newHash(c.algorithm) == nil || (forced != "" && c.algorithm != forced) {
			continue
		}
		if best.nonce == "" || c.algorithm == SHA256 && best.algorithm != SHA256 {
			best = c
		}
	}
	if best.nonce == "" {
		return best, fmt.Errorf("none of %d challenges can be answered (want %s)", len(values), orAny(forced))
	}
	return best, nil
}

func orAny(forced string) string {
	if forced == "" {
		return SHA256 + " or " + MD5
	}
	return forced
}

// Known reports whether the algorithm can be answered.
func Known(algorithm string) bool { return newHash(algorithm) != nil }

func newHash(algorithm string) func() hash.Hash {
	switch algorithm {
	case MD5:
		return md5.New
	case SHA256:
		return sha256.New
	}
	return nil
}

// Answer computes the Authorization header's value (RFC 7616 §3.4).
func (c Challenge) Answer(user, password, method, uri string) string {
	return c.answerWith(rand.Text(), user, password, method, uri)
}

func (c Challenge) answerWith(cnonce, user, password, method, uri string) string {
	const nc = "00000001"
	h := func(s string) string {
		sum := newHash(c.algorithm)()
		sum.Write([]byte(s))
		return hex.EncodeToString(sum.Sum(nil))
	}
	a1 := h(user + ":" + c.realm + ":" + password)
	a2 := h(method + ":" + uri)
	response := h(a1 + ":" + c.nonce + ":" + a2)
	if c.qopAuth {
		response = h(strings.Join([]string{a1, c.nonce, nc, cnonce, "auth", a2}, ":"))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username=%s, realm=%s, nonce=%s, uri=%s, response="%s", algorithm=%s`,
		quote(user), quote(c.realm), quote(c.nonce), quote(uri), response, c.algorithm)
	if c.qopAuth {
		fmt.Fprintf(&b, `, qop=auth, nc=%s, cnonce=%s`, nc, quote(cnonce))
	}
	if c.opaque != "" {
		b.WriteString(", opaque=" + quote(c.opaque))
	}
	return b.String()
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
