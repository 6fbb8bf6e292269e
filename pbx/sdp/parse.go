package sdp

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// What can be wrong with a peer's description.
var (
	// ErrMalformed: it is no SDP (400, or 488 with warning 399).
	ErrMalformed = errors.New("the session description is malformed")
	// ErrNoAudio: it is SDP, but there is no audio in it that we can use
	// (488 with warning 304 or 305).
	ErrNoAudio = errors.New("the session description offers no usable audio")
	// ErrNoOffer: an answer came although we offered nothing.
	ErrNoOffer = errors.New("an answer came without an offer")
)

// The bounds of a description.
const (
	maxBody    = 16 << 10
	maxLines   = 16 // media lines
	maxFormats = 64 // formats of one media line
)

// Format is one payload type of a media line.
type Format struct {
	PayloadType uint8  `json:"pt"`
	Name        string `json:"name"` // as in rtpmap or, without one, by RFC 3551
	ClockRate   int    `json:"rate"`
}

// Line is one media line (m=) with what we understand of its attributes.
type Line struct {
	Media   string   `json:"media"` // "audio", "video", "image"…
	Port    int      `json:"port"`  // 0 = refused or removed
	Proto   string   `json:"proto"`
	Raw     []string `json:"raw"` // the formats as written
	Formats []Format `json:"formats,omitempty"`
	// Addr is where media goes; invalid if it is a name, missing or wrong.
	Addr      netip.Addr      `json:"addr,omitzero"`
	RTCP      netip.AddrPort  `json:"rtcp,omitzero"` // from a=rtcp (RFC 3605)
	Mux       bool            `json:"mux,omitempty"` // a=rtcp-mux (RFC 5761)
	Ptime     time.Duration   `json:"ptime,omitempty"`
	Direction media.Direction `json:"direction"`
	Crypto    []Crypto        `json:"crypto,omitempty"` // those that we can use
	// What browsers say beyond: DTLS-SRTP, ICE, and the line's name (RFC 5888),
	// which is in the group of one transport (RFC 9143) if Bundled.
	DTLS    Handshake            `json:"dtls,omitzero"`
	ICE     media.ICECredentials `json:"ice,omitzero"`
	Lite    bool                 `json:"lite,omitempty"` // the peer's whole session is (RFC 8839 §5.3)
	Mid     string               `json:"mid,omitempty"`
	Bundled bool                 `json:"bundled,omitempty"`
}

// Description is a parsed session description.
type Description struct {
	Lines []Line
}

// Audio returns the index of the first audio line that is not refused and that
// we could use, -1 if there is none.
func (d Description) Audio() int {
	return slices.IndexFunc(d.Lines, func(l Line) bool {
		return l.usable() && len(l.codecs()) > 0
	})
}

// usable reports whether the line is RTP audio, plain or with keys that fit or
// that a handshake can bring.
func (l Line) usable() bool {
	if l.Media != "audio" || l.Port == 0 {
		return false
	}
	switch l.Proto {
	case "RTP/AVP", "RTP/AVPF":
		return true
	case "RTP/SAVP", "RTP/SAVPF":
		return len(l.Crypto) > 0 || l.shakes()
	case "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return l.shakes()
	}
	return false
}

// Held reports whether the peer does not want to hear us: it sends only, does
// nothing, or gave the address 0.0.0.0 (RFC 2543 hold, RFC 3264 §8.4), which
// says nothing of a peer that makes ICE's checks.
func (l Line) Held() bool {
	return l.Direction == media.SendOnly || l.Direction == media.Inactive ||
		(l.Addr.IsValid() && l.Addr.IsUnspecified() && !l.checks())
}

// Parse reads a description. It is generous: order of lines, missing s= and
// t= lines, unknown line types and media are taken as they come.
func Parse(body []byte) (Description, error) {
	if len(body) > maxBody {
		return Description{}, fmt.Errorf("%w: %d bytes are more than %d", ErrMalformed, len(body), maxBody)
	}
	sections, err := scan(string(body))
	if err != nil {
		return Description{}, err
	}
	session := attributesOf(sections[0].attrs, media.SendRecv)
	d := Description{Lines: make([]Line, len(sections)-1)}
	for i := range d.Lines {
		d.Lines[i] = line(&sections[i+1], session, sections[0].addr)
	}
	return d, nil
}

