package legs

import (
	"strings"
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

// uacState is the part of a leg that we dialled, until it is answered.
type uacState struct {
	d        leg.Dial
	base     *dialog.Dialog   // what every INVITE of the leg begins with
	places   []exchange.Place // still to be tried
	cur      *attempt
	forks    map[string]*fork // early dialogs by the peer's tag
	winner   *fork
	ack      *sip.Request
	ringing  bool
	progress bool
	retries  int
	next     mailbox.Alarm // the next host's turn
	give     mailbox.Alarm // the wait for the 487 is over
}

// attempt is one INVITE transaction.
type attempt struct {
	at        exchange.Place
	req       *sip.Request
	auth      sip.Header
	tx        edge.Transaction
	heard     bool // some response came
	unwanted  bool // cancelled, or the next host has its turn
	cancelled bool // the CANCEL was sent
	reason    string
}

// fork is one early dialog of our INVITE.
type fork struct {
	dlg      *dialog.Dialog
	sdp      sdp.Session
	reliable bool // the answer came in a reliable response
}

// Dial begins an outgoing leg as leg.Dialer.Dial does.
func (t *Table) Dial(d leg.Dial, lis leg.Listener) leg.Leg {
	l := t.newLeg(d.Leg, t.cfg.NewID(), t.cfg.NewID())
	l.lis = lis
	l.trunk, l.phone, l.instance = d.Target.Trunk, d.Target.Contact.Extension, d.Target.Contact.InstanceID
	l.uac = &uacState{d: d, forks: map[string]*fork{}}
	l.uac.next.Box, l.uac.give.Box = l.box, l.box
	peer := d.Target.Contact.Source.Addr()
	if l.trunk != "" {
		peer = exchange.Family(t.cfg.Trunks.Hosts(l.trunk))
	}
	port, err := t.cfg.Media.Allocate(peer, l.notices())
	if err == nil {
		l.port = port
		l.sdp = l.newSession(peer)
		l.sdp.First, l.sdp.Form = d.Codec, sdp.FormFor(d.Target.Contact.Transport)
	}
	if !t.add(l) {
		// The table is closed; only the answer is still owed.
		t.wg.Add(1)
		go func() {
			defer t.wg.Done()
			l.over(pbx.Cause{SIP: 503, Q850: 41, Text: "the PBX shuts down"})
			l.box.Close()
		}()
		return l
	}
	l.run(func() { l.start(err) })
	return l
}

// start finds out where to go and sends the first INVITE.
func (l *sipLeg) start(portErr error) {
	if portErr != nil {
		l.log().Warn("no port for an outgoing call", "error", portErr)
		l.over(pbx.Cause{SIP: 503, Q850: 34, Text: "no media port is free"})
		return
	}
	if !l.acquire(l.trunk) && !l.uac.d.Emergency {
		l.over(pbx.Cause{SIP: 503, Q850: 34, Text: "the trunk is full or unknown"})
		return
	}
	if l.trunk != "" {
		l.uac.places = l.trunkPlaces()
	} else {
		c := l.uac.d.Target.Contact
		l.uac.places = []exchange.Place{{URI: c.URI, Routes: message.Routes(c.Path), To: edge.Hop{Transport: strings.ToUpper(c.Transport), Addr: c.Source}}}
	}
	if len(l.uac.places) == 0 {
		l.over(pbx.Cause{SIP: 503, Q850: 3, Text: "no host of the trunk can be reached"})
		return
	}
	l.uac.base = dialog.NewCaller(l.callID, dialog.Party{}, dialog.Party{}, "", nil, 1)
	l.uac.base.Timer = dialog.Timer{Want: l.t.cfg.Timers.Expire, Min: l.t.cfg.Timers.MinSE}
	l.tryNext()
}

// tryNext sends the INVITE to the next place; false if there is none.
func (l *sipLeg) tryNext() bool {
	u := l.uac
	if len(u.places) == 0 {
		return false
	}
	p := u.places[0]
	u.places = u.places[1:]
	l.invite(p, nil)
	return true
}

// invite sends an INVITE to a place.
func (l *sipLeg) invite(p exchange.Place, auth sip.Header) {
	u := l.uac
	l.goTo(p.To)
	l.sdp.Trust(p.To.Addr.Addr())
	u.base.Target, u.base.Routes = p.URI, p.Routes
	who := l.invitation(p)
	u.base.Local, u.base.Remote = who.Parties(l.localTag)
	u.base.Offer = dialog.Offer{}
	_ = u.base.Offer.Send() // stable: it was just made
	u.forks = map[string]*fork{}
	a := &attempt{at: p, auth: auth}
	u.cur = a
	req, err := message.NewRequest(u.base, u.base.Request("INVITE"), l.t.cfg.Sender.Contact(p.To))
	if err != nil {
		l.failed(a, 0, "the target is no URI that can be called")
		return
	}
	who.Decorate(req)
	if auth != nil {
		req.AppendHeader(auth)
	}
	if l.sdp.Offered {
		message.SetSDP(req, l.sdp.Reoffer()) // the same offer to another host
	} else {
		message.SetSDP(req, l.sdp.Offer())
	}
	a.req = req
	if len(u.places) > 0 || u.d.MoreWays {
		u.next.Set(l.t.cfg.Timers.Host, func() { l.silent(a) })
	}
	l.transact(req, p.To, func(tx edge.Transaction) { a.tx = tx }, func(res *sip.Response, err error) { l.heard(a, res, err) })
}

// heard takes what an INVITE transaction says.
func (l *sipLeg) heard(a *attempt, res *sip.Response, err error) {
	if l.uac == nil {
		return // answered so long ago that nothing can come any more
	}
	if err != nil {
		l.failed(a, 0, "the peer does not answer")
		return
	}
	a.heard = true
	if a == l.uac.cur {
		l.uac.next.Stop()
	}
	switch {
	case res.IsSuccess():
		l.accepted(a, res)
	case a.unwanted && res.IsProvisional():
		l.cancel(a)
	case res.IsProvisional():
		l.provisioned(a, res)
	default:
		l.refusedBy(a, res)
	}
}

// silent gives a host up that said nothing at all in time.
func (l *sipLeg) silent(a *attempt) {
	if a.heard || a != l.uac.cur || l.told {
		return
	}
	l.hostFailed(a)
	a.unwanted = true
	if !l.tryNext() {
		l.over(pbx.Cause{SIP: 408, Q850: 102, Text: "the trunk does not answer"})
	}
}

// cancel sends the CANCEL of an attempt, once, and not before a response came
// (RFC 3261 §9.1).
func (l *sipLeg) cancel(a *attempt) {
	a.unwanted = true
	if !a.heard || a.cancelled || a.req == nil {
		return
	}
	a.cancelled = true
	if err := l.t.cfg.Sender.Cancel(a.req, a.at.To, a.reason); err != nil {
		l.log().Warn("a CANCEL was not sent", "error", err)
	}
}

// giveUp ends an unanswered leg that we dialled.
func (l *sipLeg) giveUp(c pbx.Cause) {
	u := l.uac
	u.next.Stop()
	u.places = nil
	a := u.cur
	if a == nil {
		l.over(c)
		return
	}
	a.reason = message.Reason(c)
	l.cancel(a)
	if !a.heard {
		// Nobody is there to wait for; should a response come after all,
		// the goroutine is still here to end it.
		l.over(c)
		return
	}
	u.give.Set(64*l.t.cfg.Timers.T1, func() {
		if a.tx != nil {
			a.tx.Terminate()
		}
		l.over(c)
	})
}

// failed ends an attempt that brought no response: the next host, or the end.
func (l *sipLeg) failed(a *attempt, status int, text string) {
	if a != l.uac.cur || l.told {
		return
	}
	l.uac.next.Stop()
	if l.ended != nil {
		l.over(*l.ended)
		return
	}
	l.hostFailed(a)
	if !l.tryNext() {
		c := pbx.Cause{SIP: 408, Q850: 102, Text: text}
		if status != 0 {
			c = pbx.Cause{SIP: status, Text: text}
		}
		l.over(c)
	}
}

// forkOf returns the early dialog that a response belongs to.
func (l *sipLeg) forkOf(res *sip.Response) *fork {
	tag := ""
	if to := res.To(); to != nil {
		tag = message.Tag(to.Params)
	}
	r := dialog.Response{Status: res.StatusCode, Tag: tag, Contact: message.ContactURI(res), RecordRoute: message.RecordRoutes(res)}
	f := l.uac.forks[tag]
	switch {
	case f == nil:
		f = &fork{dlg: l.uac.base.Fork(r), sdp: l.sdp}
		l.uac.forks[tag] = f
	case res.IsSuccess() && f.dlg.State != dialog.Terminated:
		f.dlg.Confirm(r)
	case r.Contact != "":
		f.dlg.Target = r.Contact
	}
	if allow := message.Tokens(res, "Allow"); len(allow) > 0 {
		f.dlg.Allow = allow
	}
	if s := message.Tokens(res, "Supported"); len(s) > 0 {
		f.dlg.Supported = s
	}
	return f
}

// maxForks is how many early dialogs of one INVITE are followed.
const maxForks = 16

// provisioned takes a 18x.
func (l *sipLeg) provisioned(a *attempt, res *sip.Response) {
	if res.StatusCode == sip.StatusTrying || a != l.uac.cur || l.told || l.ended != nil || len(l.uac.forks) >= maxForks {
		return
	}
	f := l.forkOf(res)
	if res.StatusCode == 199 { // RFC 6228: this branch is over
		f.dlg.State = dialog.Terminated
		return
	}
	reliable := message.Has(message.Tokens(res, "Require"), "100rel")
	if reliable {
		rack, fresh := f.dlg.Reliable.Heard(message.RSeq(res), res.CSeq().SeqNo)
		if !fresh {
			return
		}
		l.sendPRACK(f, rack)
	}
	media := l.earlyMedia(f, res, reliable)
	if (res.StatusCode == 180 || !media) && !l.uac.ringing {
		l.uac.ringing = true
		l.lis.LegRinging(l.id)
	}
	if media && !l.uac.progress {
		l.uac.progress = true
		l.lis.LegProgress(l.id)
	}
}

// earlyMedia applies the answer of a 18x and reports whether media comes with
// it (RFC 3960: the last early dialog that was heard of wins).
func (l *sipLeg) earlyMedia(f *fork, res *sip.Response, reliable bool) bool {
	body, err := message.SDP(res)
	if err != nil || body == nil || f.reliable {
		return false
	}
	s := l.sdp
	stream, err := s.Accept(body)
	if err != nil {
		l.log().Info("a provisional response carries no usable answer", "error", err)
		return false
	}
	f.sdp = s
	if reliable {
		f.reliable = true
		f.dlg.Offer.Refused() // settled: UPDATE may follow
	}
	l.port.Apply(stream)
	return !strings.Contains(strings.ToLower(message.Value(res, "P-Early-Media")), "inactive")
}

func (l *sipLeg) sendPRACK(f *fork, rack string) {
	l.request(f.dlg, "PRACK", func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("RAck", rack))
	}, func(*sip.Response) {})
}

