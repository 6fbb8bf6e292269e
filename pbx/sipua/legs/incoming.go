package legs

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

// incoming is a request of the peer with its transaction. sipgo's handler
// goroutine stays in attend until the transaction is settled.
type incoming struct {
	req       *sip.Request
	tx        sip.ServerTransaction
	cancelled atomic.Bool
	final     atomic.Bool
	once      sync.Once
	settled   chan struct{}
}

func newIncoming(req *sip.Request, tx sip.ServerTransaction) *incoming {
	return &incoming{req: req, tx: tx, settled: make(chan struct{})}
}

// respond sends a response and settles the transaction, unless it is a 2xx to
// an INVITE: that is settled by its ACK. An error means that the transaction
// is over, by CANCEL or since the peer cannot be reached.
func (in *incoming) respond(res *sip.Response) error {
	if in.cancelled.Load() {
		return sip.ErrTransactionCanceled
	}
	if res.StatusCode >= 200 {
		in.final.Store(true)
	}
	err := in.tx.Respond(res)
	if res.StatusCode >= 200 && (err != nil || res.StatusCode >= 300 || !in.req.IsInvite()) {
		in.settle()
	}
	return err
}

func (in *incoming) settle() { in.once.Do(func() { close(in.settled) }) }

// attend keeps sipgo's handler goroutine until the transaction is settled and
// hands ACKs that matched the transaction to the leg.
func (l *sipLeg) attend(in *incoming) {
	for {
		select {
		case <-in.settled:
			return
		case ack := <-in.tx.Acks():
			l.box.PostBounded(func() { l.onACK(ack) })
		case <-in.tx.Done():
			l.box.Post(func() { l.lost(in) })
			return
		case <-l.done:
			if !in.final.Load() && !in.cancelled.Load() {
				reject(in.req, in.tx, 481)
			}
			return
		}
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
func (l *sipLeg) verdict(in *incoming, v dialog.Verdict) {
	res := l.reply(in.req, v.Status, nil)
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
		res.AppendHeader(sip.NewHeader("Accept", message.AcceptTypes))
	}
	_ = in.respond(res) // an error means that the peer is gone; its timers tell
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
func (l *sipLeg) onRequest(in *incoming) {
	d := l.dialogOf(in.req)
	if d == nil {
		l.verdict(in, dialog.Verdict{Status: 481})
		return
	}
	body, err := message.SDP(in.req)
	info := in.req.Method == sip.INFO
	if err != nil && !info && in.req.Method != sip.BYE && in.req.Method != sip.OPTIONS {
		l.verdict(in, dialog.Verdict{Status: 415})
		return
	}
	l.impliedACK(in.req)
	was := d.State
	v := d.OnRequest(dialog.Incoming{
		Method: string(in.req.Method), Seq: in.req.CSeq().SeqNo, FromTag: message.Tag(in.req.From().Params),
		Body: len(body) > 0, Contact: message.ContactURI(in.req), RAck: message.Value(in.req, "RAck"),
		Require: message.Tokens(in.req, "Require"), Session: message.SessionExpires(in.req),
	}, l.t.cfg.Pick)
	// A BYE is taken whatever else is wrong with it.
	taken := in.req.Method == sip.BYE && was != dialog.Terminated && v.Status != 481
	if !v.OK() && !taken {
		l.verdict(in, v)
		return
	}
	l.follow(d, in.req)
	l.serve(d, in, body)
}

// serve does what a request that was taken asks for.
func (l *sipLeg) serve(d *dialog.Dialog, in *incoming, body []byte) {
	switch in.req.Method {
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
		res := l.reply(in.req, 200, nil)
		res.AppendHeader(sip.NewHeader("Allow", dialog.Methods))
		res.AppendHeader(sip.NewHeader("Accept", message.AcceptTypes))
		res.AppendHeader(sip.NewHeader("Supported", message.Supported))
		_ = in.respond(res) // as in verdict
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
	if h, ok := hopOf(req); ok {
		l.goTo(h)
		l.sdp.Trust(h.Addr.Addr())
	}
}

// byed ends the leg since the peer hung up.
func (l *sipLeg) byed(d *dialog.Dialog, in *incoming) {
	_ = in.respond(l.reply(in.req, 200, nil)) // as in verdict
	if l.dlg != d {
		// RFC 3261 §15: a BYE ends one early dialog, not our INVITE.
		d.State = dialog.Terminated
		return
	}
	if l.uas != nil && d.State == dialog.Early {
		_ = l.uas.in.respond(l.reply(l.uas.in.req, 487, nil)) // as in verdict
	}
	cause := message.ReadReason(in.req, pbx.Cause{Q850: 16, Text: "hung up"})
	if l.ended != nil {
		cause = *l.ended
	}
	l.over(cause)
}

// info takes a key press (application/dtmf-relay, application/dtmf) or an
// empty INFO, which some peers use as a keep-alive.
func (l *sipLeg) info(in *incoming) {
	kind, _, _ := strings.Cut(strings.ToLower(message.ContentType(in.req)), ";")
	body := string(in.req.Body())
	switch strings.TrimSpace(kind) {
	case "application/dtmf-relay", "application/dtmf":
		d, ok := message.InfoDigit(body)
		if !ok {
			l.verdict(in, dialog.Verdict{Status: 400})
			return
		}
		_ = in.respond(l.reply(in.req, 200, nil)) // as in verdict
		if l.lis != nil && !l.told {
			l.lis.LegDigit(l.id, d, false)
		}
	default:
		if strings.TrimSpace(body) != "" {
			l.verdict(in, dialog.Verdict{Status: 415})
			return
		}
		_ = in.respond(l.reply(in.req, 200, nil)) // as in verdict
	}
}
