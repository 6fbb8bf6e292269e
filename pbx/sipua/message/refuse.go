package message

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sdp"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// Explain adds the headers that a verdict gives its response.
func Explain(res *sip.Response, v dialog.Verdict) {
	if v.RetryAfter > 0 {
		res.AppendHeader(sip.NewHeader("Retry-After", strconv.Itoa(int(v.RetryAfter/time.Second))))
	}
	if v.MinSE > 0 {
		res.AppendHeader(sip.NewHeader("Min-SE", strconv.Itoa(int(v.MinSE/time.Second))))
	}
	if len(v.Unsupported) > 0 {
		res.AppendHeader(sip.NewHeader("Unsupported", strings.Join(v.Unsupported, ", ")))
	}
	if v.Status == 405 || v.Status == 501 {
		res.AppendHeader(sip.NewHeader("Allow", dialog.Methods))
	}
	if v.Status == 415 {
		res.AppendHeader(sip.NewHeader("Accept", AcceptTypes))
	}
}

// Reject answers a request that reaches no leg. An error means that the peer is
// gone, which changes nothing.
func Reject(req *sip.Request, tx interface{ Respond(*sip.Response) error }, status int, headers ...sip.Header) {
	res := Response(req, status)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = tx.Respond(res)
}

// SDPRefusal is how a description that we cannot take is refused.
func SDPRefusal(err error, codecs []string, srtp string) (int, sip.Header) {
	if errors.Is(err, sdp.ErrNoAudio) {
		return 488, Warning(305, "no audio that we speak: "+strings.Join(codecs, ", ")+"; encryption is "+OrElse(srtp, "Disabled"))
	}
	return 400, Warning(399, "the session description cannot be read")
}

// Unacceptable says why an INVITE cannot begin a call, or returns 0.
func Unacceptable(req *sip.Request) (status int, headers []sip.Header) {
	if ContactURI(req) == "" {
		return 400, []sip.Header{Warning(399, "a Contact is needed")}
	}
	if m := req.MaxForwards(); m != nil && m.Val() == 0 {
		return 483, nil
	}
	if u := dialog.Unknown(Tokens(req, "Require")); len(u) > 0 {
		return 420, []sip.Header{sip.NewHeader("Unsupported", strings.Join(u, ", "))}
	}
	return 0, nil
}

// KeyPress reads an INFO: a key (application/dtmf-relay, application/dtmf), or
// none in an empty one, which some peers use as a keep-alive. The status is that
// of the answer.
func KeyPress(req *sip.Request) (digit rune, status int) {
	kind, _, _ := strings.Cut(strings.ToLower(ContentType(req)), ";")
	body := string(req.Body())
	switch strings.TrimSpace(kind) {
	case "application/dtmf-relay", "application/dtmf":
		if d, ok := InfoDigit(body); ok {
			return d, 200
		}
		return 0, 400
	default:
		if strings.TrimSpace(body) != "" {
			return 0, 415
		}
		return 0, 200
	}
}
