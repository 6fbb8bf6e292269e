package sipua

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// minute is how often a ringing phone repeats its 18x.
const minute = time.Minute

// backoff sends something again in growing intervals until it is stopped.
type backoff struct{ alarm }

// start runs again after first, 2·first, 4·first… (never more than limit apart,
// 0 = no limit) and giveUp after total.
func (b *backoff) start(first, total, limit time.Duration, again, giveUp func()) {
	if total <= 0 {
		giveUp()
		return
	}
	b.set(min(first, total), func() {
		if first >= total {
			giveUp()
			return
		}
		again()
		next := 2 * first
		if limit > 0 {
			next = min(next, limit)
		}
		b.start(next, total-first, limit, again, giveUp)
	})
}

// hopOf returns where a request came from.
func hopOf(m interface {
	Source() string
	Transport() string
},
) (hop, bool) {
	a, err := netip.ParseAddrPort(m.Source())
	if err != nil {
		return hop{}, false
	}
	return hop{transport: strings.ToUpper(m.Transport()), addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}, true
}

// errBadTarget is what a Request-URI that cannot be parsed leads to.
var errBadTarget = errors.New("the peer's contact is no URI that requests can be sent to")

// build makes a request of the dialog.
func (l *sipLeg) build(d *dialog.Dialog, r dialog.Request, to hop) (*sip.Request, error) {
	var uri, local, remote sip.Uri
	if sip.ParseUri(r.URI, &uri) != nil || sip.ParseUri(d.Local.URI, &local) != nil || sip.ParseUri(d.Remote.URI, &remote) != nil {
		return nil, errBadTarget
	}
	req := sip.NewRequest(sip.RequestMethod(r.Method), uri)
	for _, route := range r.Routes {
		req.AppendHeader(sip.NewHeader("Route", route))
	}
	from := &sip.FromHeader{DisplayName: quotable(d.Local.Display), Address: local, Params: sip.NewParams()}
	from.Params.Add("tag", d.Local.Tag)
	rcpt := &sip.ToHeader{DisplayName: quotable(d.Remote.Display), Address: remote, Params: sip.NewParams()}
	if d.Remote.Tag != "" {
		rcpt.Params.Add("tag", d.Remote.Tag)
	}
	callID, forwards := sip.CallIDHeader(d.CallID), sip.MaxForwardsHeader(70)
	req.AppendHeader(from)
	req.AppendHeader(rcpt)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: r.Seq, MethodName: req.Method})
	req.AppendHeader(&forwards)
	if req.Method == sip.INVITE || req.Method == sip.UPDATE {
		req.AppendHeader(&sip.ContactHeader{Address: l.t.cfg.sender.contact(to)})
		req.AppendHeader(sip.NewHeader("Allow", strings.Join(dialog.Methods(), ", ")))
		req.AppendHeader(sip.NewHeader("Supported", supported))
		if se, minSE := d.Timer.Ask(); se != "" {
			req.AppendHeader(sip.NewHeader("Session-Expires", se))
			req.AppendHeader(sip.NewHeader("Min-SE", minSE))
		}
	}
	return req, nil
}

func setSDP(req *sip.Request, body []byte) {
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(body)
}

// onResponse is told each response of a transaction and, with a nil response,
// that it ended without a final one. It runs in the leg's goroutine.
type onResponse func(tx sip.ClientTransaction, res *sip.Response, err error)

// transact sends a request from a goroutine of its own, since the transport
// may have to connect first, and brings what comes back to the leg.
func (l *sipLeg) transact(req *sip.Request, to hop, on onResponse) {
	l.open++
	l.t.wg.Add(1)
	last := func(tx sip.ClientTransaction, res *sip.Response, err error) {
		l.box.post(func() {
			l.open--
			on(tx, res, err)
		})
	}
	go func() {
		defer l.t.wg.Done()
		ctx, cancel := context.WithTimeout(l.t.ctx, l.t.cfg.timers.send)
		tx, err := l.t.cfg.sender.request(ctx, req, to)
		cancel()
		if err != nil {
			last(nil, nil, err)
			return
		}
		tx.OnRetransmission(func(res *sip.Response) {
			l.box.postBounded(func() { on(tx, res, nil) })
		})
		l.box.post(func() { on(tx, nil, nil) })
		for {
			select {
			case res := <-tx.Responses():
				if res.StatusCode >= 200 {
					last(tx, res, nil)
					return
				}
				l.box.post(func() { on(tx, res, nil) })
			case <-tx.Done():
				err := tx.Err()
				if err == nil {
					err = sip.ErrTransactionTerminated
				}
				last(tx, nil, err)
				return
			case <-l.t.ctx.Done():
				tx.Terminate()
				return
			}
		}
	}()
}

// request sends one request of the dialog other than the first INVITE. The
// trunk's challenge is answered once. done gets the final response, nil if
// none came, and 2xx retransmissions.
func (l *sipLeg) request(d *dialog.Dialog, method string, fill func(*sip.Request), done func(*sip.Response)) {
	l.requestWith(d, method, fill, done, nil)
}

func (l *sipLeg) requestWith(d *dialog.Dialog, method string, fill func(*sip.Request), done func(*sip.Response), auth sip.Header) {
	to := l.hop
	req, err := l.build(d, d.Request(method), to)
	if err != nil {
		l.box.post(func() { done(nil) })
		return
	}
	fill(req)
	if auth != nil {
		req.AppendHeader(auth)
	}
	l.transact(req, to, func(_ sip.ClientTransaction, res *sip.Response, err error) {
		switch {
		case err != nil:
			done(nil)
		case res == nil || res.StatusCode < 200:
		case (res.StatusCode == 401 || res.StatusCode == 407) && auth == nil:
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
		req.AppendHeader(sip.NewHeader("Reason", reasonHeader(c)))
	}, func(*sip.Response) {})
}

// sendACK acknowledges a 2xx and returns the ACK, to be sent again for each
// retransmission of the 2xx.
func (l *sipLeg) sendACK(d *dialog.Dialog, to hop, auth sip.Header) *sip.Request {
	ack, err := l.build(d, d.Request("ACK"), to)
	if err != nil {
		l.log.Warn("no ACK can be sent", "error", err)
		return nil
	}
	if auth != nil {
		ack.AppendHeader(auth) // RFC 3261 §13.2.2.4
	}
	l.resendACK(ack, to)
	return ack
}

func (l *sipLeg) resendACK(ack *sip.Request, to hop) {
	if ack == nil {
		return
	}
	if err := l.t.cfg.sender.send(ack.Clone(), to); err != nil {
		l.log.Warn("an ACK was not sent", "error", err)
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
	var uri sip.Uri
	if sip.ParseUri(next, &uri) != nil {
		return
	}
	transport := l.hop.transport
	if t, ok := uri.UriParams.Get("transport"); ok {
		transport = strings.ToUpper(t)
	}
	if transport != "UDP" && transport != "TCP" {
		return
	}
	ctx, cancel := context.WithTimeout(l.t.ctx, l.t.cfg.timers.send)
	defer cancel()
	hops, err := l.t.cfg.sender.resolve(ctx, uri, transport)
	if err != nil || len(hops) == 0 {
		return
	}
	h := hops[0]
	source := l.hop.addr.Addr()
	if h.addr.Addr().Is4() != source.Is4() || (!narrow(source) && narrow(h.addr.Addr())) {
		return
	}
	l.hop = h
}

// narrow reports whether an address is of no use outside of its own network.
func narrow(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast()
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

// bracketed is an address as it stands in a URI.
func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
