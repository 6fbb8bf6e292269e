package phone

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"github.com/dipcast/dipcast/pbx/media/codec"
)

// body is what the phone understands of a session description.
type body struct {
	remote  netip.AddrPort
	rtcp    netip.AddrPort
	laws    []codec.Law // in the peer's order
	dtmf    uint8
	sends   bool // the peer sends
	hears   bool // the peer receives
	streams []string
	audio   int // index of the stream that is ours
}

// maxBody bounds what is parsed.
const maxBody = 16 << 10

// parseBody reads a session description. Errors name what is missing.
func parseBody(text []byte) (body, error) {
	if len(text) > maxBody {
		return body{}, fmt.Errorf("a session description of %d octets: at most %d are read", len(text), maxBody)
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(text); err != nil {
		return body{}, fmt.Errorf("session description: %w", err)
	}
	b := body{audio: -1, sends: true, hears: true}
	for i, m := range d.MediaDescriptions {
		b.streams = append(b.streams, fmt.Sprintf("m=%s 0 %s %s", m.MediaName.Media,
			strings.Join(m.MediaName.Protos, "/"), strings.Join(m.MediaName.Formats, " ")))
		if b.audio >= 0 || m.MediaName.Media != "audio" || strings.Join(m.MediaName.Protos, "/") != "RTP/AVP" || m.MediaName.Port.Value == 0 {
			continue
		}
		b.audio = i
		if err := b.readAudio(&d, m); err != nil {
			return body{}, err
		}
	}
	if b.audio < 0 {
		return body{}, errors.New("session description: no audio stream over RTP/AVP")
	}
	return b, nil
}

func (b *body) readAudio(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
	conn := m.ConnectionInformation
	if conn == nil {
		conn = d.ConnectionInformation
	}
	if conn == nil || conn.Address == nil {
		return errors.New("session description: no c= line")
	}
	host, err := netip.ParseAddr(conn.Address.Address)
	if err != nil {
		return fmt.Errorf("session description: c= address %.40q: must be an IP address", conn.Address.Address)
	}
	port := m.MediaName.Port.Value
	if port < 0 || port > 0xffff {
		return fmt.Errorf("session description: port %d", port)
	}
	b.remote = netip.AddrPortFrom(host, uint16(port))
	if host.IsUnspecified() {
		b.hears = false // RFC 3264 §8.4: the old way to say hold
	}
	names := map[string]string{"0": codec.PCMU, "8": codec.PCMA}
	b.readAttributes(d.Attributes, names)
	b.readAttributes(m.Attributes, names)
	for _, f := range m.MediaName.Formats {
		name, _, _ := strings.Cut(names[f], "/")
		if law, ok := codec.LawOf(name); ok && strconv.Itoa(int(law.Codec().PayloadType)) == f {
			b.laws = append(b.laws, law)
		}
		if n, err := strconv.ParseUint(f, 10, 7); err == nil && strings.EqualFold(names[f], "telephone-event/8000") {
			b.dtmf = uint8(n)
		}
	}
	return nil
}

func (b *body) readAttributes(attributes []sdp.Attribute, names map[string]string) {
	for _, a := range attributes {
		switch a.Key {
		case "sendrecv":
			b.sends, b.hears = true, true
		case "sendonly":
			b.sends, b.hears = true, false
		case "recvonly":
			b.sends, b.hears = false, true
		case "inactive":
			b.sends, b.hears = false, false
		case "rtpmap":
			if pt, name, ok := strings.Cut(a.Value, " "); ok {
				names[pt] = strings.TrimSpace(name)
			}
		case "rtcp":
			port, _, _ := strings.Cut(a.Value, " ")
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
				b.rtcp = netip.AddrPortFrom(b.remote.Addr(), uint16(n))
			}
		}
	}
}

// common returns the first of the peer's laws that is among ours.
func (b *body) common(ours []codec.Law) (codec.Law, bool) {
	for _, l := range b.laws {
		if slices.Contains(ours, l) {
			return l, true
		}
	}
	return 0, false
}

// local is our side of a session description.
type local struct {
	addr    netip.AddrPort
	id      uint64
	version uint64
	laws    []codec.Law
	dtmf    uint8 // 0 = none
	sends   bool
	hears   bool
	others  []string // the offer's streams, refused, of an answer
	at      int      // index of our stream among them
}

func (l local) text() []byte {
	family := "IP4"
	if l.addr.Addr().Is6() {
		family = "IP6"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n",
		l.id, l.version, family, l.addr.Addr(), family, l.addr.Addr())
	if len(l.others) == 0 {
		l.stream(&s)
	}
	for i, m := range l.others {
		if i == l.at {
			l.stream(&s)
			continue
		}
		s.WriteString(m + "\r\n")
	}
	return []byte(s.String())
}

func (l local) stream(s *strings.Builder) {
	fmt.Fprintf(s, "m=audio %d RTP/AVP", l.addr.Port())
	for _, law := range l.laws {
		fmt.Fprintf(s, " %d", law.Codec().PayloadType)
	}
	if l.dtmf != 0 {
		fmt.Fprintf(s, " %d", l.dtmf)
	}
	s.WriteString("\r\n")
	for _, law := range l.laws {
		fmt.Fprintf(s, "a=rtpmap:%d %s/8000\r\n", law.Codec().PayloadType, law)
	}
	if l.dtmf != 0 {
		fmt.Fprintf(s, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", l.dtmf, l.dtmf)
	}
	fmt.Fprintf(s, "a=ptime:20\r\na=%s\r\n", direction(l.sends, l.hears))
}

func direction(sends, hears bool) string {
	switch {
	case sends && hears:
		return "sendrecv"
	case sends:
		return "sendonly"
	case hears:
		return "recvonly"
	}
	return "inactive"
}
