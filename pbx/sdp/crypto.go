package sdp

import (
	"crypto/sha512"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// SRTP is whether audio is encrypted, with keys in SDP (RFC 4568) or by a
// handshake (RFC 5763).
type SRTP string

// The policies; the zero value is Disabled.
const (
	Disabled SRTP = "Disabled" // never
	Optional SRTP = "Optional" // where the peer asks for it
	Required SRTP = "Required" // or there is no call
)

// Crypto is one a=crypto attribute that we can use: a suite that is served, a
// key that fits it, no master key identifier and no session parameter that
// changes what is encrypted.
type Crypto struct {
	Tag   int       `json:"tag"`
	Suite string    `json:"suite"`
	Key   media.Key `json:"key"`
}

// cryptos reads a=crypto values in the peer's order (RFC 4568 §9.1).
func cryptos(values []string) []Crypto {
	var out []Crypto
	for _, v := range values {
		if c, ok := crypto(v); ok {
			out = append(out, c)
		}
	}
	return out
}

// crypto reads "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31 WSH=64".
func crypto(v string) (Crypto, bool) {
	f := strings.Fields(v)
	if len(f) < 3 {
		return Crypto{}, false
	}
	tag, err := strconv.ParseUint(f[0], 10, 30)
	inline, keyed := strings.CutPrefix(f[2], "inline:")
	if err != nil || !keyed || strings.Contains(inline, ";") {
		return Crypto{}, false // several keys need an identifier in each packet
	}
	for _, p := range f[3:] {
		if !strings.HasPrefix(p, "WSH=") && !strings.HasPrefix(p, "-") {
			return Crypto{}, false // RFC 4568 §6.3: what is not understood must not be taken
		}
	}
	key, rest, _ := strings.Cut(inline, "|")
	if strings.Contains(rest, ":") { // an identifier; a lifetime alone is no matter
		return Crypto{}, false
	}
	c := Crypto{Tag: int(tag), Suite: strings.ToUpper(f[1]), Key: media.Key(key)}
	return c, srtp.Serves(c.Suite, c.Key)
}

// secure reports whether the line's protocol is that of SRTP.
func (l Line) secure() bool {
	return strings.HasPrefix(l.Proto, "RTP/SAVP") || strings.HasPrefix(l.Proto, "UDP/TLS/")
}

// permits reports whether the policy can take the line. Peers that would like
// encryption write keys into a line of plain RTP as well: that is a wish.
func (s *Session) permits(l Line) bool {
	encrypted := len(l.Crypto) > 0
	if l.shakes() {
		encrypted = s.Fingerprint != ""
	}
	switch s.SRTP {
	case Required:
		return encrypted
	case Optional:
		return encrypted || !l.secure()
	default:
		return !l.secure()
	}
}

// Secure sets the policy, and makes the secrets of a session of which two tokens
// that nobody can guess have as many bits as the keys need.
func (s *Session) Secure(policy SRTP, token func() string) {
	if s.SRTP = policy; policy == Optional || policy == Required {
		random := sha512.Sum512([]byte(token() + token())) // the hash spreads the bits
		s.Random = append(s.Random, random[:srtp.KeySize]...)
	}
}

// FormFor is what the first offer is like to a phone that is reached over a
// transport: whoever speaks SIP over WebSocket is a browser, as a first guess.
func FormFor(transport string) Form {
	if strings.EqualFold(transport, "WS") || strings.EqualFold(transport, "WSS") {
		return Web
	}
	return ""
}

// Form is what our first offer is like.
type Form string

// The forms. The zero value is plain RTP, or SDES where that is not permitted.
const (
	SDES  Form = "SDES" // SRTP with keys in SDP, or of a handshake if the phone prefers that
	Shake Form = "DTLS" // SRTP with keys of a handshake, under that profile's own name
	Web   Form = "Web"  // the same as a browser wants it: with ICE, all on one port
)

// form is what our next offer is like.
func (s *Session) form() Form {
	switch {
	case s.Settled && s.Stream.ICE != media.ICE{}:
		return Web
	case s.Settled && s.Stream.DTLS != media.DTLS{}:
		return Shake
	case s.Settled && s.Stream.Crypto.Suite != "":
		return SDES
	case s.Settled, s.SRTP != Optional && s.SRTP != Required:
		return ""
	case s.Form == "" && s.SRTP == Required:
		return SDES
	}
	return s.Form
}

// NextForm withdraws an offer that was refused and gives the next one another
// form: SRTP for a peer that takes no plain RTP, or no keys in SDP; what other
// phones get for one that is no browser after all. It reports false if the
// policy has no such offer or all were made already.
func (s *Session) NextForm() bool {
	s.Withdraw()
	switch was := s.form(); {
	case s.Settled || s.SRTP != Optional && s.SRTP != Required:
		return false
	case was == Web:
		s.Form = "" // a phone over WebSocket that is no browser
	case was == "":
		s.Form = SDES
	case was == SDES && s.Fingerprint != "":
		s.Form = Shake
	default:
		return false
	}
	return true
}

// encrypt gives the line of an offer the form of the offer.
func (s *Session) encrypt(l *Line) {
	form := s.form()
	switch form {
	case SDES:
		suite := srtp.AES80
		if s.Settled {
			suite = s.Stream.Crypto.Suite
		} else if s.Fingerprint != "" {
			s.shake(l, Line{}) // some phones answer with a handshake alone
		}
		l.Proto = "RTP/SAVP"
		l.Crypto = []Crypto{{Tag: 1, Suite: suite, Key: s.key(suite)}}
	case Shake:
		l.Proto, l.Mux = "UDP/TLS/RTP/SAVP", true
		s.shake(l, Line{})
	case Web:
		l.Proto, l.Mux, l.Mid, l.Bundled = "UDP/TLS/RTP/SAVPF", true, "0", true
		s.shake(l, Line{})
		s.check(l)
	}
	if i := s.audioLine(); s.Settled && i >= 0 {
		was := s.Lines[i]
		l.Proto, l.Mux, l.Mid, l.Bundled = was.Proto, s.Stream.RTCPMux, was.Mid, was.Bundled
	}
}

// key is our own for a suite.
func (s *Session) key(suite string) media.Key { return srtp.KeyFor(suite, s.Random) }

// agree chooses among the keys of an offer: the suite in use, else the peer's
// first.
func (s *Session) agree(offered []Crypto) (mine, theirs Crypto, ok bool) {
	if len(offered) == 0 || s.SRTP == Disabled || s.SRTP == "" {
		return Crypto{}, Crypto{}, false
	}
	theirs = offered[0]
	for _, c := range offered {
		if c.Suite == s.Stream.Crypto.Suite {
			theirs = c
			break
		}
	}
	return Crypto{Tag: theirs.Tag, Suite: theirs.Suite, Key: s.key(theirs.Suite)}, theirs, true
}

// accepted finds the answer to the keys of our offer.
func accepted(offered, answered []Crypto) (media.Crypto, bool) {
	for _, a := range answered {
		for _, o := range offered {
			if a.Tag == o.Tag && a.Suite == o.Suite {
				return media.Crypto{Suite: a.Suite, Local: o.Key, Remote: a.Key}, true
			}
		}
	}
	return media.Crypto{}, false
}