// section is the text of the session, which comes first, or of one media line.
type section struct {
	media, proto string
	port         int
	raw          []string
	addr         netip.Addr
	hasAddr      bool // a c= line that can be read
	attrs        []attribute
}

// attribute is an a= line.
type attribute struct{ Key, Value string }

// scan cuts a description into its sections. The origin's numbers do not matter
// to us and are often not numbers.
func scan(body string) ([]section, error) {
	sections := make([]section, 1, 2)
	version, origin := false, false
	for body != "" {
		var l string
		if end := strings.IndexAny(body, "\r\n"); end >= 0 {
			l, body = body[:end], body[end+1:]
		} else {
			l, body = body, ""
		}
		l = strings.TrimRight(l, " \t\x00")
		if len(l) < 2 || l[1] != '=' {
			if strings.TrimSpace(l) == "" {
				continue
			}
			return nil, fmt.Errorf("%w: line %q is not type=value", ErrMalformed, clip(l))
		}
		in := &sections[len(sections)-1]
		switch l[0] {
		case 'v':
			version = true
		case 'o':
			origin = true
		case 'm':
			m, err := mediaLine(l)
			if err != nil {
				return nil, err
			}
			sections = append(sections, m)
		case 'c':
			if host, ok := connection(l); ok {
				in.addr, in.hasAddr = address(host), true
			}
		case 'a':
			key, value, _ := strings.Cut(l[2:], ":")
			in.attrs = append(in.attrs, attribute{key, value})
		}
	}
	if !version || !origin {
		return nil, fmt.Errorf("%w: the v= or o= line is missing", ErrMalformed)
	}
	if len(sections)-1 > maxLines {
		return nil, fmt.Errorf("%w: %d media lines are more than %d", ErrMalformed, len(sections)-1, maxLines)
	}
	return sections, nil
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}

// mediaLine reads an m= line.
func mediaLine(l string) (section, error) {
	f := strings.Fields(l[2:])
	if len(f) < 3 {
		return section{}, fmt.Errorf("%w: %q needs media, port, protocol and formats", ErrMalformed, clip(l))
	}
	port, _, _ := strings.Cut(f[1], "/")
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return section{}, fmt.Errorf("%w: port %q of %q", ErrMalformed, clip(f[1]), clip(f[0]))
	}
	if len(f)-3 > maxFormats {
		return section{}, fmt.Errorf("%w: %d formats in one media line are more than %d", ErrMalformed, len(f)-3, maxFormats)
	}
	return section{media: strings.ToLower(f[0]), proto: strings.ToUpper(f[2]), port: n, raw: f[3:]}, nil
}

// connection returns the address of a c= line, false if it is not of the
// internet.
func connection(l string) (string, bool) {
	f := strings.Fields(l[2:])
	if len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" {
		return "", false
	}
	return f[2], true
}

