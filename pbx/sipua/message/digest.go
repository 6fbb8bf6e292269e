package message

import (
	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/digest"
)

// challenges reads the digest challenges of a 401 or 407, the better ones
// first: SHA-256 (RFC 8760) before MD5. Each comes with the name of the header
// that answers it.
func challenges(res *sip.Response) (out []digest.Challenge, answerIn []string) {
	for _, strong := range []bool{true, false} {
		for _, names := range [][2]string{{"WWW-Authenticate", "Authorization"}, {"Proxy-Authenticate", "Proxy-Authorization"}} {
			for _, h := range res.GetHeaders(names[0]) {
				c, ok := digest.ParseChallenge(h.Value())
				if ok && (c.Algorithm == "SHA-256") == strong {
					out, answerIn = append(out, c), append(answerIn, names[1])
				}
			}
		}
	}
	return out, answerIn
}

// Credentials returns the header that answers a 401 or 407, false if no
// challenge in it may be answered. permit decides about realms: a password is
// never used for a realm that is not the trunk's.
func Credentials(req *sip.Request, res *sip.Response, user, password, cnonce string, permit func(realm string) bool) (sip.Header, bool) {
	if user == "" || password == "" {
		return nil, false
	}
	list, names := challenges(res)
	for i, c := range list {
		if permit(c.Realm) {
			return sip.NewHeader(names[i], digest.Answer(c, user, password, string(req.Method), req.Recipient.String(), cnonce, 1)), true
		}
	}
	return nil, false
}

// Stale reports whether the challenge only says that the nonce is too old.
func Stale(res *sip.Response) bool {
	list, _ := challenges(res)
	for _, c := range list {
		if c.Stale {
			return true
		}
	}
	return false
}