// accepted takes a 2xx: the first one wins, any other is acknowledged and
// ended (RFC 3261 §13.2.2.4).
func (l *sipLeg) accepted(a *attempt, res *sip.Response) {
	u := l.uac
	tag := ""
	if to := res.To(); to != nil {
		tag = message.Tag(to.Params)
	}
	if u.winner != nil && u.winner.dlg.Remote.Tag == tag && a == u.cur {
		l.resendACK(u.ack, l.hop)
		return
	}
	if u.winner != nil || a.unwanted || a != u.cur || l.told || l.ended != nil {
		l.unwantedAnswer(a, res)
		return
	}
	f := l.forkOf(res)
	f.dlg.State = dialog.Confirmed
	u.winner, a.req = f, nil
	u.give.Stop()
	// No 2xx comes after Timer M (RFC 6026 §7.2): nothing of this is needed then.
	u.next.Set(64*l.t.cfg.Timers.T1+time.Second, func() { l.uac = nil })
	l.dlg = f.dlg
	l.dlg.Timer.Accept(message.SessionExpires(res))
	l.route(l.dlg)
	u.ack = l.sendACK(l.dlg, l.hop, a.auth)
	if !l.finalAnswer(f, res) {
		l.bye(pbx.Cause{SIP: 488, Q850: 88, Text: "the answer carried no usable audio"})
		return
	}
	l.dlg.Offer = dialog.Offer{}
	l.port.Apply(l.sdp.Stream)
	l.startTimer()
	l.save()
	l.lis.LegAnswered(l.id)
	l.setHeld()
	l.kick()
}

