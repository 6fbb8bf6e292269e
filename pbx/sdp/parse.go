package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	pion "github.com/pion/sdp/v3"

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

// usable reports whether the line is plain RTP audio.
func (l Line) usable() bool {
	return l.Media == "audio" && l.Port != 0 && (l.Proto == "RTP/AVP" || l.Proto == "RTP/AVPF")
}

// Held reports whether the peer does not want to hear us: it sends only, does
// nothing, or gave the address 0.0.0.0 (RFC 2543 hold, RFC 3264 §8.4).
func (l Line) Held() bool {
	return l.Direction == media.SendOnly || l.Direction == media.Inactive ||
		(l.Addr.IsValid() && l.Addr.IsUnspecified())
}

// Parse reads a description. It is generous: order of lines, missing s= and
// t= lines, unknown line types and media are taken as they come.
func Parse(body []byte) (Description, error) {
	if len(body) > maxBody {
		return Description{}, fmt.Errorf("%w: %d bytes are more than %d", ErrMalformed, len(body), maxBody)
	}
	text, names, err := normalise(string(body))
	if err != nil {
		return Description{}, err
	}
	var p pion.SessionDescription
	if err := p.UnmarshalString(text); err != nil {
		return Description{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(p.MediaDescriptions) != len(names) {
		return Description{}, fmt.Errorf("%w: %d media lines became %d", ErrMalformed, len(names), len(p.MediaDescriptions))
	}
	session := attributesOf(p.Attributes, media.SendRecv)
	addr := address(p.ConnectionInformation)
	d := Description{Lines: make([]Line, len(names))}
	for i, m := range p.MediaDescriptions {
		d.Lines[i] = line(names[i], m, session, addr)
	}
	return d, nil
}

// mline is a media line's text before pion sees it.
type mline struct{ media, proto string }

// normalise keeps the lines that matter here, in the order that pion insists
// on, and replaces media and protocols that pion does not know, so that one
// odd line does not make the whole description unreadable.
func normalise(body string) (string, []mline, error) {
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
	var origin, conn string
	var attrs, lines []string
	var names []mline
	version := false
	for _, l := range strings.Split(body, "\n") {
		l = strings.TrimRight(l, " \t\x00")
		if len(l) < 2 || l[1] != '=' {
			if strings.TrimSpace(l) == "" {
				continue
			}
			return "", nil, fmt.Errorf("%w: line %q is not type=value", ErrMalformed, clip(l))
		}
		switch l[0] {
		case 'v':
			version = true
		case 'o':
			origin = l
		case 'm':
			m, name, err := mediaLine(l)
			if err != nil {
				return "", nil, err
			}
			lines, names = append(lines, m), append(names, name)
		case 'c':
			if !connectionOK(l) {
				continue
			}
			if len(names) > 0 {
				lines = append(lines, l)
			} else {
				conn = l + "\r\n"
			}
		case 'a':
			if len(names) > 0 {
				lines = append(lines, l)
			} else {
				attrs = append(attrs, l)
			}
		}
	}
	if !version || origin == "" {
		return "", nil, fmt.Errorf("%w: the v= or o= line is missing", ErrMalformed)
	}
	if len(names) > maxLines {
		return "", nil, fmt.Errorf("%w: %d media lines are more than %d", ErrMalformed, len(names), maxLines)
	}
	// The origin's numbers do not matter to us and are often not numbers.
	head := "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n" + conn + "t=0 0\r\n"
	return head + join(attrs) + join(lines), names, nil
}

func join(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}

// mediaLine checks an m= line and rewrites what pion does not know.
func mediaLine(l string) (string, mline, error) {
	f := strings.Fields(l[2:])
	if len(f) < 3 {
		return "", mline{}, fmt.Errorf("%w: %q needs media, port, protocol and formats", ErrMalformed, clip(l))
	}
	port, _, _ := strings.Cut(f[1], "/")
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", mline{}, fmt.Errorf("%w: port %q of %q", ErrMalformed, clip(f[1]), clip(f[0]))
	}
	name := mline{media: strings.ToLower(f[0]), proto: strings.ToUpper(f[2])}
	if len(f)-3 > maxFormats {
		return "", mline{}, fmt.Errorf("%w: %d formats in one media line are more than %d", ErrMalformed, len(f)-3, maxFormats)
	}
	f[0], f[1], f[2] = "audio", port, "RTP/AVP"
	return "m=" + strings.Join(f, " "), name, nil
}

// connectionOK reports whether pion can read a c= line.
func connectionOK(l string) bool {
	f := strings.Fields(l[2:])
	return len(f) == 3 && f[0] == "IN" && (f[1] == "IP4" || f[1] == "IP6")
}

func address(c *pion.ConnectionInformation) netip.Addr {
	if c == nil || c.Address == nil {
		return netip.Addr{}
	}
	host, _, _ := strings.Cut(c.Address.Address, "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// line turns pion's media description into ours.
func line(name mline, m *pion.MediaDescription, session attributes, addr netip.Addr) Line {
	l := Line{
		Media: name.media, Proto: name.proto, Port: m.MediaName.Port.Value,
		Raw: m.MediaName.Formats, Addr: addr,
	}
	if m.ConnectionInformation != nil {
		l.Addr = address(m.ConnectionInformation)
	}
	a := attributesOf(m.Attributes, session.direction)
	l.Direction, l.Mux, l.Ptime = a.direction, a.mux, a.ptime
	if l.Ptime == 0 {
		l.Ptime = session.ptime
	}
	l.RTCP = rtcpAddress(a.rtcp, l.Addr)
	if l.Media == "audio" {
		l.Formats = formats(l.Raw, a.maps)
	}
	return l
}

// attributes are the a= lines that we understand.
type attributes struct {
	direction media.Direction
	mux       bool
	ptime     time.Duration
	rtcp      string
	maps      map[uint8]Format
}

func attributesOf(list []pion.Attribute, direction media.Direction) attributes {
	a := attributes{direction: direction, maps: map[uint8]Format{}}
	for _, at := range list {
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
		case "ptime":
			a.ptime = ptime(at.Value)
		case "rtpmap":
			if f, ok := rtpmap(at.Value); ok {
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
