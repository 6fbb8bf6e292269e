package gate

import (
	"strconv"
	"strings"
)

// Header is one header field. Name is the lower-case long form ("call-id");
// Value has no line breaks and no white space around it.
type Header struct{ Name, Value string }

// Message is a SIP message cut into its parts. Its strings share one copy of
// the packet, so a Message may be kept.
type Message struct {
	Method  string // empty for a response
	URI     string // the Request-URI
	Version string // "SIP/2.0"
	Status  int    // of a response
	Headers []Header
	Body    string
	// Fault is the first syntax error found; empty if there is none. Such a
	// request may be answered with 400, but not be acted upon.
	Fault string

	Via    Via  // the topmost one
	From   Addr // zero if missing
	To     Addr
	CallID string
	CSeq   uint32
	// CSeqMethod is the method in the CSeq header.
	CSeqMethod string

	text string
}

// maxHeaders bounds the header fields of one message.
const maxHeaders = 256

// Scan cuts a packet into its parts. It returns nil if the first line is not
// that of a SIP message, so that no answer is possible.
func Scan(packet []byte) *Message {
	// RFC 3261 §7.5: line breaks before the first line do not matter.
	m := &Message{text: strings.TrimLeft(string(packet), "\r\n")}
	line, rest, ok := strings.Cut(m.text, "\r\n")
	if !ok || !m.startLine(line) {
		return nil
	}
	head := rest
	if end := strings.Index(rest, "\r\n\r\n"); end >= 0 {
		head = rest[:end]
	}
	m.Headers = make([]Header, 0, min(maxHeaders, 1+strings.Count(head, "\r\n")))
	body, complete := m.scanHeaders(rest)
	if !complete {
		m.fault("the header section has no end")
	}
	m.body(body)
	m.interpret()
	return m
}

// Text returns the message as it came.
func (m *Message) Text() string { return m.text }

// IsRequest reports whether the message is a request.
func (m *Message) IsRequest() bool { return m.Method != "" }

func (m *Message) fault(text string) {
	if m.Fault == "" {
		m.Fault = text
	}
}

// startLine reads the Request-Line or Status-Line (RFC 3261 §7.1, §7.2). What
// looks like a request with a wrong first line is kept with a Fault.
func (m *Message) startLine(line string) bool {
	first, rest, ok := strings.Cut(line, " ")
	if !ok || first == "" {
		return false
	}
	if isVersion(first) {
		code, _, _ := strings.Cut(rest, " ")
		status, err := strconv.Atoi(code)
		m.Version, m.Status = first, status
		if err != nil || len(code) != 3 || status < 100 || status > 699 {
			m.fault("the status code is not between 100 and 699")
		}
		return true
	}
	if !isToken(first) {
		return false
	}
	last := strings.LastIndexByte(strings.TrimRight(rest, " \t"), ' ')
	if last < 0 {
		return false
	}
	m.Method, m.URI, m.Version = first, rest[:last], strings.TrimRight(rest[last+1:], " \t")
	if !isVersion(m.Version) {
		m.Method = ""
		return false
	}
	if m.Version != rest[last+1:] || strings.ContainsAny(m.URI, " \t<>\"") || m.URI == "" {
		m.fault("the Request-Line is malformed")
	}
	return true
}

// isVersion reports whether s is "SIP/" and a version number.
func isVersion(s string) bool {
	return len(s) > 4 && strings.EqualFold(s[:4], "SIP/") && s[4] >= '0' && s[4] <= '9'
}

// scanHeaders reads header fields up to the empty line and returns what
// follows it.
func (m *Message) scanHeaders(rest string) (body string, complete bool) {
	for rest != "" {
		line, next, ok := strings.Cut(rest, "\r\n")
		if !ok {
			return "", false
		}
		if line == "" {
			return next, true
		}
		for next != "" && (next[0] == ' ' || next[0] == '\t') {
			more, after, ok := strings.Cut(next, "\r\n")
			if !ok {
				return "", false
			}
			line, next = strings.TrimRight(line, " \t")+" "+strings.TrimLeft(more, " \t"), after
		}
		m.addHeader(line)
		rest = next
	}
	return "", false
}

func (m *Message) addHeader(line string) {
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !isToken(name) || strings.ContainsAny(value, "\r\n") {
		m.fault("a header field is malformed")
		return
	}
	if len(m.Headers) == maxHeaders {
		m.fault("too many header fields")
		return
	}
	m.Headers = append(m.Headers, Header{canonical(name), strings.Trim(value, " \t")})
}

