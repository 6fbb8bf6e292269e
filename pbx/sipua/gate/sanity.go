package gate

import (
	"strconv"
	"strings"
)

// refusal is a response that the gate gives by itself.
type refusal struct {
	status  int
	reason  string
	headers []Header
}

// rules are what the gate knows of the server behind it.
type rules struct {
	methods    []string // that are served
	extensions []string // option tags that may be required
	ours       func(branch string) bool
}

// known reports whether a method is one of the SIP RFCs; another one is not
// implemented.
func known(method string) bool {
	switch method {
	case "INVITE", "ACK", "CANCEL", "BYE", "REGISTER", "OPTIONS", "PRACK", "UPDATE", "INFO", "MESSAGE",
		"SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER":
		return true
	}
	return false
}

// check returns why a request is refused before anybody looks at who sent it,
// nil if it is sane (RFC 3261 §8.2, §16.3, RFC 4475).
func (r *rules) check(m *Message) *refusal {
	if !strings.EqualFold(m.Version, "SIP/2.0") {
		return &refusal{status: 505, reason: "Version Not Supported"}
	}
	fault := m.Fault
	if fault == "" {
		fault = checkValues(m)
	}
	if fault != "" {
		return &refusal{status: 400, reason: "Bad Request (" + fault + ")"}
	}
	if !known(m.Method) {
		return &refusal{status: 501, reason: "Not Implemented", headers: r.allow()}
	}
	if f := m.checkURI(); f != nil {
		return f
	}
	if v := m.Get("max-forwards"); v == "0" {
		return &refusal{status: 483, reason: "Too Many Hops"}
	}
	if r.looped(m) {
		return &refusal{status: 482, reason: "Loop Detected"}
	}
	return r.checkRequire(m)
}

func (r *rules) allow() []Header {
	return []Header{{"Allow", strings.Join(r.methods, ", ")}}
}

// checkURI looks at the Request-URI (RFC 3261 §8.2.2.1).
func (m *Message) checkURI() *refusal {
	switch schemeOf(m.URI) {
	case "sip", "sips", "tel":
	case "":
		return &refusal{status: 400, reason: "Bad Request (the Request-URI is malformed)"}
	default:
		return &refusal{status: 416, reason: "Unsupported URI Scheme"}
	}
	if _, ok := ParseURI(m.URI); !ok || strings.Contains(m.URI, "?") {
		return &refusal{status: 400, reason: "Bad Request (the Request-URI is malformed)"}
	}
	return nil
}

// looped reports whether one of the Vias is ours.
func (r *rules) looped(m *Message) bool {
	if r.ours(m.Via.Branch) {
		return true
	}
	if m.Via.rest == "" && len(m.Values("via")) == 1 {
		return false // what nearly every request has: one Via, and it was read
	}
	for _, v := range m.List("via") {
		if via, ok := parseVia(v); ok && r.ours(via.Branch) {
			return true
		}
	}
	return false
}

// checkRequire refuses extensions that we do not have (RFC 3261 §8.2.2.3);
// ACK and CANCEL carry no such demand.
func (r *rules) checkRequire(m *Message) *refusal {
	if m.Method == "ACK" || m.Method == "CANCEL" {
		return nil
	}
	var missing []string
	for _, tag := range append(m.List("require"), m.List("proxy-require")...) {
		if !r.has(tag) {
			missing = append(missing, tag)
		}
	}
	if missing == nil {
		return nil
	}
	return &refusal{
		status: 420, reason: "Bad Extension",
		headers: []Header{{"Unsupported", strings.Join(missing, ", ")}},
	}
}

func (r *rules) has(extension string) bool {
	for _, e := range r.extensions {
		if strings.EqualFold(e, extension) {
			return true
		}
	}
	return false
}

// checkValues looks at further headers whose malformation must not travel
// deeper into the program; it returns what is wrong.
func checkValues(m *Message) string {
	for i := range m.Headers {
		h := &m.Headers[i]
		switch h.Name {
		case "contact", "route", "record-route", "refer-to", "referred-by", "p-asserted-identity":
			if h.Value != "*" && !addresses(h.Value) {
				return "an address is malformed"
			}
		case "via":
			for _, v := range SplitList(h.Value) {
				if _, ok := parseVia(v); !ok {
					return "a Via is malformed"
				}
			}
		case "max-forwards":
			if n, err := strconv.ParseUint(h.Value, 10, 32); err != nil || n > 255 {
				return "Max-Forwards is not between 0 and 255"
			}
		}
	}
	return ""
}

// addresses reports whether s is a list of addresses without empty elements.
func addresses(s string) bool {
	for {
		first, rest := cutList(s)
		if _, ok := ParseAddr(first); !ok {
			return false
		}
		if rest == "" {
			return !strings.HasSuffix(strings.TrimSpace(s), ",")
		}
		s = rest
	}
}
