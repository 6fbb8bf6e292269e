package phone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/phone/session"
)

var errNothingInCommon = errors.New("no codec in common")

var errAnswered = errors.New("the call is answered already")

// handle serves one request; sipgo calls it in a goroutine of its own.
func (p *Phone) handle(req *sip.Request, tx *sip.ServerTx) {
	if !p.enter() {
		tx.Terminate()
		return
	}
	defer p.wg.Done()
	defer tx.TerminateGracefully()
	if req.CallID() == nil || req.CSeq() == nil || req.To() == nil || req.From() == nil {
		p.reply(req, tx, 400, "Bad Request")
		return
	}
	tag, inDialog := req.To().Params.Get("tag")
	switch {
	case req.Method == sip.OPTIONS && !inDialog:
		p.reply(req, tx, 200, "OK")
	case req.Method == sip.NOTIFY && !inDialog:
		p.reply(req, tx, 200, "OK")
	case req.Method == sip.INVITE && !inDialog:
		p.receive(req, tx)
	case inDialog:
		p.dispatch(req, tx, tag)
	case req.Method == sip.ACK:
	case req.Method == sip.CANCEL || req.Method == sip.BYE:
		p.reply(req, tx, 481, "Call/Transaction Does Not Exist")
	default:
		p.reply(req, tx, 405, "Method Not Allowed")
	}
}

func (p *Phone) dispatch(req *sip.Request, tx *sip.ServerTx, tag string) {
	c := p.find(req.CallID().Value(), tag)
	if c == nil {
		if req.Method != sip.ACK {
			p.reply(req, tx, 481, "Call/Transaction Does Not Exist")
		}
		return
	}
	c.handle(req, tx)
}

func (p *Phone) reply(req *sip.Request, tx *sip.ServerTx, code int, reason string) {
	if req.Method == sip.ACK {
		return
	}
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	if code >= 200 && code < 300 {
		res.AppendHeader(sip.NewHeader("Allow", allow))
	}
	if err := tx.Respond(res); err != nil {
		p.log.Debug("response not sent", "code", code, "error", err)
	}
}

// receive takes an INVITE that begins a call and lives until the call is
// answered and acknowledged, or over.
func (p *Phone) receive(req *sip.Request, tx *sip.ServerTx) {
	if body := req.Body(); len(body) > 0 {
		if _, err := session.Parse(body); err != nil { // audio that it cannot speak: it is not worth a ring
			p.log.Debug("call refused", "error", err)
			p.reply(req, tx, 488, "Not Acceptable Here")
			return
		}
	}
	c, err := p.newCall(true)
	if err != nil {
		p.reply(req, tx, 500, "Server Internal Error")
		return
	}
	c.takeInvite(req, tx)
	p.keep(c)
	if !tx.OnCancel(func(r *sip.Request) {
		c.end(Cause{Code: 487, Text: "cancelled by the caller", Reason: headerValue(r.GetHeader("Reason")), Remote: true}, r)
	}) {
		c.end(Cause{Code: 487, Text: "cancelled by the caller", Remote: true}, nil)
		return
	}
	select {
	case p.incoming <- c:
	default:
		_ = c.Reject(486)
		return
	}
	st := c.State()
	p.notify(Event{Call: c, Kind: EventIncoming, Text: strings.TrimSpace(st.PeerNumber + " " + st.PeerName)})
	if p.cfg.AutoAnswer {
		if err := c.Answer(c.life); err != nil {
			p.log.Debug("auto answer failed", "error", err)
		}
	}
	// The transaction must not be left before its final response.
	select {
	case <-c.answered:
	case <-c.life.Done():
	}
}

// takeInvite makes the callee's half of the dialog (RFC 3261 §12.1.1).
func (c *Call) takeInvite(req *sip.Request, tx *sip.ServerTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callID = req.CallID().Value()
	c.invite, c.tx = req, tx
	c.dialog.remoteSeq = req.CSeq().SeqNo
	c.dialog.remoteTag, _ = req.From().Params.Get("tag")
	c.dialog.local = sip.FromHeader{DisplayName: req.To().DisplayName, Address: *req.To().Address.Clone()}
	c.dialog.remote = sip.ToHeader{DisplayName: req.From().DisplayName, Address: *req.From().Address.Clone()}
	c.dialog.target = req.From().Address
	if contact := req.Contact(); contact != nil {
		c.dialog.target = *contact.Address.Clone()
	}
	for _, h := range req.GetHeaders("Record-Route") {
		c.dialog.routes = append(c.dialog.routes, h.Value())
	}
	c.identify(req, true)
}

