package legs

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/sdp"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/exchange"
	"github.com/dipcast/dipcast/pbx/sipua/mailbox"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

// uasState is the part of a leg that began with an INVITE of the peer, until
// that is answered.
type uasState struct {
	in     *exchange.Incoming
	answer []byte // our SDP answer; nil if the INVITE carried no offer
	last   *sip.Response
	// Reliable provisional responses: the one that waits for its PRACK, what
	// waits behind it, and whether Answer was called meanwhile.
	waits     bool
	queue     []provisional
	answer200 bool
	resend    mailbox.Backoff
	minute    mailbox.Alarm
}

type provisional struct {
	status int
	sdp    bool
}

// Invite takes an INVITE without a To tag that passed admission. It does not
// block.
func (t *Table) Invite(req *sip.Request, tx exchange.Transaction, id edge.Identity) {
	callID, from, to, seq := req.CallID(), req.From(), req.To(), req.CSeq()
	if callID == nil || from == nil || to == nil || seq == nil {
		return
	}
	// All responses have our tag, the transaction's own 487, too: they belong
	// to the same dialog as our 18x.
	tag := t.cfg.NewID()
	to.Params.Add("tag", tag)
	if status, why := message.Unacceptable(req); status != 0 {
		message.Reject(req, tx, status, why...)
		return
	}
	key := mergeKey{callID.Value(), message.Tag(from.Params), seq.SeqNo}
	if t.merged(key) {
		message.Reject(req, tx, 482)
		return
	}
	receiver := t.cfg.Receiver()
	if receiver == nil {
		message.Reject(req, tx, 503, sip.NewHeader("Retry-After", "5"))
		return
	}
	l := t.newLeg(pbx.LegID(t.cfg.NewID()), callID.Value(), tag)
	l.merge, l.trunk, l.phone, l.instance = key, id.Trunk, id.Extension, id.Instance
	l.goTo(edge.Hop{Transport: id.Transport, Addr: id.Source})
	in := exchange.NewIncoming(req, tx)
	l.uas = &uasState{in: in}
	l.uas.resend.Box, l.uas.minute.Box = l.box, l.box
	if !t.add(l) {
		message.Reject(req, tx, 503, sip.NewHeader("Retry-After", "5"))
		return
	}
	u := l.user(in)
	u.Cancelled = func(cancel *sip.Request) {
		in.Cancel()
		l.box.Post(func() { l.cancelled(cancel) })
	}
	l.wake()
	if !tx.Listen(u) {
		in.Cancel()
	}
	l.box.Post(func() { l.receive(receiver, id) })
}

// receive is the first message of an incoming leg: SDP, port, receiver.
func (l *sipLeg) receive(receiver leg.Receiver, id edge.Identity) {
	in := l.uas.in
	if in.Cancelled() {
		l.drop()
		return
	}
	from, to := in.Req.From(), in.Req.To()
	l.dlg = dialog.NewCallee(l.callID,
		dialog.Party{Display: to.DisplayName, URI: to.Address.String(), Tag: l.localTag},
		dialog.Party{Display: from.DisplayName, URI: from.Address.String(), Tag: message.Tag(from.Params)},
		message.ContactURI(in.Req), message.RecordRoutes(in.Req), in.Req.CSeq().SeqNo, in.Req.Recipient.IsEncrypted())
	l.dlg.Allow, l.dlg.Supported = message.Tokens(in.Req, "Allow"), message.Tokens(in.Req, "Supported")
	l.dlg.Timer = dialog.Timer{Want: l.t.cfg.Timers.Expire, Min: l.t.cfg.Timers.MinSE}
	if v := l.dlg.Timer.Judge(message.SessionExpires(in.Req)); !v.OK() {
		l.verdict(in, v)
		l.drop()
		return
	}
	if !l.acquire(l.trunk) {
		l.refuseEarly(503, sip.NewHeader("Retry-After", "10"))
		return
	}
	if !l.openMedia(id.Source.Addr()) || !l.takeOffer() {
		return
	}
	l.route(l.dlg)
	lis, no := receiver.Receive(l.t.ctx, l.incoming(in.Req, id))
	if no != nil {
		l.refused(*no)
		return
	}
	l.lis = lis
}

// refused answers with the engine's refusal.
func (l *sipLeg) refused(no leg.Refusal) {
	res := l.reply(l.uas.in.Req, message.FinalStatus(no.Cause), nil)
	if no.RetryAfter > 0 {
		res.AppendHeader(sip.NewHeader("Retry-After", strconv.Itoa(no.RetryAfter)))
	}
	res.AppendHeader(sip.NewHeader("Reason", message.Reason(no.Cause)))
	_ = l.uas.in.Respond(res) // the peer is gone or has cancelled: the same to us
	l.drop()
}