// address reads an address without its TTL; a name is none that we take.
func address(host string) netip.Addr {
	host, _, _ = strings.Cut(host, "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// line makes a media line of its section; addr is the session's address.
func line(m *section, session attributes, addr netip.Addr) Line {
	l := Line{Media: m.media, Proto: m.proto, Port: m.port, Raw: m.raw, Addr: addr}
	if m.hasAddr {
		l.Addr = m.addr
	}
	a := attributesOf(m.attrs, session.direction)
	l.Direction, l.Mux, l.Ptime = a.direction, a.mux, a.ptime
	if l.Ptime == 0 {
		l.Ptime = session.ptime
	}
	l.RTCP = rtcpAddress(a.rtcp, l.Addr)
	l.Mid = token(a.mid)
	if l.Media == "audio" {
		l.Formats, l.Crypto = formats(l.Raw, a.maps), cryptos(a.crypto)
		a.inherit(session)
		l.DTLS, l.ICE, l.Lite = handshake(a), iceCredentials(a.ufrag, a.password), session.lite
		l.Bundled = l.Mid != "" && slices.Contains(session.bundle, l.Mid)
	}
	return l
}

// attributes are the a= lines that we understand.
type attributes struct {
	direction media.Direction
	mux       bool
	ptime     time.Duration
	rtcp      string
	crypto    []string
	maps      map[uint8]Format

	fingerprints    []string
	setup           Setup
	ufrag, password string
	lite            bool
	mid             string
	bundle          []string
}

// inherit takes from the session what the line itself does not say.
func (a *attributes) inherit(session attributes) {
	if len(a.fingerprints) == 0 {
		a.fingerprints = session.fingerprints
	}
	a.setup = cmp.Or(a.setup, session.setup)
	a.ufrag, a.password = cmp.Or(a.ufrag, session.ufrag), cmp.Or(a.password, session.password)
}

// web reads an attribute that browsers write; it reports false for another.
func (a *attributes) web(at attribute) bool {
	switch strings.ToLower(at.Key) {
	case "fingerprint":
		a.fingerprints = append(a.fingerprints, at.Value)
	case "setup":
		a.setup = Setup(strings.ToLower(strings.TrimSpace(at.Value)))
	case "ice-ufrag":
		a.ufrag = at.Value
	case "ice-pwd":
		a.password = at.Value
	case "ice-lite":
		a.lite = true
	case "mid":
		a.mid = at.Value
	case "group":
		if kind, mids, _ := strings.Cut(at.Value, " "); kind == "BUNDLE" {
			a.bundle = strings.Fields(mids)
		}
	default:
		return false
	}
	return true
}

// token returns the name of a line, empty for what is none (RFC 8866 §9).
func token(s string) string {
	if len(s) > 32 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]`, r) }) {
		return ""
	}
	return s
}

func attributesOf(list []attribute, direction media.Direction) attributes {
	a := attributes{direction: direction}
	for _, at := range list {
		if a.web(at) {
			continue
		}
		switch strings.ToLower(at.Key) {
		case "sendrecv":
			a.direction = media.SendRecv
		case "sendonly":
			a.direction = media.SendOnly
		case "recvonly":
			a.direction = media.RecvOnly
		case "inactive":
			a.direction = media.Inactive
		case "rtcp-mux":
			a.mux = true
		case "rtcp":
			a.rtcp = at.Value
		case "crypto":
			a.crypto = append(a.crypto, at.Value)
		case "ptime":
			a.ptime = ptime(at.Value)
		case "rtpmap":
			if f, ok := rtpmap(at.Value); ok {
				if a.maps == nil {
					a.maps = make(map[uint8]Format)
				}
				a.maps[f.PayloadType] = f
			}
		}
	}
	return a
}

// ptime reads a packet time; values outside 10..200 ms count as not given.
func ptime(v string) time.Duration {
	ms, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(ms >= 10 && ms <= 200) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// rtpmap reads "101 telephone-event/8000[/channels]".
func rtpmap(v string) (Format, bool) {
	f := strings.Fields(v)
	if len(f) != 2 {
		return Format{}, false
	}
	pt, err := strconv.ParseUint(f[0], 10, 7)
	if err != nil {
		return Format{}, false
	}
	parts := strings.Split(f[1], "/")
	// Opus is always written as two channels (RFC 7587 §4.1).
	if len(parts) < 2 || len(parts) > 2 && parts[2] != "1" && (parts[2] != "2" || !strings.EqualFold(parts[0], codec.Opus)) {
		return Format{}, false
	}
	rate, err := strconv.Atoi(parts[1])
	if err != nil {
		return Format{}, false
	}
	return Format{PayloadType: uint8(pt), Name: parts[0], ClockRate: rate}, true
}

// rtcpAddress reads "53020" or "53020 IN IP4 192.0.2.1" (RFC 3605).
func rtcpAddress(v string, addr netip.Addr) netip.AddrPort {
	f := strings.Fields(v)
	if len(f) == 0 {
		return netip.AddrPort{}
	}
	port, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}
	}
	if len(f) == 4 {
		if a, err := netip.ParseAddr(f[3]); err == nil && a.Zone() == "" {
			addr = a.Unmap()
		}
	}
	if !addr.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port))
}
