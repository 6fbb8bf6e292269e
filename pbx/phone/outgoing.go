package phone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/phone/session"
)

// DialOptions are the unusual wishes of a call; the zero value is a plain one.
type DialOptions struct {
	Headers map[string]string // added to the INVITE
	// From is the caller's number in place of Config.User (a telephone
	// company presents any number), FromName its name.
	From, FromName string
	NoOffer        bool // INVITE without SDP; the answer goes into the ACK
	Reliable       bool // Supported: 100rel (RFC 3262)
}

// Dial sends an INVITE and returns the call at once; WaitRinging, WaitAnswered
// and Done tell what becomes of it. The target is a number or user at the
// Server ("101"), or a SIP URI, which goes straight to its host if the phone
// has no Server. The context bounds nothing but the sending.
func (p *Phone) Dial(ctx context.Context, target string, opts DialOptions) (*Call, error) {
	uri, to, err := p.target(target)
	if err != nil {
		return nil, err
	}
	c, err := p.newCall(false)
	if err != nil {
		return nil, err
	}
	c.opts = opts
	c.dialog.target = uri
	c.dialog.local = sip.FromHeader{
		DisplayName: p.cfg.DisplayName,
		Address:     sip.Uri{Scheme: "sip", User: p.cfg.User, Host: p.domain},
	}
	if opts.From != "" {
		c.dialog.local.Address.User = opts.From
	}
	if opts.FromName != "" {
		c.dialog.local.DisplayName = opts.FromName
	}
	c.dialog.remote = sip.ToHeader{Address: uri}
	c.state.PeerNumber = uri.User

	d := c.inDialog(sip.INVITE)
	d.to = to
	c.outfit(d)
	tx, req, err := p.send(ctx, d)
	if err != nil {
		c.end(Cause{Text: err.Error()}, nil)
		return nil, err
	}
	c.mu.Lock()
	c.invite = req
	c.mu.Unlock()
	p.keep(c)
	if !p.spawn(func() { c.follow(d, tx, req) }) {
		tx.Terminate()
		c.end(Cause{Text: "the phone was closed"}, nil)
		return nil, errClosed
	}
	return c, nil
}

// outfit adds what an INVITE needs.
func (c *Call) outfit(d *draft) {
	d.headers = append(d.headers, sip.NewHeader("Allow", allow))
	if c.opts.Reliable {
		d.headers = append(d.headers, sip.NewHeader("Supported", "100rel"))
	}
	for name, value := range c.opts.Headers {
		d.headers = append(d.headers, sip.NewHeader(name, value))
	}
	if c.opts.NoOffer {
		return
	}
	c.mu.Lock()
	d.kind, d.body = "application/sdp", c.offer()
	c.mu.Unlock()
}

// target reads what was dialled.
func (p *Phone) target(text string) (sip.Uri, netip.AddrPort, error) {
	if !strings.HasPrefix(text, "sip:") {
		if !p.server.IsValid() {
			return sip.Uri{}, netip.AddrPort{}, fmt.Errorf("dial %q: without a server, dial a URI like sip:101@127.0.0.1:5060", text)
		}
		return sip.Uri{Scheme: "sip", User: text, Host: p.domain}, p.server, nil
	}
	var uri sip.Uri
	if err := sip.ParseUri(text, &uri); err != nil {
		return uri, netip.AddrPort{}, fmt.Errorf("dial %q: %w", text, err)
	}
	if p.server.IsValid() {
		return uri, p.server, nil
	}
	port := uri.Port
	if port == 0 {
		port = 5060
	}
	to, err := resolve(fmt.Sprintf("%s:%d", uri.Host, port))
	if err != nil {
		return uri, netip.AddrPort{}, fmt.Errorf("dial %q: %w", text, err)
	}
	return uri, to, nil
}

// follow lives as long as the INVITE's transaction and a while longer, since
// the 2xx may come again.
func (c *Call) follow(d *draft, tx *sip.ClientTx, req *sip.Request) {
	for attempt := 0; ; attempt++ {
		res, err := c.await(tx, req)
		switch {
		case err != nil:
			c.end(Cause{Code: 408, Text: err.Error()}, nil)
			return
		case res.IsSuccess():
			c.accepted(tx, res, req)
			return
		case !challenged(res) || attempt >= maxChallenges || c.isCancelled():
			c.refused(res)
			return
		}
		if err := c.phone.authorize(d, res); err != nil {
			c.phone.log.Debug("challenge not answered", "error", err)
			c.refused(res)
			return
		}
		c.mu.Lock()
		c.dialog.remoteTag = ""
		c.mu.Unlock()
		if tx, req, err = c.phone.send(c.life, d); err != nil {
			c.end(Cause{Text: err.Error()}, nil)
			return
		}
		c.mu.Lock()
		c.invite = req
		c.mu.Unlock()
	}
}

// await handles provisional responses until the final one.
func (c *Call) await(tx *sip.ClientTx, req *sip.Request) (*sip.Response, error) {
	cancelSent, proceeding := false, false
	for {
		// RFC 3261 §9.1: no CANCEL before a provisional response.
		if c.isCancelled() && proceeding && !cancelSent {
			cancelSent = true
			c.sendCancel(req)
		}
		_, changed := c.snapshot()
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
			proceeding = true
			c.provisional(res)
		case <-changed:
		case <-tx.Done():
			return nil, errors.Join(errNoAnswer, tx.Err())
		case <-c.life.Done():
			return nil, context.Cause(c.life)
		}
	}
}

