package gate

import (
	"net/netip"
	"strconv"
	"strings"
)

// Param is one parameter of a header or a URI; Name is lower case.
type Param struct{ Name, Value string }

// Quoted returns the value as it is written, in quotes where it must be.
func (p Param) Quoted() string {
	if p.Value == "" || isToken(p.Value) || isHostValue(p.Value) {
		return p.Value
	}
	return string(appendParam(nil, p.Value))
}

// Params are parameters in their order.
type Params []Param

// Get returns the value of the first parameter with that lower-case name.
func (p Params) Get(name string) (string, bool) {
	for i := range p {
		if p[i].Name == name {
			return p[i].Value, true
		}
	}
	return "", false
}

// Via is a Via header (RFC 3261 §20.42).
type Via struct {
	Transport string // upper case
	Host      string // without brackets
	Port      int    // 0 if absent
	Branch    string
	RPort     bool // the peer asks for symmetric response routing (RFC 3581)
	Params    Params
	rest      string // what follows the topmost value in the same field
	sent      string // "SIP/2.0/UDP host:port" as it came
}

// parseVia reads the first value of a Via field.
func parseVia(s string) (Via, bool) {
	var v Via
	first, rest := cutList(s)
	v.rest = rest
	proto, after, ok := strings.Cut(first, "/")
	version, after, ok2 := strings.Cut(after, "/")
	if !ok || !ok2 {
		return v, false
	}
	// Of another version the rest is still read, so that 505 can be sent.
	served := strings.EqualFold(strings.TrimSpace(proto), "SIP") && strings.TrimSpace(version) == "2.0"
	after = strings.TrimLeft(after, " \t")
	i := strings.IndexAny(after, " \t")
	if i < 0 {
		return v, false
	}
	v.Transport = strings.ToUpper(after[:i])
	sentBy, params, _ := strings.Cut(after[i:], ";")
	v.sent = "SIP/2.0/" + after[:i] + " " + strings.TrimSpace(sentBy)
	v.Host, v.Port, ok = parseHostPort(strings.TrimSpace(sentBy))
	if !ok || !isToken(v.Transport) {
		return v, false
	}
	v.Params, ok = parseParams(params)
	v.Branch, _ = v.Params.Get("branch")
	_, v.RPort = v.Params.Get("rport")
	return v, ok && served
}

// parseHostPort reads "host", "host:port" or "[v6]:port", white space around
// the colon allowed.
func parseHostPort(s string) (host string, port int, ok bool) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, false
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() {
			return "", 0, false
		}
		host, s = s[1:end], strings.TrimSpace(s[end+1:])
		if s == "" {
			return host, 0, true
		}
		if s[0] != ':' {
			return "", 0, false
		}
		s = s[1:]
	} else {
		before, after, has := strings.Cut(s, ":")
		host = strings.TrimSpace(before)
		if !isHost(host) {
			return "", 0, false
		}
		if !has {
			return host, 0, true
		}
		s = after
	}
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	return host, int(n), err == nil
}

