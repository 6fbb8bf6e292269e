package gate

import "strings"

// Plain writes a request as a strict reader expects it (RFC 3261 §7.3.1 lets
// senders write otherwise): no folded lines, no white space where none is
// needed, names of parameters in lower case, and From and To with nothing but
// their tags.
func (m *Message) Plain() string {
	var b strings.Builder
	b.WriteString(m.Method + " " + m.URI + " " + m.Version + "\r\n")
	for i := range m.Headers {
		h := &m.Headers[i]
		switch h.Name {
		case "via":
			for _, value := range SplitList(h.Value) {
				if v, ok := parseVia(value); ok {
					b.WriteString("Via: " + v.plain() + "\r\n")
				}
			}
		case "from":
			b.WriteString("From: " + m.From.plain() + "\r\n")
		case "to":
			b.WriteString("To: " + m.To.plain() + "\r\n")
		default:
			b.WriteString(h.Name + ": " + h.Value + "\r\n")
		}
	}
	return b.String() + "\r\n" + m.Body
}

func (v *Via) plain() string {
	b := []byte(v.sent)
	for _, p := range v.Params {
		b = append(append(b, ';'), p.Name...)
		if p.Value != "" {
			b = appendParam(append(b, '='), p.Value)
		}
	}
	return string(b)
}

func (a *Addr) plain() string {
	s := "<" + a.URI + ">"
	if a.Display != "" {
		s = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Display) + `" ` + s
	}
	if a.Tag != "" {
		s += ";tag=" + a.Tag
	}
	return s
}