// body takes the bytes after the headers, as many as Content-Length says; in
// a datagram without the header all of them (RFC 3261 §18.3).
func (m *Message) body(rest string) {
	values := m.Values("content-length")
	if len(values) == 0 {
		m.Body = rest
		return
	}
	n, ok := parseLength(values[0])
	switch {
	case !ok:
		m.fault("Content-Length is no number")
	case len(values) > 1:
		m.fault("there are several Content-Length fields")
	case n > len(rest):
		m.fault("the body is shorter than Content-Length says")
	default:
		m.Body = rest[:n]
	}
}

// Get returns the first value of a header field (lower-case long name).
func (m *Message) Get(name string) string {
	for i := range m.Headers {
		if m.Headers[i].Name == name {
			return m.Headers[i].Value
		}
	}
	return ""
}

// Values returns each field's value of a header, without splitting lists.
func (m *Message) Values(name string) []string {
	var out []string
	for i := range m.Headers {
		if m.Headers[i].Name == name {
			out = append(out, m.Headers[i].Value)
		}
	}
	return out
}

// List returns the elements of a header that is a comma-separated list, over
// all its fields.
func (m *Message) List(name string) []string {
	var out []string
	for i := range m.Headers {
		if m.Headers[i].Name == name {
			out = append(out, SplitList(m.Headers[i].Value)...)
		}
	}
	return out
}

// interpret reads the headers that every request needs (RFC 3261 §8.1.1) and
// notes what is wrong with them.
func (m *Message) interpret() {
	var vias, froms, tos, ids, seqs int
	for i := range m.Headers {
		h := &m.Headers[i]
		var ok bool
		switch h.Name {
		case "via":
			if vias++; vias == 1 {
				m.Via, ok = parseVia(h.Value)
				m.check(ok, "the topmost Via is malformed")
			}
		case "from":
			froms++
			m.From, ok = ParseAddr(h.Value)
			m.check(ok, "From is malformed")
		case "to":
			tos++
			m.To, ok = ParseAddr(h.Value)
			m.check(ok, "To is malformed")
		case "call-id":
			ids++
			m.CallID = h.Value
			m.check(h.Value != "" && !strings.ContainsAny(h.Value, " \t"), "Call-ID is malformed")
		case "cseq":
			seqs++
			m.CSeq, m.CSeqMethod, ok = parseCSeq(h.Value)
			m.check(ok, "CSeq is malformed or above 2147483647")
		}
	}
	m.check(vias > 0, "Via is missing")
	m.check(froms == 1 && tos == 1 && ids == 1 && seqs == 1,
		"From, To, Call-ID and CSeq must each be there once")
	if m.IsRequest() {
		m.check(m.CSeqMethod == m.Method, "the method in CSeq is another one")
	}
}

func (m *Message) check(ok bool, text string) {
	if !ok {
		m.fault(text)
	}
}

// parseCSeq reads a CSeq header (RFC 3261 §20.16).
func parseCSeq(s string) (seq uint32, method string, ok bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return 0, "", false
	}
	n, err := strconv.ParseUint(s[:i], 10, 31)
	method = strings.TrimLeft(s[i:], " \t")
	return uint32(n), method, err == nil && isToken(method)
}

// canonical returns the lower-case long form of a header's name.
func canonical(name string) string {
	if len(name) == 1 {
		if long, ok := compact(name[0] | 0x20); ok {
			return long
		}
	}
	switch name {
	case "Via":
		return "via"
	case "From":
		return "from"
	case "To":
		return "to"
	case "Call-ID":
		return "call-id"
	case "CSeq":
		return "cseq"
	case "Contact":
		return "contact"
	case "Content-Length":
		return "content-length"
	}
	return strings.ToLower(name)
}

// compact returns the long form of a compact header name (RFC 3261 §7.3.3 and
// its extensions).
func compact(c byte) (string, bool) {
	switch c {
	case 'v':
		return "via", true
	case 'f':
		return "from", true
	case 't':
		return "to", true
	case 'i':
		return "call-id", true
	case 'm':
		return "contact", true
	case 'l':
		return "content-length", true
	case 'c':
		return "content-type", true
	case 'e':
		return "content-encoding", true
	case 'k':
		return "supported", true
	case 's':
		return "subject", true
	case 'o':
		return "event", true
	case 'u':
		return "allow-events", true
	case 'r':
		return "refer-to", true
	case 'b':
		return "referred-by", true
	case 'x':
		return "session-expires", true
	}
	return "", false
}

// isToken reports whether s is a token (RFC 3261 §25.1).
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte("-.!%*_+`'~", c) >= 0:
		default:
			return false
		}
	}
	return true
}
