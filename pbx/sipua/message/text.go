package message

import (
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
)

// Routes turns a Path (RFC 3327) into routes.
func Routes(path []string) []string {
	var out []string
	for _, p := range path {
		if p = strings.TrimSpace(p); !strings.HasPrefix(p, "<") {
			p = "<" + p + ">"
		}
		out = append(out, p)
	}
	return out
}

// IsNumber reports whether a user part can be dialled.
func IsNumber(s string) bool {
	s = strings.TrimPrefix(s, "+")
	if s == "" || len(s) > 32 {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && r != '*' {
			return false
		}
	}
	return true
}

// CauseOf turns a final response into a cause.
func CauseOf(res *sip.Response) pbx.Cause {
	c := pbx.Cause{SIP: res.StatusCode, Text: strings.ToLower(StatusText(res.StatusCode))}
	return ReadReason(res, c)
}

// HostOf is the host of a URI, an address as it stands in one.
func HostOf(u sip.Uri) string {
	if a, err := netip.ParseAddr(strings.Trim(u.Host, "[]")); err == nil {
		return Bracketed(a)
	}
	return u.Host
}

// Narrow reports whether an address is of no use outside of its own network.
func Narrow(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast()
}

// Unserved reports whether a response says that its peer takes no requests of
// the method.
func Unserved(res *sip.Response, method sip.RequestMethod) bool {
	c := res.CSeq()
	return c != nil && c.MethodName == method &&
		(res.StatusCode == sip.StatusMethodNotAllowed || res.StatusCode == sip.StatusNotImplemented)
}
