package sdp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
)

// Handshake is what a line says of keys by DTLS (RFC 5763 §5). The zero value
// says nothing that we can use.
type Handshake struct {
	Fingerprint string `json:"fingerprint"` // as in media.DTLS
	Setup       Setup  `json:"setup"`
}

// Setup is which side begins the handshake (RFC 4145 §4).
type Setup string

// The roles. Whoever holds the connection back (holdconn) has no handshake.
const (
	Active   Setup = "active"
	Passive  Setup = "passive"
	ActPass  Setup = "actpass"
	HoldConn Setup = "holdconn"
)

// handshake reads the attributes of a line or of the session.
func handshake(a attributes) Handshake {
	for _, f := range a.fingerprints {
		if f, ok := fingerprint(f); ok && a.setup != HoldConn {
			return Handshake{Fingerprint: f, Setup: a.setup}
		}
	}
	return Handshake{}
}

// fingerprint reads "sha-256 4A:AD:…". Hashes that are broken or not known are
// none (RFC 8122 §5).
func fingerprint(v string) (string, bool) {
	name, value, _ := strings.Cut(strings.TrimSpace(v), " ")
	name, value = strings.ToLower(name), strings.ToUpper(strings.TrimSpace(value))
	size := map[string]int{"sha-256": 32, "sha-384": 48, "sha-512": 64}[name]
	raw, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
	if size == 0 || err != nil || len(raw) != size || len(value) != 3*size-1 {
		return "", false
	}
	return name + " " + value, true
}

// iceCredentials checks what a peer says (RFC 8839 §5.4); a peer whose
// credentials are none makes no checks.
func iceCredentials(ufrag, password string) media.ICECredentials {
	if len(ufrag) < 4 || len(ufrag) > 256 || len(password) < 22 || len(password) > 256 || !iceChars(ufrag+password) {
		return media.ICECredentials{}
	}
	return media.ICECredentials{Ufrag: ufrag, Password: media.Key(password)}
}

func iceChars(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// shakes reports whether the line's keys come by DTLS. Of a line that has keys
// in SDP as well only its protocol says so.
func (l Line) shakes() bool {
	return l.DTLS.Fingerprint != "" && (strings.HasPrefix(l.Proto, "UDP/TLS/") || l.secure() && len(l.Crypto) == 0)
}

// shake makes the line of an answer or offer one of DTLS-SRTP; theirs is the
// peer's line, the zero value in an offer. As long as the peer's certificate
// and both parts stay the handshake that was stays in force (RFC 8842 §5).
func (s *Session) shake(mine *Line, theirs Line) {
	was, offer := s.Stream.DTLS, theirs.DTLS == Handshake{}
	stays := was != media.DTLS{} && (offer || theirs.DTLS.Fingerprint == was.Peer)
	mine.DTLS = Handshake{Fingerprint: s.Fingerprint, Setup: Passive}
	switch {
	case theirs.DTLS.Setup == Passive, stays && was.Active && theirs.DTLS.Setup != Active:
		mine.DTLS.Setup = Active
	case offer && !stays:
		mine.DTLS.Setup = ActPass
	}
	if stays && was.Active == (mine.DTLS.Setup == Active) {
		mine.DTLS.Fingerprint = was.Own
	}
}

// check gives the line our part of ICE: we are lite, with one candidate.
func (s *Session) check(mine *Line) {
	mine.ICE, mine.Addr = s.credentials(), s.Local.Addr().Unmap()
}

// credentials are ours, of secrets that nobody can guess; each restart of ICE
// has others.
func (s *Session) credentials() media.ICECredentials {
	part := func(name string, size int) string {
		h := hmac.New(sha256.New, s.Random)
		h.Write([]byte(name + strconv.Itoa(s.Restarts)))
		return base64.RawStdEncoding.EncodeToString(h.Sum(nil)[:size])
	}
	return media.ICECredentials{Ufrag: part("ufrag", 6), Password: media.Key(part("password", 18))}
}

// restarted counts a restart of ICE by the peer (RFC 8839 §4.4.1.1.1).
func (s *Session) restarted(theirs media.ICECredentials) {
	if was := s.Stream.ICE.Remote; (was != media.ICECredentials{}) && was != theirs {
		s.Restarts++
	}
}

// meet is what both lines settle of DTLS and ICE.
func meet(mine, theirs Line) (d media.DTLS, i media.ICE) {
	if (mine.DTLS == Handshake{}) || !theirs.shakes() {
		return d, i
	}
	d = media.DTLS{Own: mine.DTLS.Fingerprint, Peer: theirs.DTLS.Fingerprint, Active: mine.DTLS.Setup == Active}
	if mine.DTLS.Setup == ActPass {
		d.Active = theirs.DTLS.Setup == Passive
	}
	if mine.ICE != (media.ICECredentials{}) && theirs.checks() {
		i = media.ICE{Local: mine.ICE, Remote: theirs.ICE}
	}
	return d, i
}

// checks reports whether the peer makes connectivity checks that we answer. One
// that is lite like us makes none; one that has no rtcp-mux would make them for
// a second port. Both are where they say.
func (l Line) checks() bool { return l.ICE != media.ICECredentials{} && !l.Lite && l.Mux }

// writeDTLS writes what the line says of DTLS and ICE.
func (l *Line) writeDTLS(b *strings.Builder) {
	if (l.DTLS == Handshake{}) {
		return
	}
	b.WriteString("a=fingerprint:" + l.DTLS.Fingerprint + "\r\na=setup:" + string(l.DTLS.Setup) + "\r\n")
	if (l.ICE == media.ICECredentials{}) {
		return
	}
	b.WriteString("a=ice-ufrag:" + l.ICE.Ufrag + "\r\na=ice-pwd:" + l.ICE.Password.Reveal() + "\r\n")
	b.WriteString("a=candidate:1 1 udp 2130706431 " + l.Addr.String() + " " + strconv.Itoa(l.Port) + " typ host\r\na=end-of-candidates\r\n")
	// A browser puts audio without a stream's name into no stream at all.
	b.WriteString("a=msid:pbx audio\r\n")
}

// writeGroup writes what the session says of its lines.
func writeGroup(b *strings.Builder, lines []Line) {
	if i := slices.IndexFunc(lines, func(l Line) bool { return l.Bundled }); i >= 0 {
		b.WriteString("a=group:BUNDLE " + lines[i].Mid + "\r\n")
	}
	if slices.ContainsFunc(lines, func(l Line) bool { return l.ICE != media.ICECredentials{} && l.Port != 0 }) {
		b.WriteString("a=ice-lite\r\n")
	}
}
