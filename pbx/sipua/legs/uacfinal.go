package legs

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

// maxRetries is how often one place is asked again after 401, 407, 422 or 491.
const maxRetries = 4

// refusedBy takes a final response other than 2xx.
func (l *sipLeg) refusedBy(a *attempt, res *sip.Response) {
	if l.told || a != l.uac.cur || l.uac.winner != nil {
		return
	}
	if l.ended != nil {
		l.over(*l.ended)
		return
	}
	switch code := res.StatusCode; {
	case code == 401 || code == 407:
		l.challenged(a, res)
	case code == 422 && l.again() && l.uac.base.Timer.TooSmall(message.Seconds(res, "Min-SE")):
		l.invite(a.at, a.auth)
	case code == 491 && l.again():
		l.retry.Set(l.uac.base.Glare(l.t.cfg.Pick), func() {
			if !l.told && l.ended == nil {
				l.invite(a.at, a.auth)
			}
		})
	case (code == 488 || code == 606) && l.sdp.NextForm() && l.again():
		l.invite(a.at, a.auth)
	case code == 503 || (code == 408 || code == 500 || code == 504) && a.at.Host != nil:
		// RFC 3263 §4.3: another host may do better.
		l.hostRefused(a, res)
	case code >= 300 && code < 400:
		l.redirected(res)
	default:
		l.over(message.CauseOf(res))
	}
}

func (l *sipLeg) again() bool {
	l.uac.retries++
	return l.uac.retries <= maxRetries
}

// challenged answers the trunk's challenge; a phone's is never answered.
func (l *sipLeg) challenged(a *attempt, res *sip.Response) {
	if a.auth != nil && !message.Stale(res) || !l.again() {
		l.over(pbx.Cause{SIP: 403, Q850: 21, Text: "the trunk refuses the credentials"})
		return
	}
	h, ok := l.trunkCredentials(a.req, res, a.at.To)
	if !ok {
		l.over(pbx.Cause{SIP: 403, Q850: 21, Text: "a challenge came that must not be answered"})
		return
	}
	l.invite(a.at, h)
}

// hostRefused goes to the next host.
func (l *sipLeg) hostRefused(a *attempt, res *sip.Response) {
	if res.StatusCode == sip.StatusServiceUnavailable {
		l.hostFailed(a)
	}
	if !l.tryNext() {
		l.over(message.CauseOf(res))
	}
}

// redirected tells a 3xx whose Contact is a number. We never send to the URI
// itself: it is the peer's choice, not ours.
func (l *sipLeg) redirected(res *sip.Response) {
	if c := res.Contact(); c != nil {
		user, _, _ := strings.Cut(c.Address.User, ";")
		if message.IsNumber(user) {
			l.lis.LegMoved(l.id, user)
		}
	}
	l.over(message.CauseOf(res))
}
