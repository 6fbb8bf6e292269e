package legs

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/exchange"
	"github.com/dipcast/dipcast/pbx/sipua/message"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// onResponse is told each response of a transaction and, with a nil response,
// that it ended without a final one. It runs in the leg's goroutine.
type onResponse func(res *sip.Response, err error)

// transact sends a request and brings what comes back to the leg. It runs from
// a goroutine of its own where the transport may have to connect first. begun
// is told the transaction; it may be nil.
func (l *sipLeg) transact(req *sip.Request, to edge.Hop, begun func(edge.Transaction), on onResponse) {
	l.open++
	tell := func(res *sip.Response, err error, again bool) {
		if err != nil || res.StatusCode >= 200 && !again {
			l.box.Post(func() {
				l.open--
				on(res, err)
			})
			return
		}
		l.box.PostBounded(func() { on(res, nil) })
	}
	if to.Transport == "UDP" && l.trunk == "" {
		if tx := l.begin(req, to, tell); tx != nil && begun != nil {
			begun(tx)
		}
		return
	}
	l.t.wg.Add(1)
	go func() {
		defer l.t.wg.Done()
		if tx := l.begin(req, to, tell); tx != nil && begun != nil {
			l.box.Post(func() { begun(tx) })
		}
	}()
}

// begin starts the transaction; nil if that failed, which was told.
func (l *sipLeg) begin(req *sip.Request, to edge.Hop, tell txn.Tell) edge.Transaction {
	ctx, cancel := context.WithTimeout(l.t.ctx, l.t.cfg.Timers.Send)
	defer cancel()
	tx, err := l.t.cfg.Sender.Transact(ctx, req, to, tell)
	if err != nil {
		tell(nil, err, false)
		return nil
	}
	return tx
}

// request sends one request of the dialog other than the first INVITE. The
// trunk's challenge is answered once. done gets the final response, nil if
// none came, and 2xx retransmissions.
func (l *sipLeg) request(d *dialog.Dialog, method string, fill func(*sip.Request), done func(*sip.Response)) {
	l.requestWith(d, method, fill, done, nil)
}

func (l *sipLeg) requestWith(d *dialog.Dialog, method string, fill func(*sip.Request), done func(*sip.Response), auth sip.Header) {
	l.reach() // or fails
	to := l.hop
	req, err := message.NewRequest(d, d.Request(method), l.t.cfg.Sender.Contact(to))
	if err != nil {
		l.box.Post(func() { done(nil) })
		return
	}
	fill(req)
	if auth != nil {
		req.AppendHeader(auth)
	}
	l.transact(req, to, nil, func(res *sip.Response, err error) {
		switch {
		case err != nil:
			done(nil)
		case res.StatusCode < 200:
		case (res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired) && auth == nil:
			h, ok := l.trunkCredentials(req, res, to)
			if !ok {
				done(res)
				return
			}
			l.requestWith(d, method, fill, done, h)
		default:
			done(res)
		}
	})
}

// bye ends a confirmed dialog. The leg is over as soon as the BYE is on its
// way (RFC 3261 §15.1.1).
func (l *sipLeg) bye(c pbx.Cause) {
	if l.told || l.dlg == nil {
		return
	}
	l.sendBye(l.dlg, c)
	l.over(c)
}

func (l *sipLeg) sendBye(d *dialog.Dialog, c pbx.Cause) {
	l.request(d, "BYE", func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("Reason", message.Reason(c)))
	}, func(*sip.Response) {})
}

// sendACK acknowledges a 2xx and returns the ACK, to be sent again for each
// retransmission of the 2xx.
func (l *sipLeg) sendACK(d *dialog.Dialog, to edge.Hop, auth sip.Header) *sip.Request {
	ack, err := message.NewRequest(d, d.Request("ACK"), l.t.cfg.Sender.Contact(to))
	if err != nil {
		l.log().Warn("no ACK can be sent", "error", err)
		return nil
	}
	if auth != nil {
		ack.AppendHeader(auth) // RFC 3261 §13.2.2.4
	}
	l.resendACK(ack, to)
	return ack
}

func (l *sipLeg) resendACK(ack *sip.Request, to edge.Hop) {
	if ack == nil {
		return
	}
	if err := l.t.cfg.Sender.Send(ack, to); err != nil {
		l.log().Warn("an ACK was not sent", "error", err)
	}
}

// route computes where requests of the dialog go: to a phone always where its
// packets come from; to a trunk where its route set or contact says, unless
// that is a private address of somebody who speaks from a public one.
func (l *sipLeg) route(d *dialog.Dialog) {
	if l.trunk == "" {
		return
	}
	next := d.Target
	if len(d.Routes) > 0 {
		next, _, _ = strings.Cut(strings.TrimLeft(d.Routes[0], "< "), ">")
	}
	if next == l.hopURI {
		return
	}
	l.hopURI = next
	ctx, cancel := context.WithTimeout(l.t.ctx, l.t.cfg.Timers.Send)
	defer cancel()
	if h, ok := exchange.Next(ctx, l.t.cfg.Sender, next, l.hop); ok {
		l.goTo(h)
	}
}

// goTo takes a hop as the place of the peer.
func (l *sipLeg) goTo(h edge.Hop) {
	if l.hop != h {
		l.hop = h
		l.saveSoon()
	}
	l.owner.Store(&edge.Identity{Extension: l.phone, Instance: l.instance, Trunk: l.trunk, Source: h.Addr, Transport: h.Transport})
}

// reach goes to where a phone is now whose connection has ended; false: it is
// nowhere.
func (l *sipLeg) reach() bool {
	if l.trunk != "" || !l.hop.Stream() {
		return true
	}
	if l.t.cfg.Reach == nil {
		return false
	}
	to, ok := l.t.cfg.Reach(*l.owner.Load(), l.hop)
	if ok && to != l.hop {
		l.goTo(to)
	}
	return ok
}

// sendDigit sends one key press: as RFC 4733 events, or as INFO if the peer
// takes none. INFOs go one at a time, so that keys keep their order.
func (l *sipLeg) sendDigit(d rune) {
	if l.told || l.dlg == nil || l.dlg.State == dialog.New || l.port.SendDigit(d, digitLength) {
		return
	}
	if len(l.digits.wait) < maxDigits {
		l.digits.wait = append(l.digits.wait, d)
	}
	l.nextDigit()
}

// The length of a key press, and how many may wait to be sent.
const (
	digitLength = 160 * time.Millisecond
	maxDigits   = 64
)

type digitQueue struct {
	wait []rune
	busy bool
}

func (l *sipLeg) nextDigit() {
	if l.digits.busy || len(l.digits.wait) == 0 || l.told {
		return
	}
	d := l.digits.wait[0]
	l.digits.wait = l.digits.wait[1:]
	l.digits.busy = true
	l.request(l.dlg, "INFO", func(req *sip.Request) {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/dtmf-relay"))
		req.SetBody([]byte("Signal=" + string(d) + "\r\nDuration=" + strconv.Itoa(int(digitLength/time.Millisecond)) + "\r\n"))
	}, func(*sip.Response) {
		l.digits.busy = false
		l.nextDigit()
	})
}