func isHost(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Addr is a name-addr or addr-spec with its header parameters, as in From,
// To and Contact (RFC 3261 §20.10).
type Addr struct {
	Display string // without quotes and escapes
	URI     string // as it came
	Params  Params
	Tag     string
}

// Quotable returns the display name as it is written between quotes.
func (a *Addr) Quotable() string {
	if !strings.ContainsAny(a.Display, `"\`) {
		return a.Display
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Display)
}

// ParseAddr reads one address.
func ParseAddr(s string) (Addr, bool) {
	var a Addr
	s = strings.TrimSpace(s)
	var rest string
	if strings.HasPrefix(s, `"`) {
		var ok bool
		if a.Display, s, ok = cutQuoted(s); !ok {
			return a, false
		}
		s = strings.TrimLeft(s, " \t")
		if !strings.HasPrefix(s, "<") {
			return a, false
		}
	}
	if open := strings.IndexByte(s, '<'); open >= 0 {
		if a.Display == "" {
			a.Display = strings.TrimSpace(s[:open])
			if strings.ContainsAny(a.Display, `",;<>@:`) {
				return a, false
			}
		}
		end := strings.IndexByte(s[open:], '>')
		if end < 0 {
			return a, false
		}
		a.URI, rest = s[open+1:open+end], strings.TrimLeft(s[open+end+1:], " \t")
		if rest != "" && rest[0] != ';' {
			return a, false
		}
		rest = strings.TrimPrefix(rest, ";")
	} else {
		// Without brackets everything after the first semicolon belongs to
		// the header, and a URI with a question mark is not allowed at all.
		a.URI, rest, _ = strings.Cut(s, ";")
		a.URI = strings.TrimRight(a.URI, " \t")
		if strings.ContainsAny(a.URI, "?,") {
			return a, false
		}
	}
	if a.URI == "" || strings.ContainsAny(a.URI, " \t<>\"") || schemeOf(a.URI) == "" {
		return a, false
	}
	var ok bool
	a.Params, ok = parseParams(rest)
	a.Tag, _ = a.Params.Get("tag")
	return a, ok
}

// parseParams reads ";"-separated parameters; the first semicolon is already
// taken off. A single empty parameter list is fine.
func parseParams(s string) (Params, bool) {
	if strings.TrimSpace(s) == "" {
		return nil, true
	}
	out := make(Params, 0, min(8, 1+strings.Count(s, ";")))
	for s != "" {
		part, rest := cutAt(s, ';')
		s = rest
		name, value, has := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		value = strings.TrimSpace(value)
		if !isToken(name) || (has && value == "") || !balanced(value) {
			return out, false
		}
		out = append(out, Param{strings.ToLower(name), unquote(value)})
	}
	return out, true
}

// balanced reports whether a parameter's value is a quoted string, or holds
// no quotes and no separators of lists.
func balanced(s string) bool {
	if !strings.Contains(s, `"`) {
		return !strings.ContainsAny(s, ",<> \t")
	}
	_, rest, ok := cutQuoted(s)
	return ok && rest == ""
}

func unquote(s string) string {
	if strings.HasPrefix(s, `"`) {
		s, _, _ = cutQuoted(s)
	}
	return s
}

// cutQuoted takes a quoted string off the front and returns its text without
// quotes and backslashes.
func cutQuoted(s string) (text, rest string, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			text = s[1:i]
			if strings.Contains(text, `\`) {
				text = unescape(text)
			}
			return text, s[i+1:], true
		}
	}
	return "", "", false
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// cutAt cuts at the first sep outside quotes and angle brackets.
func cutAt(s string, sep byte) (before, after string) {
	quoted, angle := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == sep && !angle:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func cutList(s string) (first, rest string) {
	first, rest = cutAt(s, ',')
	return strings.TrimSpace(first), strings.TrimSpace(rest)
}

// CutList cuts the first element off a comma-separated list.
func CutList(s string) (first, rest string) { return cutList(s) }

// SplitList returns the elements of a comma-separated list; empty ones are
// left out.
func SplitList(s string) []string {
	if !strings.Contains(s, ",") {
		if s = strings.TrimSpace(s); s == "" {
			return nil
		}
		return []string{s}
	}
	var out []string
	for s != "" {
		var first string
		if first, s = cutList(s); first != "" {
			out = append(out, first)
		}
	}
	return out
}

// schemeOf returns the lower-case scheme of a URI, empty if it has none.
func schemeOf(uri string) string {
	scheme, _, ok := strings.Cut(uri, ":")
	if !ok || scheme == "" {
		return ""
	}
	for i := range len(scheme) {
		c := scheme[i]
		alpha := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !alpha && (i == 0 || strings.IndexByte("0123456789+-.", c) < 0) {
			return ""
		}
	}
	return strings.ToLower(scheme)
}

// URI is a sip, sips or tel URI (RFC 3261 §19.1.1, RFC 3966).
type URI struct {
	Scheme string // lower case
	User   string // without password, escapes undone; the number of a tel URI
	Host   string // without brackets
	Port   int    // 0 if absent
	Params Params
}

// ParseURI reads a URI; ok is false if it is malformed or of another scheme.
func ParseURI(s string) (u URI, ok bool) {
	u.Scheme = schemeOf(s)
	rest := s[min(len(s), len(u.Scheme)+1):]
	switch u.Scheme {
	case "sip", "sips":
	case "tel":
		u.User, rest, _ = strings.Cut(rest, ";")
		u.Params, ok = parseParams(rest)
		return u, ok && u.User != ""
	default:
		return u, false
	}
	rest, headers, hasHeaders := strings.Cut(rest, "?")
	if hasHeaders && headers == "" {
		return u, false
	}
	// The user part may hold a semicolon, the host never an at sign.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, _, _ := strings.Cut(rest[:at], ":")
		if user == "" {
			return u, false
		}
		u.User, ok = percent(user)
		if !ok {
			return u, false
		}
		rest = rest[at+1:]
	}
	host, params, _ := strings.Cut(rest, ";")
	if u.Host, u.Port, ok = parseHostPort(host); !ok {
		return u, false
	}
	u.Params, ok = parseParams(params)
	return u, ok
}

// percent undoes %XX escapes.
func percent(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), true
}

// parseLength reads a Content-Length.
func parseLength(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}