// finalAnswer settles the session from a 2xx, or from the 18x before it.
func (l *sipLeg) finalAnswer(f *fork, res *sip.Response) bool {
	body, err := message.SDP(res)
	if body != nil && !f.reliable {
		s := l.sdp
		if _, err = s.Accept(body); err == nil {
			f.sdp = s
		}
	}
	if !f.sdp.Settled {
		l.log().Info("a call was answered without usable audio", "error", err)
		return false
	}
	l.sdp = f.sdp
	return true
}

// unwantedAnswer ends a dialog that nobody wants any more: another branch
// won, or the CANCEL crossed the 200.
func (l *sipLeg) unwantedAnswer(a *attempt, res *sip.Response) {
	saved := l.uac.base.InviteSeq
	if c := res.CSeq(); c != nil {
		l.uac.base.InviteSeq = c.SeqNo
	}
	f := l.forkOf(res)
	l.uac.base.InviteSeq = saved
	l.sendACK(f.dlg, a.at.To, a.auth)
	if f.dlg.State == dialog.Terminated {
		return // a repeated 2xx: the BYE is on its way
	}
	c := pbx.Cause{Q850: 16, Elsewhere: l.ended != nil && l.ended.Elsewhere}
	l.sendByeTo(f.dlg, a.at.To, c)
	f.dlg.State = dialog.Terminated
	if l.ended != nil {
		l.over(*l.ended)
	}
}

// sendByeTo is sendBye to a place other than the leg's own.
func (l *sipLeg) sendByeTo(d *dialog.Dialog, to edge.Hop, c pbx.Cause) {
	own := l.hop
	l.hop = to
	l.sendBye(d, c)
	l.hop = own
}
