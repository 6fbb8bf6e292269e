package sdp

import (
	"fmt"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// write renders lines as our description. The version in o= goes up only if
// the rest changed (RFC 3264 §8).
func (s *Session) write(lines []Line) []byte {
	family := "IP4"
	ip := s.Local.Addr().Unmap()
	if ip.Is6() {
		family = "IP6"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "s=-\r\nc=IN %s %s\r\nt=0 0\r\n", family, ip)
	for _, l := range lines {
		l.write(&b)
	}
	if rest := b.String(); rest != s.Body {
		s.Version++
		s.Body = rest
	}
	s.Lines = lines
	return []byte(fmt.Sprintf("v=0\r\no=- %d %d IN %s %s\r\n%s", s.ID, s.Version, family, ip, s.Body))
}

func (l *Line) write(b *strings.Builder) {
	fmt.Fprintf(b, "m=%s %d %s", l.Media, l.Port, l.Proto)
	for _, f := range l.Raw {
		b.WriteString(" " + f)
	}
	if len(l.Raw) == 0 {
		b.WriteString(" 0")
	}
	b.WriteString("\r\n")
	if l.Port == 0 {
		return
	}
	for _, f := range l.Formats {
		f.write(b)
	}
	b.WriteString("a=ptime:20\r\n")
	if l.Mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
	b.WriteString("a=" + directionName(l.Direction) + "\r\n")
}

func (f Format) write(b *strings.Builder) {
	fmt.Fprintf(b, "a=rtpmap:%d %s/%d", f.PayloadType, f.Name, f.ClockRate)
	switch f.Name {
	case codec.TelephoneEvent:
		fmt.Fprintf(b, "\r\na=fmtp:%d 0-16", f.PayloadType)
	case codec.Opus: // RFC 7587: two channels by name; we say and want wideband speech in one
		fmt.Fprintf(b, "/2\r\na=fmtp:%d maxplaybackrate=16000;sprop-maxcapturerate=16000", f.PayloadType)
	}
	b.WriteString("\r\n")
}

func directionName(d media.Direction) string {
	switch d {
	case media.SendOnly:
		return "sendonly"
	case media.RecvOnly:
		return "recvonly"
	case media.Inactive:
		return "inactive"
	case media.SendRecv:
	}
	return "sendrecv"
}
