// Package session reads and writes the phone's session descriptions (RFC 4566,
// RFC 3264): one stream of G.711 over RTP/AVP and telephone events. It is pure,
// and none of it is the PBX's, so that each checks the other.
package session

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

// Remote is what the phone understands of a session description.
type Remote struct {
	Addr    netip.AddrPort
	RTCP    netip.AddrPort // not valid if the peer does not say
	Laws    []codec.Law    // in the peer's order
	DTMF    uint8          // payload type of telephone events; 0 = none
	Sends   bool           // the peer sends
	Hears   bool           // the peer receives
	Streams []string       // each as it is refused
	Audio   int            // index of the stream that is ours
}

// maxBody bounds what is parsed.
const maxBody = 16 << 10

// Parse reads a session description. Errors name what is missing.
func Parse(text []byte) (Remote, error) {
	if len(text) > maxBody {
		return Remote{}, fmt.Errorf("a session description of %d octets: at most %d are read", len(text), maxBody)
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(text); err != nil {
		return Remote{}, fmt.Errorf("session description: %w", err)
	}
	b := Remote{Audio: -1, Sends: true, Hears: true}
	for i, m := range d.MediaDescriptions {
		b.Streams = append(b.Streams, fmt.Sprintf("m=%s 0 %s %s", m.MediaName.Media,
			strings.Join(m.MediaName.Protos, "/"), strings.Join(m.MediaName.Formats, " ")))
		if b.Audio >= 0 || m.MediaName.Media != "audio" || strings.Join(m.MediaName.Protos, "/") != "RTP/AVP" || m.MediaName.Port.Value == 0 {
			continue
		}
		b.Audio = i
		if err := b.readAudio(&d, m); err != nil {
			return Remote{}, err
		}
	}
	if b.Audio < 0 {
		return Remote{}, errors.New("session description: no audio stream over RTP/AVP")
	}
	return b, nil
}

func (b *Remote) readAudio(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
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
	b.Addr = netip.AddrPortFrom(host, uint16(port))
	if host.IsUnspecified() {
		b.Hears = false // RFC 3264 §8.4: the old way to say hold
	}
	names := map[string]string{"0": codec.PCMU, "8": codec.PCMA}
	b.readAttributes(d.Attributes, names)
	b.readAttributes(m.Attributes, names)
	for _, f := range m.MediaName.Formats {
		name, _, _ := strings.Cut(names[f], "/")
		if law, ok := codec.LawOf(name); ok && strconv.Itoa(int(law.Codec().PayloadType)) == f {
			b.Laws = append(b.Laws, law)
		}
		if n, err := strconv.ParseUint(f, 10, 7); err == nil && strings.EqualFold(names[f], "telephone-event/8000") {
			b.DTMF = uint8(n)
		}
	}
	return nil
}

func (b *Remote) readAttributes(attributes []sdp.Attribute, names map[string]string) {
	for _, a := range attributes {
		switch a.Key {
		case "sendrecv":
			b.Sends, b.Hears = true, true
		case "sendonly":
			b.Sends, b.Hears = true, false
		case "recvonly":
			b.Sends, b.Hears = false, true
		case "inactive":
			b.Sends, b.Hears = false, false
		case "rtpmap":
			if pt, name, ok := strings.Cut(a.Value, " "); ok {
				names[pt] = strings.TrimSpace(name)
			}
		case "rtcp":
			port, _, _ := strings.Cut(a.Value, " ")
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
				b.RTCP = netip.AddrPortFrom(b.Addr.Addr(), uint16(n))
			}
		}
	}
}

// Common returns the first of the peer's laws that is among ours.
func (b *Remote) Common(ours []codec.Law) (codec.Law, bool) {
	for _, l := range b.Laws {
		if slices.Contains(ours, l) {
			return l, true
		}
	}
	return 0, false
}

// Local is our side of a session description.
type Local struct {
	Addr    netip.AddrPort
	ID      uint64
	Version uint64
	Laws    []codec.Law
	DTMF    uint8 // 0 = none
	Sends   bool
	Hears   bool
	Others  []string // the offer's streams, refused, of an answer
	At      int      // index of our stream among them
}

// Text is the description as it is sent.
func (l Local) Text() []byte {
	family := "IP4"
	if l.Addr.Addr().Is6() {
		family = "IP6"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n",
		l.ID, l.Version, family, l.Addr.Addr(), family, l.Addr.Addr())
	if len(l.Others) == 0 {
		l.stream(&s)
	}
	for i, m := range l.Others {
		if i == l.At {
			l.stream(&s)
			continue
		}
		s.WriteString(m + "\r\n")
	}
	return []byte(s.String())
}

func (l Local) stream(s *strings.Builder) {
	fmt.Fprintf(s, "m=audio %d RTP/AVP", l.Addr.Port())
	for _, law := range l.Laws {
		fmt.Fprintf(s, " %d", law.Codec().PayloadType)
	}
	if l.DTMF != 0 {
		fmt.Fprintf(s, " %d", l.DTMF)
	}
	s.WriteString("\r\n")
	for _, law := range l.Laws {
		fmt.Fprintf(s, "a=rtpmap:%d %s/8000\r\n", law.Codec().PayloadType, law)
	}
	if l.DTMF != 0 {
		fmt.Fprintf(s, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", l.DTMF, l.DTMF)
	}
	fmt.Fprintf(s, "a=ptime:20\r\na=%s\r\n", direction(l.Sends, l.Hears))
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
