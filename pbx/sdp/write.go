package sdp

import (
	"strconv"
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
	own := family + " " + ip.String() + "\r\n"
	var b strings.Builder
	b.Grow(usualSize)
	b.WriteString("s=-\r\nc=IN " + own + "t=0 0\r\n")
	writeGroup(&b, lines)
	for _, l := range lines {
		l.write(&b)
	}
	if rest := b.String(); rest != s.Body {
		s.Version++
		s.Body = rest
	}
	s.Lines = lines
	out := make([]byte, 0, len(s.Body)+usualHead)
	out = strconv.AppendUint(append(out, "v=0\r\no=- "...), s.ID, 10)
	out = strconv.AppendUint(append(out, ' '), s.Version, 10)
	return append(append(append(out, " IN "...), own...), s.Body...)
}

// What a description with one audio line takes, and what stands before it.
const (
	usualSize = 256
	usualHead = 96
)

func (l *Line) write(b *strings.Builder) {
	b.WriteString("m=" + l.Media + " " + strconv.Itoa(l.Port) + " " + l.Proto)
	for _, f := range l.Raw {
		b.WriteString(" " + f)
	}
	if len(l.Raw) == 0 {
		b.WriteString(" 0")
	}
	b.WriteString("\r\n")
	if l.Mid != "" {
		b.WriteString("a=mid:" + l.Mid + "\r\n")
	}
	if l.Port == 0 {
		return
	}
	for _, f := range l.Formats {
		f.write(b)
	}
	for _, c := range l.Crypto {
		b.WriteString("a=crypto:" + strconv.Itoa(c.Tag) + " " + c.Suite + " inline:" + c.Key.Reveal() + "\r\n")
	}
	l.writeDTLS(b)
	b.WriteString("a=ptime:20\r\n")
	if l.Mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
	b.WriteString("a=" + directionName(l.Direction) + "\r\n")
}

func (f Format) write(b *strings.Builder) {
	pt := strconv.Itoa(int(f.PayloadType))
	b.WriteString("a=rtpmap:" + pt + " " + f.Name + "/" + strconv.Itoa(f.ClockRate))
	switch f.Name {
	case codec.TelephoneEvent:
		b.WriteString("\r\na=fmtp:" + pt + " 0-16")
	case codec.Opus: // RFC 7587: two channels by name; we say and want wideband speech in one
		b.WriteString("/2\r\na=fmtp:" + pt + " maxplaybackrate=16000;sprop-maxcapturerate=16000")
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
