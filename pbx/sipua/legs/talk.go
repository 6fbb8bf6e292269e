package legs

import (
	"slices"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/exchange"
	"github.com/dipcast/dipcast/pbx/sipua/legs/vault"
	"github.com/dipcast/dipcast/pbx/sipua/mailbox"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

// accepted is a 2xx of ours to an INVITE that waits for its ACK.
type accepted struct {
	in     *exchange.Incoming // nil: an earlier process had it
	seq    uint32             // the INVITE's
	late   bool               // it carries our offer; the ACK brings the answer
	again  bool               // to a re-INVITE
	note   *vault.Answer
	resend mailbox.Backoff
}

func (a *accepted) settle() {
	if a.in != nil {
		a.in.Settle()
	}
}

// change is what we want to tell the peer in a confirmed dialog.
type change struct {
	refresh bool
	moved   bool // the peer must learn our new address
	present *pbx.Party
	busy    bool // an UPDATE or re-INVITE of ours is under way
	tries   int
}

// statusIntervalTooSmall is RFC 4028's 422, which sipgo does not name.
const statusIntervalTooSmall = 422

// maxTries is how often an UPDATE or re-INVITE that met glare is sent again.
const maxTries = 5

// accept sends the 2xx to an INVITE and repeats it until the ACK comes
// (RFC 3261 §13.3.1.4).
func (l *sipLeg) accept(in *exchange.Incoming, body []byte, late, again bool) {
	res := l.reply(in.Req, 200, body)
	message.AnswerTimer(&l.dlg.Timer, in.Req, res)
	l.identify(res)
	l.ok = &accepted{in: in, seq: in.Req.CSeq().SeqNo, late: late, again: again}
	if l.t.vault.Keeps() {
		l.ok.note = &vault.Answer{Text: res.String(), Seq: l.ok.seq, Late: late, Again: again, Sent: l.t.cfg.Now()}
	}
	l.began = l.t.cfg.Now()
	l.save()
	if in.Respond(res) != nil {
		l.ok = nil
		l.saveSoon()
		if !again && !in.Cancelled() {
			l.over(pbx.Cause{SIP: 503, Q850: 41, Text: "the peer cannot be reached"})
		} else if !again {
			l.dlg.State = dialog.Early // the CANCEL came first: its message ends the leg
		}
		return
	}
	l.ok.resend.Box = l.box
	l.dlg.Offer.RemoteInvite = true
	tm := l.t.cfg.Timers
	l.ok.resend.Start(tm.T1, 64*tm.T1, tm.T2,
		func() { _ = in.Tx.Respond(res) }, // the next one, or the end of the wait, tells
		func() {
			l.acked()
			l.bye(pbx.Cause{SIP: 408, Q850: 102, Text: "no ACK came"})
		})
	l.startTimer()
}

// acked stops the repetition of our 2xx.
func (l *sipLeg) acked() {
	if l.ok == nil {
		return
	}
	l.ok.resend.Stop()
	l.ok.settle()
	l.ok = nil
	l.saveSoon()
	l.dlg.Offer.RemoteInvite = false
}

// onACK takes the ACK of our 2xx.
func (l *sipLeg) onACK(req *sip.Request) {
	if l.ok == nil || req.CSeq() == nil || req.CSeq().SeqNo != l.ok.seq ||
		req.From() == nil || message.Tag(req.From().Params) != l.dlg.Remote.Tag {
		return
	}
	ok := l.ok
	l.acked()
	if ok.late {
		body, err := message.SDP(req)
		if err == nil {
			_, err = l.sdp.Accept(body)
		}
		if err != nil {
			l.lateFailed(ok.again, err)
			return
		}
		_ = l.dlg.Offer.Answered() // late: our offer is open
		l.port.Apply(l.sdp.Stream)
	}
	l.confirmed(ok.again)
}

// lateFailed ends a call whose ACK brought no usable answer; after a
// re-INVITE the session goes on as it was.
func (l *sipLeg) lateFailed(again bool, err error) {
	l.log().Info("the ACK carried no usable answer", "error", err)
	l.sdp.Withdraw()
	l.dlg.Offer.Refused()
	if !again {
		l.bye(pbx.Cause{SIP: 488, Q850: 88, Text: "the ACK carried no usable answer"})
	}
}

// confirmed goes on after the ACK of our 2xx.
func (l *sipLeg) confirmed(again bool) {
	if l.ended != nil {
		l.bye(*l.ended)
		return
	}
	if !again {
		l.uas = nil // what the INVITE said is known now
		l.lis.LegAnswered(l.id)
	}
	l.setHeld()
	l.kick()
}

// impliedACK takes a re-INVITE as a sign that our 2xx arrived: the ACK that
// was sent before it may come later, or was lost.
func (l *sipLeg) impliedACK(req *sip.Request) {
	if l.ok == nil || l.ok.late || !req.IsInvite() {
		return
	}
	again := l.ok.again
	l.acked()
	l.confirmed(again)
}

// reinvite serves a re-INVITE that OnRequest took.
func (l *sipLeg) reinvite(in *exchange.Incoming, body []byte) {
	if body == nil {
		_ = l.dlg.Offer.Send() // OnRequest saw that no offer is open
		l.accept(in, l.sdp.Offer(), true, true)
		return
	}
	answer, s, err := l.sdp.Answer(body)
	if err != nil {
		l.refuseSDP(in, err)
		return
	}
	l.port.Apply(s)
	l.accept(in, answer, false, true)
	l.setHeld()
}

// update serves an UPDATE that OnRequest took (RFC 3311 §5.2).
func (l *sipLeg) update(d *dialog.Dialog, in *exchange.Incoming, body []byte) {
	var answer []byte
	if body != nil {
		s := &l.sdp
		if l.uac != nil && l.dlg == nil {
			s = &l.uac.forks[d.Remote.Tag].sdp
		}
		if !s.Settled {
			l.verdict(in, dialog.Verdict{Status: 500, RetryAfter: time.Second})
			return
		}
		a, stream, err := s.Answer(body)
		if err != nil {
			l.refuseSDP(in, err)
			return
		}
		answer = a
		l.port.Apply(stream)
	}
	res := l.reply(in.Req, 200, answer)
	if d == l.dlg && d.State == dialog.Confirmed {
		message.AnswerTimer(&l.dlg.Timer, in.Req, res)
		l.startTimer()
	}
	l.save()
	_ = in.Respond(res) // as in verdict
	if d == l.dlg && d.State == dialog.Confirmed {
		l.setHeld()
	}
}

func (l *sipLeg) refuseSDP(in *exchange.Incoming, err error) {
	status, warn := message.SDPRefusal(err, l.codecs(), l.doc.Media.SRTP)
	res := l.reply(in.Req, status, nil)
	res.AppendHeader(warn)
	_ = in.Respond(res) // as in verdict
}

// startTimer begins the session's interval anew (RFC 4028 §10).
func (l *sipLeg) startTimer() {
	l.began = l.t.cfg.Now()
	l.runTimer(0)
}

// runTimer sets the alarms of an interval that began so long ago.
func (l *sipLeg) runTimer(ago time.Duration) {
	refresh, expire := l.dlg.Timer.Due()
	if expire == 0 {
		l.refresh.Stop()
		l.expiry.Stop()
		return
	}
	l.expiry.Set(max(expire-ago, leastExpiry), func() {
		l.bye(pbx.Cause{SIP: 408, Q850: 102, Text: "session expired"})
	})
	if refresh == 0 {
		l.refresh.Stop()
		return
	}
	l.refresh.Set(max(refresh-ago, 0), func() {
		l.change.refresh, l.change.tries = true, 0
		l.kick()
	})
}

// present is leg.Present: now in the responses still to come, or by UPDATE.
func (l *sipLeg) present(p pbx.Party) {
	if l.told || l.trunk != "" {
		return // a carrier is not told who is inside
	}
	l.change.present, l.change.tries = &p, 0
	l.kick()
}

// identify puts who the peer talks with into a response to its INVITE.
func (l *sipLeg) identify(res *sip.Response) {
	if p := l.change.present; p != nil {
		for _, h := range message.Asserted(*p, l.doc.Tenant.Domain) {
			res.AppendHeader(h)
		}
		if res.StatusCode >= 200 {
			l.change.present = nil
		}
	}
}

// kick sends the UPDATE or re-INVITE that is wanted, as soon as no other
// exchange is open.
func (l *sipLeg) kick() {
	c := &l.change
	if l.told || l.dlg == nil || l.dlg.State != dialog.Confirmed || c.busy || l.ok != nil || (!c.refresh && !c.moved && c.present == nil) {
		return
	}
	byUpdate := !c.moved && l.dlg.MayUpdate(false)
	if !byUpdate && !l.dlg.MayInvite() {
		return // tried again when the exchange ends
	}
	party := c.present
	c.busy, c.present = true, nil
	c.tries++
	fill := func(req *sip.Request) {
		if party != nil {
			for _, h := range message.Asserted(*party, l.doc.Tenant.Domain) {
				req.AppendHeader(h)
			}
		}
	}
	if byUpdate {
		l.request(l.dlg, "UPDATE", fill, func(res *sip.Response) { l.changed(res, party) })
		return
	}
	l.sendReinvite(fill, party)
}

// sendReinvite offers again what was settled.
func (l *sipLeg) sendReinvite(fill func(*sip.Request), party *pbx.Party) {
	_ = l.dlg.Offer.Send() // MayInvite saw that no offer is open
	l.dlg.Offer.LocalInvite = true
	body := l.sdp.Reoffer()
	if l.change.moved {
		body = l.sdp.Offer()
	}
	var ack *sip.Request
	l.reach()
	to := l.hop
	l.request(l.dlg, "INVITE", func(req *sip.Request) {
		message.SetSDP(req, body)
		fill(req)
	}, func(res *sip.Response) {
		switch {
		case res != nil && res.IsSuccess() && ack != nil:
			l.resendACK(ack, to) // a repeated 2xx
			return
		case res != nil && res.IsSuccess():
			l.dlg.Target = message.OrElse(message.ContactURI(res), l.dlg.Target)
			ack = l.sendACK(l.dlg, to, nil)
			if l.told {
				return // the BYE crossed it
			}
			l.route(l.dlg)
			l.takeAnswer(res)
		case l.told:
			return
		default:
			l.sdp.Withdraw()
		}
		l.dlg.Offer.LocalInvite = false
		l.dlg.Offer.Refused()
		l.changed(res, party)
	})
}

// takeAnswer applies the answer to a re-INVITE of ours.
func (l *sipLeg) takeAnswer(res *sip.Response) {
	body, err := message.SDP(res)
	if err == nil {
		_, err = l.sdp.Accept(body)
	}
	if err != nil {
		l.log().Info("the answer to a re-INVITE is of no use", "error", err)
		l.sdp.Withdraw()
		return
	}
	l.port.Apply(l.sdp.Stream)
	l.setHeld()
	l.save()
}

// changed goes on after the final response to an UPDATE or re-INVITE of ours.
func (l *sipLeg) changed(res *sip.Response, party *pbx.Party) {
	c := &l.change
	c.busy = false
	if l.told {
		return
	}
	again := func(after time.Duration) {
		if c.tries >= maxTries {
			if c.moved {
				l.bye(l.unreachable())
			}
			c.refresh = false // the expiry alarm ends the session if need be
			return
		}
		if c.present == nil {
			c.present = party
		}
		l.retry.Set(after, l.kick)
	}
	switch {
	case res == nil || res.StatusCode == sip.StatusRequestTimeout || res.StatusCode == 481:
		// RFC 3261 §12.2.1.2: the dialog is gone at the peer.
		l.bye(l.unreachable())
		return
	case res.IsSuccess():
		l.dlg.Timer.Accept(message.SessionExpires(res))
		l.startTimer()
		c.refresh, c.moved = false, false
		l.saveSoon()
	case res.StatusCode == 491:
		again(l.dlg.Glare(l.t.cfg.Pick))
		return
	case res.StatusCode == statusIntervalTooSmall && l.dlg.Timer.TooSmall(message.Seconds(res, "Min-SE")):
		again(0)
		return
	case (res.StatusCode == sip.StatusInternalServerError || res.StatusCode == sip.StatusServiceUnavailable) && message.Value(res, "Retry-After") != "":
		again(min(message.Seconds(res, "Retry-After"), 10*time.Second))
		return
	case message.Unserved(res, sip.UPDATE):
		l.dlg.Allow = slices.DeleteFunc(slices.Clone(l.dlg.Allow), func(m string) bool { return m == "UPDATE" })
		again(0)
		return
	case c.moved:
		l.bye(l.unreachable())
		return
	default:
		l.log().Info("the peer refused an UPDATE or re-INVITE", "status", strconv.Itoa(res.StatusCode))
		c.refresh = false
	}
	c.tries = 0
	l.kick()
}
