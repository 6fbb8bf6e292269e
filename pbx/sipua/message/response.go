package message

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// Response makes a response with the headers of its request (RFC 3261 §8.2.6).
// They are the request's own, not copies: nothing may change them any more.
// The topmost Via says already where the request came from, and To has our
// tag, or gets none: a request outside of a dialog is given one before it is
// answered.
func Response(req *sip.Request, status int) *sip.Response {
	res := sip.NewResponse(status, StatusText(status))
	res.SipVersion = "SIP/2.0"
	routes := status > 100 && status < 300 && req.Method != sip.REGISTER
	for _, h := range req.Headers() {
		switch h.Name() {
		case "Via", "From", "To", "Call-ID", "CSeq":
			res.AppendHeader(h)
		case "Record-Route":
			if routes {
				res.AppendHeader(h)
			}
		default:
			if status == 100 && strings.EqualFold(h.Name(), "Timestamp") {
				res.AppendHeader(h)
			}
		}
	}
	res.SetBody(nil)
	return res
}

// AnswerTimer settles the session timer in a 2xx of ours (RFC 4028 §9).
func AnswerTimer(t *dialog.Timer, req *sip.Request, res *sip.Response) {
	se := t.Answer(SessionExpires(req))
	if se == "" {
		return
	}
	res.AppendHeader(sip.NewHeader("Session-Expires", se))
	if !t.Refresh {
		res.AppendHeader(sip.NewHeader("Require", "timer"))
	}
}
