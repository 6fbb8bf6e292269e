package message

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
)

// elsewhere is the text of RFC 3326 for a branch that lost.
const elsewhere = "Call completed elsewhere"

// Reason renders a cause (RFC 3326).
func Reason(c pbx.Cause) string {
	if c.Elsewhere {
		return `SIP;cause=200;text="` + elsewhere + `"`
	}
	q := c.Q850
	if q == 0 {
		q = Q850(c.SIP)
	}
	text := ""
	if c.Text != "" {
		text = `;text="` + Quotable(c.Text) + `"`
	}
	return "Q.850;cause=" + strconv.Itoa(q) + text
}

// ReadReason takes a peer's Reason headers into a cause. The text is not taken
// over: it is the peer's.
func ReadReason(m sip.Message, c pbx.Cause) pbx.Cause {
	for h := range all(m, "Reason") {
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

// Q850 maps a SIP status to the ITU-T cause (RFC 3398 §8.2.6.1).
func Q850(status int) int {
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

// StatusText is our own phrase for a status: a peer's phrase is not shown.
func StatusText(status int) string {
	if status >= 0 && status < len(phrases) && phrases[status] != "" {
		return phrases[status]
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

// phrases are indexed by status.
var phrases = [...]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone", 415: "Unsupported Media Type",
	420: "Bad Extension", 422: "Session Interval Too Small", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
	500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out",
	600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}

// FinalStatus is the response code for a cause.
func FinalStatus(c pbx.Cause) int {
	switch {
	case c.SIP >= 400 && c.SIP <= 699:
		return c.SIP
	case c.Q850 == 17:
		return 486
	case c.Q850 == 1:
		return 404
	case c.Q850 == 21:
		return 603
	case c.Q850 == 41 || c.Q850 == 34 || c.Q850 == 42:
		return 503
	}
	return 480
}
