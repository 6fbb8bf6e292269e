package gate

import (
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"
)

// Reply is a response made from a request without keeping anything.
type Reply struct {
	Status  int
	Reason  string
	Headers []Header // added after the copied ones; names in display form
	Body    string   // its Content-Type is among Headers
	// Tag is added to a To header without one; empty leaves it out.
	Tag string
}

// Bytes writes the response to m (RFC 3261 §8.2.6) as the peer at source must
// get it: the topmost Via gets received and rport (RFC 3581 §4).
func (r *Reply) Bytes(m *Message, source netip.AddrPort) []byte {
	b := make([]byte, 0, 256+len(r.Body)+len(m.text)/2)
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	b = append(b, r.Reason...)
	b = append(b, "\r\n"...)
	first := true
	for i := range m.Headers {
		h := &m.Headers[i]
		switch h.Name {
		case "via":
			if first {
				first = false
				b = m.Via.append(b, source)
				continue
			}
			b = appendHeader(b, "Via", h.Value)
		case "from":
			b = appendHeader(b, "From", h.Value)
		case "to":
			b = appendHeader(b, "To", h.Value)
			if m.To.Tag == "" && r.Tag != "" {
				b = append(append(b[:len(b)-2], ";tag="...), r.Tag...)
				b = append(b, "\r\n"...)
			}
		case "call-id":
			b = appendHeader(b, "Call-ID", h.Value)
		case "cseq":
			b = appendHeader(b, "CSeq", h.Value)
		}
	}
	for _, h := range r.Headers {
		b = appendHeader(b, h.Name, h.Value)
	}
	b = appendHeader(b, "Content-Length", strconv.Itoa(len(r.Body)))
	b = append(b, "\r\n"...)
	return append(b, r.Body...)
}

func appendHeader(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// append writes the Via field with what we know of the sender.
func (v *Via) append(b []byte, source netip.AddrPort) []byte {
	b = append(b, "Via: "...)
	b = append(b, v.sent...)
	for _, p := range v.Params {
		if p.Name == "received" || p.Name == "rport" {
			continue
		}
		b = append(append(b, ';'), p.Name...)
		if p.Value != "" {
			b = append(b, '=')
			b = appendParam(b, p.Value)
		}
	}
	if v.RPort || v.Host != source.Addr().String() {
		b = append(b, ";received="...)
		b = source.Addr().AppendTo(b)
	}
	if v.RPort {
		b = append(b, ";rport="...)
		b = strconv.AppendUint(b, uint64(source.Port()), 10)
	}
	if v.rest != "" {
		b = append(append(b, ", "...), v.rest...)
	}
	return append(b, "\r\n"...)
}

// appendParam writes a parameter's value, quoted where it must be.
func appendParam(b []byte, value string) []byte {
	if isToken(value) || isHostValue(value) {
		return append(b, value...)
	}
	b = append(b, '"')
	for i := range len(value) {
		if value[i] == '"' || value[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, value[i])
	}
	return append(b, '"')
}

func isHostValue(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF:.[]") == ""
}

// ReplyAddr is where a response to a datagram goes (RFC 3261 §18.2.2, RFC 3581
// §4): always to the host that sent it, to its port if it asked for that.
func (v *Via) ReplyAddr(source netip.AddrPort) netip.AddrPort {
	if v.RPort {
		return source
	}
	port := v.Port
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(source.Addr(), uint16(port))
}

// behindNAT reports whether the sender's own address is private although it
// speaks from a public one. The port in its Via is then one that no datagram
// from here reaches, whether it asks for symmetric routing or not.
func (v *Via) behindNAT(source netip.Addr) bool {
	a, err := netip.ParseAddr(v.Host)
	return err == nil && a.IsPrivate() && !source.IsPrivate() && !source.IsLoopback()
}

// tagger makes To tags for responses without state: a retransmitted request
// gets the same tag again.
type tagger struct{ seed maphash.Seed }

func (t tagger) tag(m *Message) string {
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.WriteString(m.CallID)
	h.WriteByte(0)
	h.WriteString(m.From.Tag)
	h.WriteByte(0)
	h.WriteString(m.Via.Branch)
	return strconv.FormatUint(h.Sum64(), 36)
}