func (c *Call) snapshot() (State, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.changed
}

func (c *Call) isCancelled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cancelled
}

// provisional takes a 1xx.
func (c *Call) provisional(res *sip.Response) {
	if res.StatusCode == sip.StatusTrying {
		return
	}
	b, bodyErr := session.Parse(res.Body())
	c.mu.Lock()
	c.learn(res)
	wasRinging, wasEarly := c.state.Ringing, c.state.Early
	if res.StatusCode == 180 && !wasRinging {
		c.set(func(s *State) { s.Ringing = true })
		close(c.ringing)
	}
	early := bodyErr == nil && len(res.Body()) > 0
	if early {
		c.apply(b, false)
		c.set(func(s *State) { s.Early = true })
	}
	shown := c.identify(res, false)
	c.mu.Unlock()
	if res.StatusCode == 180 && !wasRinging {
		c.phone.notify(Event{Call: c, Kind: EventRinging})
	}
	if early && !wasEarly {
		c.phone.notify(Event{Call: c, Kind: EventEarlyMedia})
	}
	c.tellShown(shown)
	if seq := number(res.GetHeader("RSeq")); seq > 0 && c.opts.Reliable {
		c.sendPrack(res, seq)
	}
}

func (c *Call) tellShown(shown bool) {
	if shown {
		st := c.State()
		c.phone.notify(Event{Call: c, Kind: EventShown, Text: strings.TrimSpace(st.PeerNumber + " " + st.PeerName)})
	}
}

// learn takes the dialog's other half from a response; the lock is held.
func (c *Call) learn(res *sip.Response) {
	if to := res.To(); to != nil {
		if tag, ok := to.Params.Get("tag"); ok {
			c.dialog.remoteTag = tag
		}
	}
	if contact := res.Contact(); contact != nil {
		c.dialog.target = *contact.Address.Clone()
	}
	routes := res.GetHeaders("Record-Route")
	c.dialog.routes = nil
	for i := len(routes) - 1; i >= 0; i-- {
		c.dialog.routes = append(c.dialog.routes, routes[i].Value())
	}
}

// sendPrack acknowledges a reliable provisional response (RFC 3262 §4).
func (c *Call) sendPrack(res *sip.Response, rseq int) {
	seq := res.CSeq()
	if seq == nil {
		return
	}
	d := c.inDialog(sip.PRACK)
	d.headers = append(d.headers, sip.NewHeader("RAck", fmt.Sprintf("%d %d INVITE", rseq, seq.SeqNo)))
	c.phone.spawn(func() {
		if _, _, err := c.phone.exchange(c.life, d); err != nil {
			c.phone.log.Debug("PRACK failed", "error", err)
		}
	})
}

// accepted takes the 2xx: it acknowledges it, each time that it comes, and
// opens the audio. A call that was cancelled meanwhile is ended with BYE.
func (c *Call) accepted(tx *sip.ClientTx, res *sip.Response, req *sip.Request) {
	b, bodyErr := session.Parse(res.Body())
	c.mu.Lock()
	c.learn(res)
	var answer []byte
	if bodyErr == nil {
		if c.opts.NoOffer {
			answer, bodyErr = c.answerTo(b)
		}
		c.apply(b, false)
	}
	c.identify(res, false)
	cancelled := c.cancelled
	c.mu.Unlock()
	ack := c.ackFor(req, answer)
	tx.OnRetransmission(func(*sip.Response) { c.write(ack.Clone()) })
	c.write(ack)
	switch {
	case cancelled:
		_ = c.bye(c.phone.ctx, Cause{Code: 487, Text: "cancelled, but it was answered meanwhile"})
	case bodyErr != nil:
		c.phone.log.Debug("answer without usable audio", "error", bodyErr)
		_ = c.bye(c.phone.ctx, Cause{Code: 488, Text: bodyErr.Error()})
	default:
		c.established()
	}
}

func (c *Call) established() {
	c.mu.Lock()
	if c.state.Ended || c.state.Answered {
		c.mu.Unlock()
		return
	}
	c.set(func(s *State) { s.Answered = true })
	close(c.answered)
	codec := c.state.Codec
	c.mu.Unlock()
	c.phone.notify(Event{Call: c, Kind: EventAnswered, Text: codec})
}

// ackFor builds the ACK of a 2xx (RFC 3261 §13.2.2.4).
func (c *Call) ackFor(invite *sip.Request, answer []byte) *sip.Request {
	d := c.inDialog(sip.ACK)
	if answer != nil {
		d.kind, d.body = "application/sdp", answer
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		if h := invite.GetHeader(name); h != nil {
			d.headers = append(d.headers, h)
		}
	}
	return c.phone.build(d, invite.CSeq().SeqNo)
}

func (c *Call) write(req *sip.Request) {
	if c.phone.ctx.Err() != nil {
		return
	}
	if err := c.phone.tp.WriteMsg(req); err != nil {
		c.phone.log.Debug("request not sent", "method", string(req.Method), "error", err)
	}
}

func (c *Call) refused(res *sip.Response) {
	c.mu.Lock()
	c.refusal = res
	c.mu.Unlock()
	c.end(Cause{Code: res.StatusCode, Text: res.Reason, Reason: headerValue(res.GetHeader("Reason")), Remote: !c.isCancelled()}, nil)
}