// response builds a response with our tag and Contact.
func (c *Call) response(req *sip.Request, code int, reason string, description []byte) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	if to := res.To(); to != nil && code > 100 {
		to.Params.Remove("tag")
		to.Params.Add("tag", c.localTag)
	}
	if code > 100 && code < 300 {
		res.AppendHeader(&sip.ContactHeader{Address: c.phone.contact()})
		res.AppendHeader(sip.NewHeader("Allow", allow))
	}
	if description != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	res.SetBody(description)
	return res
}

// pending returns the INVITE that still wants an answer.
func (c *Call) pending() (*sip.Request, *sip.ServerTx, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.incoming:
		return nil, nil, errors.New("an outgoing call cannot be answered by its caller")
	case c.state.Ended:
		return nil, nil, fmt.Errorf("the call has ended: %d %s", c.state.Cause.Code, c.state.Cause.Text)
	case c.state.Answered:
		return nil, nil, errAnswered
	}
	return c.invite, c.tx, nil
}

// Ring answers with 180.
func (c *Call) Ring() error {
	req, tx, err := c.pending()
	if err != nil {
		return err
	}
	if err := tx.Respond(c.response(req, 180, "Ringing", nil)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state.Ringing {
		close(c.ringing)
		c.set(func(s *State) { s.Ringing = true })
	}
	return nil
}

// Progress answers with 183 and opens early media.
func (c *Call) Progress() error {
	req, tx, err := c.pending()
	if err != nil {
		return err
	}
	description, err := c.describe(req)
	if err != nil {
		return err
	}
	if err := tx.Respond(c.response(req, 183, "Session Progress", description)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(func(s *State) { s.Early = true })
	return nil
}

// describe returns our answer to the request's offer, or our own offer if it
// has none.
func (c *Call) describe(req *sip.Request) ([]byte, error) {
	if len(req.Body()) == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.offer(), nil
	}
	b, err := session.Parse(req.Body())
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	answer, err := c.answerTo(b)
	turned := false
	if err == nil {
		turned = c.apply(b, true)
	}
	c.mu.Unlock()
	c.tellHold(turned)
	return answer, err
}

// Answer accepts the call and returns when the ACK came.
func (c *Call) Answer(ctx context.Context) error {
	req, tx, err := c.pending()
	if err != nil {
		return err
	}
	description, err := c.describe(req)
	if err != nil {
		_ = c.Reject(488)
		return err
	}
	c.mu.Lock()
	twice := c.answering
	c.answering = true
	c.mu.Unlock()
	if twice {
		return errAnswered
	}
	if err := c.accept(ctx, req, tx, description); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// accept sends a 2xx again and again until its ACK comes (RFC 3261 §13.3.1.4).
func (c *Call) accept(ctx context.Context, req *sip.Request, tx *sip.ServerTx, description []byte) error {
	acked := make(chan struct{})
	c.mu.Lock()
	c.acked = acked
	c.mu.Unlock()
	res := c.response(req, 200, "OK", description)
	if err := tx.Respond(res); err != nil {
		c.end(Cause{Code: 500, Text: "the answer could not be sent"}, nil)
		return err
	}
	c.established()
	again := sip.T1
	timer := time.NewTimer(again)
	defer timer.Stop()
	limit := time.NewTimer(64 * sip.T1)
	defer limit.Stop()
	for {
		select {
		case <-acked:
			return nil
		case <-tx.Acks():
			return nil
		case <-c.life.Done():
			return errors.New("the call ended before the ACK")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			_ = c.bye(ctx, Cause{Code: 408, Text: "no ACK came"})
			return errors.New("no ACK came")
		case <-timer.C:
			_ = tx.Respond(res)
			again = min(2*again, sip.T2)
			timer.Reset(again)
		}
	}
}

// Reject refuses the call, for example with 486 or 603.
func (c *Call) Reject(code int) error {
	return c.Refuse(code, reasonPhrase(code), nil)
}

// Refuse refuses the call with any final status, reason phrase and headers
// (Retry-After, Contact of a 302).
func (c *Call) Refuse(code int, reason string, headers map[string]string) error {
	if code < 300 || code > 699 {
		return fmt.Errorf("refuse with %d: must be 300..699", code)
	}
	req, tx, err := c.pending()
	if err != nil {
		return err
	}
	res := c.response(req, code, reason, nil)
	for name, value := range headers {
		res.AppendHeader(sip.NewHeader(name, value))
	}
	err = tx.Respond(res)
	c.end(Cause{Code: code, Text: reason}, nil)
	return err
}

func reasonPhrase(code int) string {
	phrases := map[int]string{
		302: "Moved Temporarily", 404: "Not Found", 408: "Request Timeout", 480: "Temporarily Unavailable",
		486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 500: "Server Internal Error",
		503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
	}
	if p, ok := phrases[code]; ok {
		return p
	}
	return "Refused"
}