// refuseEarly ends an INVITE that never became a call.
func (l *sipLeg) refuseEarly(status int, headers ...sip.Header) {
	res := l.reply(l.uas.in.Req, status, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = l.uas.in.Respond(res) // as in refused
	l.drop()
}

// drop ends a leg that nobody listens to.
func (l *sipLeg) drop() { l.over(pbx.Cause{}) }

// openMedia allocates the leg's port.
func (l *sipLeg) openMedia(peer netip.Addr) bool {
	port, err := l.t.cfg.Media.Allocate(peer, l.notices())
	if err != nil {
		l.log().Warn("no port for an incoming call", "error", err)
		l.refuseEarly(503, sip.NewHeader("Retry-After", "10"))
		return false
	}
	l.port = port
	l.sdp = l.newSession(peer)
	return true
}

func (l *sipLeg) newSession(peer netip.Addr) sdp.Session {
	s := sdp.Session{ID: uint64(l.t.cfg.Pick(1<<30)) + 1, Local: l.port.Local(), Codecs: l.codecs(), Fingerprint: l.t.cfg.Fingerprint}
	s.Secure(sdp.SRTP(l.doc.Media.SRTP), l.t.cfg.NewID)
	s.Trust(peer)
	return s
}

// takeOffer reads the offer of the INVITE, if it has one.
func (l *sipLeg) takeOffer() bool {
	body, err := message.SDP(l.uas.in.Req)
	if err != nil {
		l.refuseEarly(415, sip.NewHeader("Accept", message.AcceptTypes))
		return false
	}
	if body == nil {
		return true
	}
	answer, _, err := l.sdp.Answer(body)
	if err != nil {
		status, warn := message.SDPRefusal(err, l.codecs(), l.doc.Media.SRTP)
		l.refuseEarly(status, warn)
		return false
	}
	l.uas.answer = answer
	return l.dlg.Offer.Receive() == nil
}

// prefer is leg.Prefer.
func (l *sipLeg) prefer(codec string) {
	if l.uas == nil || l.told || l.dlg == nil || l.dlg.Offer.State != dialog.Remote {
		return
	}
	if answer := l.sdp.Prefer(codec); answer != nil {
		l.uas.answer = answer
	}
}

// provisional sends a 18x, reliably where the peer wants it (RFC 3262 §3).
func (l *sipLeg) provisional(status int, withSDP bool) {
	if l.uas == nil || l.told || l.dlg == nil || l.dlg.State != dialog.Early || l.uas.answer200 || l.ended != nil {
		return
	}
	if l.uas.waits {
		l.uas.queue = append(l.uas.queue, provisional{status, withSDP})
		return
	}
	required := message.Has(message.Tokens(l.uas.in.Req, "Require"), "100rel")
	reliable := required || (withSDP && message.Has(l.dlg.Supported, "100rel"))
	var body []byte
	switch {
	case l.dlg.Offer.State == dialog.Stable && !l.sdp.Settled && reliable:
		// The INVITE had no offer: the first reliable response carries ours.
		body = l.sdp.Offer()
		_ = l.dlg.Offer.Send() // the state is stable, see the case
	case withSDP && l.uas.answer != nil && l.dlg.Offer.State == dialog.Remote:
		body = l.uas.answer
		l.sdp.Told()
		if reliable {
			_ = l.dlg.Offer.Answer() // as above
		}
		l.port.Apply(l.sdp.Stream)
	case withSDP && !l.sdp.Settled:
		status = 180 // no way to open early media towards this peer
	}
	res := l.reply(l.uas.in.Req, status, body)
	l.identify(res)
	if reliable {
		rseq, _ := l.dlg.Reliable.Next(l.uas.in.Req.CSeq().SeqNo, uint32(l.t.cfg.Pick(1<<20))+1)
		res.AppendHeader(sip.NewHeader("Require", "100rel"))
		res.AppendHeader(sip.NewHeader("RSeq", strconv.FormatUint(uint64(rseq), 10)))
	}
	l.send18x(res, reliable)
}

func (l *sipLeg) send18x(res *sip.Response, reliable bool) {
	if l.uas.in.Respond(res) != nil {
		return // cancelled or lost: told by its own message
	}
	l.uas.last = res
	if reliable {
		l.uas.waits = true
		l.uas.resend.Start(l.t.cfg.Timers.T1, 64*l.t.cfg.Timers.T1, 0,
			func() { _ = l.uas.in.Respond(res) }, // as above
			func() {
				l.refuse(pbx.Cause{SIP: 504, Text: "no PRACK came"})
			})
	}
	l.everyMinute()
}

// everyMinute repeats the last 18x so that no proxy on the way gives up
// (RFC 3261 §13.3.1.1).
func (l *sipLeg) everyMinute() {
	l.uas.minute.Set(time.Minute, func() {
		if l.uas.last != nil && !l.uas.waits && l.uas.last.GetHeader("RSeq") == nil {
			_ = l.uas.in.Respond(l.uas.last) // as in send18x
		}
		l.everyMinute()
	})
}

// prack takes the peer's PRACK: OnRequest has checked its RAck.
func (l *sipLeg) prack(in *exchange.Incoming, body []byte) {
	if l.uas == nil {
		l.verdict(in, dialog.Verdict{Status: 481})
		return
	}
	l.uas.waits = false
	l.uas.resend.Stop()
	var answer []byte
	switch {
	case l.dlg.Offer.State == dialog.Local:
		// RFC 3262 §5: our offer in the 18x is answered here and nowhere else.
		if _, err := l.sdp.Accept(body); err != nil {
			l.refuseSDP(in, err)
			l.refuse(pbx.Cause{SIP: 488, Text: "the PRACK carried no usable answer"})
			return
		}
		_ = l.dlg.Offer.Answered() // the state is known from the case
		l.port.Apply(l.sdp.Stream)
	case len(body) > 0:
		a, s, err := l.sdp.Answer(body)
		if err != nil {
			l.refuseSDP(in, err)
			return
		}
		answer = a
		l.port.Apply(s)
	}
	_ = in.Respond(l.reply(in.Req, 200, answer)) // as in verdict
	if l.uas.answer200 {
		l.sendAnswer()
		return
	}
	queue := l.uas.queue
	l.uas.queue = nil
	for _, p := range queue {
		l.provisional(p.status, p.sdp)
	}
}

// answer is leg.Answer: 200 now, or after the PRACK that is still to come
// (RFC 3262 §3).
func (l *sipLeg) answer() {
	if l.uas == nil || l.told || l.dlg == nil || l.dlg.State != dialog.Early || l.uas.answer200 || l.ended != nil {
		return
	}
	l.uas.answer200 = true
	l.uas.queue = nil
	if !l.uas.waits {
		l.sendAnswer()
	}
}

// sendAnswer sends the 200 of the first INVITE.
func (l *sipLeg) sendAnswer() {
	var body []byte
	late := false
	switch {
	case l.dlg.Offer.State == dialog.Remote:
		body = l.uas.answer
		l.sdp.Told()
		_ = l.dlg.Offer.Answer() // the state is known from the case
		l.port.Apply(l.sdp.Stream)
	case !l.sdp.Settled:
		body, late = l.sdp.Offer(), true
		_ = l.dlg.Offer.Send() // as above
	}
	l.dlg.State = dialog.Confirmed
	l.uas.minute.Stop()
	l.accept(l.uas.in, body, late, false)
}

// refuse ends an unanswered incoming leg with a final response.
func (l *sipLeg) refuse(c pbx.Cause) {
	if l.told || l.dlg == nil || l.dlg.State != dialog.Early {
		return
	}
	res := l.reply(l.uas.in.Req, message.FinalStatus(c), nil)
	res.AppendHeader(sip.NewHeader("Reason", message.Reason(c)))
	_ = l.uas.in.Respond(res) // the peer is gone or has cancelled: the same to us
	l.over(c)
}

// cancelled ends a leg whose INVITE was cancelled; its transaction sends the
// 487.
func (l *sipLeg) cancelled(cancel *sip.Request) {
	if l.told || l.dlg == nil || l.dlg.State != dialog.Early {
		return
	}
	c := pbx.Cause{SIP: 487, Q850: 16, Text: "the caller gave up"}
	if cancel != nil {
		c = message.ReadReason(cancel, c)
	}
	l.over(c)
}

// lost ends a leg whose INVITE transaction died before a final response.
func (l *sipLeg) lost(in *exchange.Incoming) {
	if l.uas == nil || l.uas.in != in || in.Final() || in.Cancelled() {
		return
	}
	l.over(pbx.Cause{SIP: 503, Q850: 41, Text: "the peer cannot be reached"})
}
