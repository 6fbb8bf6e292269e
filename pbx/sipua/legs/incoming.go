package legs

import (
	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/exchange"
	"github.com/dipcast/dipcast/pbx/sipua/message"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// user brings what the transaction of an INVITE tells to the leg's goroutine.
func (l *sipLeg) user(in *exchange.Incoming) txn.User {
	return txn.User{
		Tag:  l.localTag,
		ACK:  func(ack *sip.Request) { l.box.PostBounded(func() { l.onACK(ack) }) },
		Lost: func() { l.box.Post(func() { l.lost(in) }) },
	}
}

// reply builds a response with the headers that all of ours have.
func (l *sipLeg) reply(req *sip.Request, status int, body []byte) *sip.Response {
	res := message.Response(req, status)
	if status > 100 && status < 300 && (req.Method == sip.INVITE || req.Method == sip.UPDATE) {
		res.AppendHeader(&sip.ContactHeader{Address: l.t.cfg.Sender.Contact(l.hop)})
		res.AppendHeader(sip.NewHeader("Allow", dialog.Methods))
		res.AppendHeader(sip.NewHeader("Supported", message.Supported))
	}
	if len(body) > 0 {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	return res
}

// verdict answers a request that is not taken.
func (l *sipLeg) verdict(in *exchange.Incoming, v dialog.Verdict) {
	res := l.reply(in.Req, v.Status, nil)
	message.Explain(res, v)
	_ = in.Respond(res) // an error means that the peer is gone; its timers tell
}

// dialogOf finds the dialog that a request belongs to: while a forked INVITE
// of ours is unanswered there may be several.
func (l *sipLeg) dialogOf(req *sip.Request) *dialog.Dialog {
	if l.uac != nil && l.dlg == nil {
		if f := l.uac.forks[message.Tag(req.From().Params)]; f != nil {
			return f.dlg
		}
	}
	return l.dlg
}

// onRequest judges and serves one request inside the dialog.
func (l *sipLeg) onRequest(in *exchange.Incoming) {
	d := l.dialogOf(in.Req)
	if d == nil {
		l.verdict(in, dialog.Verdict{Status: 481})
		return
	}
	body, err := message.SDP(in.Req)
	info := in.Req.Method == sip.INFO
	if err != nil && !info && in.Req.Method != sip.BYE && in.Req.Method != sip.OPTIONS {
		l.verdict(in, dialog.Verdict{Status: 415})
		return
	}
	l.impliedACK(in.Req)
	was := d.State
	v := d.OnRequest(dialog.Incoming{
		Method: string(in.Req.Method), Seq: in.Req.CSeq().SeqNo, FromTag: message.Tag(in.Req.From().Params),
		Body: len(body) > 0, Contact: message.ContactURI(in.Req), RAck: message.Value(in.Req, "RAck"),
		Require: message.Tokens(in.Req, "Require"), Session: message.SessionExpires(in.Req),
	}, l.t.cfg.Pick)
	// A BYE is taken whatever else is wrong with it.
	taken := in.Req.Method == sip.BYE && was != dialog.Terminated && v.Status != 481
	if !v.OK() && !taken {
		l.verdict(in, v)
		return
	}
	l.follow(d, in.Req)
	l.serve(d, in, body)
}

// serve does what a request that was taken asks for.
func (l *sipLeg) serve(d *dialog.Dialog, in *exchange.Incoming, body []byte) {
	switch in.Req.Method {
	case sip.INVITE:
		l.reinvite(in, body)
	case sip.UPDATE:
		l.update(d, in, body)
	case sip.PRACK:
		l.prack(in, body)
	case sip.INFO:
		l.info(in)
	case sip.BYE:
		l.byed(d, in)
	default: // OPTIONS
		res := l.reply(in.Req, 200, nil)
		res.AppendHeader(sip.NewHeader("Allow", dialog.Methods))
		res.AppendHeader(sip.NewHeader("Accept", message.AcceptTypes))
		res.AppendHeader(sip.NewHeader("Supported", message.Supported))
		_ = in.Respond(res) // as in verdict
	}
}

// follow takes the source of a phone's request as the place of its next one:
// the phone may have moved to another network. What it says of itself counts
// for all of the dialog.
func (l *sipLeg) follow(d *dialog.Dialog, req *sip.Request) {
	if allow := message.Tokens(req, "Allow"); len(allow) > 0 {
		d.Allow = allow
	}
	if l.trunk != "" {
		l.route(d)
		return
	}
	if h, ok := exchange.HopOf(req); ok {
		l.goTo(h)
		l.sdp.Trust(h.Addr.Addr())
	}
}

// byed ends the leg since the peer hung up.
func (l *sipLeg) byed(d *dialog.Dialog, in *exchange.Incoming) {
	_ = in.Respond(l.reply(in.Req, 200, nil)) // as in verdict
	if l.dlg != d {
		// RFC 3261 §15: a BYE ends one early dialog, not our INVITE.
		d.State = dialog.Terminated
		return
	}
	if l.uas != nil && d.State == dialog.Early {
		_ = l.uas.in.Respond(l.reply(l.uas.in.Req, 487, nil)) // as in verdict
	}
	cause := message.ReadReason(in.Req, pbx.Cause{Q850: 16, Text: "hung up"})
	if l.ended != nil {
		cause = *l.ended
	}
	l.over(cause)
}

// info takes a key press (application/dtmf-relay, application/dtmf) or an
// empty INFO, which some peers use as a keep-alive.
func (l *sipLeg) info(in *exchange.Incoming) {
	digit, status := message.KeyPress(in.Req)
	if status != 200 {
		l.verdict(in, dialog.Verdict{Status: status})
		return
	}
	_ = in.Respond(l.reply(in.Req, 200, nil)) // as in verdict
	if digit != 0 && l.lis != nil && !l.told {
		l.lis.LegDigit(l.id, digit, false)
	}
}
