package sipua

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// The values of headers that every leg writes.
const (
	supported   = "100rel, timer"
	acceptTypes = "application/sdp, application/dtmf-relay, application/dtmf"
	elsewhere   = "Call completed elsewhere"
)

// compact holds the short header names of RFC 3261 §7.3.3 and RFC 4028 that
// sipgo leaves as they are.
var compact = map[string]string{"supported": "k", "session-expires": "x", "content-encoding": "e"}

// value returns the first value of a header, empty if there is none.
func value(m sip.Message, name string) string {
	for _, n := range []string{name, compact[strings.ToLower(name)]} {
		if n == "" {
			continue
		}
		if hs := m.GetHeaders(n); len(hs) > 0 {
			return strings.TrimSpace(hs[0].Value())
		}
	}
	return ""
}

// tokens returns the comma-separated tokens of all headers of that name.
func tokens(m sip.Message, name string) []string {
	var out []string
	for _, n := range []string{name, compact[strings.ToLower(name)]} {
		if n == "" {
			continue
		}
		for _, h := range m.GetHeaders(n) {
			for t := range strings.SplitSeq(h.Value(), ",") {
				if t = strings.TrimSpace(t); t != "" {
					out = append(out, t)
				}
			}
		}
	}
	return out
}

// seconds reads a header like Retry-After: 5 (text);duration=3.
func headerSeconds(m sip.Message, name string) time.Duration {
	v := strings.FieldsFunc(value(m, name), func(r rune) bool { return r == ';' || r == ' ' || r == '(' })
	if len(v) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(v[0], 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

func sessionExpires(m sip.Message) dialog.SessionExpires {
	timer := false
	for _, t := range append(tokens(m, "Supported"), tokens(m, "Require")...) {
		timer = timer || strings.EqualFold(t, "timer")
	}
	return dialog.ParseSessionExpires(value(m, "Session-Expires"), value(m, "Min-SE"), timer)
}

// contactURI returns the URI of the Contact header, empty if there is none
// that requests can be sent to.
func contactURI(m interface{ Contact() *sip.ContactHeader }) string {
	c := m.Contact()
	if c == nil || c.Address.Wildcard || c.Address.Host == "" {
		return ""
	}
	u := c.Address.Clone()
	u.Headers = nil
	return u.String()
}

func recordRoutes(m sip.Message) []string {
	var out []string
	for _, h := range m.GetHeaders("Record-Route") {
		out = append(out, h.Value())
	}
	return out
}

func tagOf(p sip.HeaderParams) string { return p.GetOr("tag", "") }

func rseqOf(m sip.Message) uint32 {
	n, err := strconv.ParseUint(value(m, "RSeq"), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// errMediaType is what a body of a type that we do not know gets (415).
var errMediaType = errors.New("the body is no session description")

// bodySDP returns the session description of a message, nil if it has none.
// In a multipart body (RFC 5621) the first SDP part counts.
func bodySDP(m sip.Message) ([]byte, error) {
	body := m.Body()
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if enc := value(m, "Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, errMediaType
	}
	kind, params, err := mime.ParseMediaType(contentType(m))
	if err != nil {
		return nil, errMediaType
	}
	if kind == "application/sdp" {
		return body, nil
	}
	if !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil, errMediaType
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range 8 {
		p, err := r.NextPart()
		if err != nil {
			break
		}
		if t, _, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err != nil || t != "application/sdp" {
			continue
		}
		if b, err := io.ReadAll(p); err == nil {
			return b, nil
		}
	}
	return nil, errMediaType
}

func contentType(m sip.Message) string {
	for _, n := range []string{"Content-Type", "c"} {
		if hs := m.GetHeaders(n); len(hs) > 0 {
			return hs[0].Value()
		}
	}
	return ""
}

// reasonHeader renders a cause (RFC 3326).
func reasonHeader(c pbx.Cause) string {
	if c.Elsewhere {
		return `SIP;cause=200;text="` + elsewhere + `"`
	}
	q := c.Q850
	if q == 0 {
		q = q850Of(c.SIP)
	}
	text := ""
	if c.Text != "" {
		text = `;text="` + quotable(c.Text) + `"`
	}
	return "Q.850;cause=" + strconv.Itoa(q) + text
}

// readReason takes a peer's Reason headers into a cause. The text is not taken
// over: it is the peer's.
func readReason(m sip.Message, c pbx.Cause) pbx.Cause {
	for _, h := range m.GetHeaders("Reason") {
		for v := range strings.SplitSeq(h.Value(), ",") {
			parts := strings.Split(v, ";")
			n := 0
			for _, p := range parts[1:] {
				k, val, _ := strings.Cut(strings.TrimSpace(p), "=")
				if strings.EqualFold(k, "cause") {
					n, _ = strconv.Atoi(strings.TrimSpace(val))
				}
			}
			switch proto := strings.TrimSpace(parts[0]); {
			case strings.EqualFold(proto, "Q.850") && n > 0 && n < 128:
				c.Q850 = n
			case strings.EqualFold(proto, "SIP") && n == 200:
				c.Elsewhere = true
			}
		}
	}
	return c
}

// q850Of maps a SIP status to the ITU-T cause (RFC 3398 §8.2.6.1).
func q850Of(status int) int {
	switch status {
	case 401, 402, 403, 407, 603:
		return 21
	case 404, 485, 604:
		return 1
	case 408, 480:
		return 18
	case 410:
		return 22
	case 484:
		return 28
	case 486, 600:
		return 17
	case 488, 606:
		return 88
	case 487, 200, 0:
		return 16
	case 500, 503:
		return 41
	}
	return 31
}

// statusText is our own phrase for a status: a peer's phrase is not shown.
func statusText(status int) string {
	if t, ok := phrases[status]; ok {
		return t
	}
	switch {
	case status >= 600:
		return "Declined everywhere"
	case status >= 500:
		return "Server failure"
	case status >= 400:
		return "Request failed"
	case status >= 300:
		return "Redirected"
	}
	return "OK"
}

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone", 415: "Unsupported Media Type",
	420: "Bad Extension", 422: "Session Interval Too Small", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
	500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out",
	600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}

// quotable makes text fit for a quoted string: no control characters, no
// quotes to break out of, of bounded length.
func quotable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f || r == '\uFFFD':
			continue
		case r == '"' || r == '\\':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if b.Len() > 120 {
			break
		}
	}
	return b.String()
}

// userPart keeps of a number what may stand in the user part of a URI.
func userPart(number string) string {
	var b strings.Builder
	for i, r := range number {
		if (r >= '0' && r <= '9') || r == '*' || (r == '+' && i == 0) || (r >= 'A' && r <= 'Z') || (r >= 'a' && r <= 'z') || r == '_' {
			b.WriteRune(r)
		} else if r == '#' {
			b.WriteString("%23")
		}
	}
	return b.String()
}

// nameAddr renders "name" <uri>.
func nameAddr(name string, uri string) string {
	if name = quotable(name); name != "" {
		return `"` + name + `" <` + uri + `>`
	}
	return "<" + uri + ">"
}
