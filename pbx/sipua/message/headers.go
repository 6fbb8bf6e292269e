package message

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// The values of headers that every leg writes.
const (
	Supported   = "100rel, timer"
	AcceptTypes = "application/sdp, application/dtmf-relay, application/dtmf"
)

// short returns the short name of a header where sipgo leaves it as it is (RFC
// 3261 §7.3.3, RFC 4028).
func short(name string) string {
	switch name {
	case "Supported":
		return "k"
	case "Session-Expires":
		return "x"
	case "Content-Encoding":
		return "e"
	case "Content-Type":
		return "c"
	}
	return ""
}

// all ranges over the headers of that name, which is in its usual writing, in
// the message's order.
func all(m sip.Message, name string) iter.Seq[sip.Header] {
	other := short(name)
	return func(yield func(sip.Header) bool) {
		for _, h := range headers(m) {
			n := h.Name()
			if (strings.EqualFold(n, name) || other != "" && strings.EqualFold(n, other)) && !yield(h) {
				return
			}
		}
	}
}

// headers are all headers of a message. sipgo's interface has them not, and its
// look-up by name makes garbage.
func headers(m sip.Message) []sip.Header {
	switch m := m.(type) {
	case *sip.Request:
		return m.Headers()
	case *sip.Response:
		return m.Headers()
	}
	return nil
}

// Value returns the first value of a header, empty if there is none.
func Value(m sip.Message, name string) string {
	for h := range all(m, name) {
		return strings.TrimSpace(h.Value())
	}
	return ""
}

// Tokens returns the comma-separated tokens of all headers of that name.
func Tokens(m sip.Message, name string) []string {
	var out []string
	for h := range all(m, name) {
		v := h.Value()
		out = slices.Grow(out, min(16, 1+strings.Count(v, ",")))
		for t := range strings.SplitSeq(v, ",") {
			if t = strings.TrimSpace(t); t != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// hasToken reports whether a header of that name has the token.
func hasToken(m sip.Message, name, token string) bool {
	for h := range all(m, name) {
		for t := range strings.SplitSeq(h.Value(), ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// Seconds reads a header like Retry-After: 5 (text);duration=3.
func Seconds(m sip.Message, name string) time.Duration {
	v := strings.FieldsFunc(Value(m, name), func(r rune) bool { return r == ';' || r == ' ' || r == '(' })
	if len(v) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(v[0], 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// SessionExpires reads the headers of session timers (RFC 4028).
func SessionExpires(m sip.Message) dialog.SessionExpires {
	timer := hasToken(m, "Supported", "timer") || hasToken(m, "Require", "timer")
	return dialog.ParseSessionExpires(Value(m, "Session-Expires"), Value(m, "Min-SE"), timer)
}

// ContactURI returns the URI of the Contact header, empty if there is none
// that requests can be sent to.
func ContactURI(m interface{ Contact() *sip.ContactHeader }) string {
	c := m.Contact()
	if c == nil || c.Address.Wildcard || c.Address.Host == "" {
		return ""
	}
	// Headers in a Contact URI would become headers of our requests.
	u, _, _ := strings.Cut(c.Address.String(), "?")
	return u
}

// RecordRoutes returns the Record-Route values in the order of the message.
func RecordRoutes(m sip.Message) []string {
	var out []string
	for h := range all(m, "Record-Route") {
		out = append(out, h.Value())
	}
	return out
}

// Tag returns the tag of a From or To header.
func Tag(p sip.HeaderParams) string { return p.GetOr("tag", "") }

// RSeq returns the RSeq header (RFC 3262), 0 without one.
func RSeq(m sip.Message) uint32 {
	n, err := strconv.ParseUint(Value(m, "RSeq"), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// Warning makes a Warning header (RFC 3261 §20.43).
func Warning(code int, text string) sip.Header {
	return sip.NewHeader("Warning", strconv.Itoa(code)+` dipcast "`+Quotable(text)+`"`)
}

// MaxForwards returns the Max-Forwards of a request, 70 without one or above.
func MaxForwards(req *sip.Request) int {
	if m := req.MaxForwards(); m != nil {
		return int(min(m.Val(), 70))
	}
	return 70
}

// Has reports whether a list of tokens has s, in any case of letters.
func Has(list []string, s string) bool {
	for _, v := range list {
		if strings.EqualFold(v, s) {
			return true
		}
	}
	return false
}
