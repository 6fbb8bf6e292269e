package phone

import (
	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/media/dtmf"

	"github.com/dipcast/dipcast/pbx/phone/session"
)

// handle serves a request inside the dialog.
func (c *Call) handle(req *sip.Request, tx *sip.ServerTx) {
	if req.Method == sip.ACK {
		c.acknowledged(req)
		return
	}
	c.mu.Lock()
	stale := c.dialog.remoteSeq != 0 && req.CSeq().SeqNo <= c.dialog.remoteSeq
	if !stale {
		c.dialog.remoteSeq = req.CSeq().SeqNo
	}
	c.mu.Unlock()
	if stale {
		c.phone.reply(req, tx, 500, "CSeq Out Of Order")
		return
	}
	switch req.Method {
	case sip.BYE:
		c.phone.reply(req, tx, 200, "OK")
		c.end(Cause{Code: 200, Text: "hung up by the peer", Reason: headerValue(req.GetHeader("Reason")), Remote: true}, req)
	case sip.INVITE, sip.UPDATE:
		c.renegotiate(req, tx)
	case sip.INFO:
		c.pressed(req, tx)
	case sip.OPTIONS, sip.NOTIFY, sip.PRACK:
		c.phone.reply(req, tx, 200, "OK")
	default:
		c.phone.reply(req, tx, 405, "Method Not Allowed")
	}
}

// acknowledged takes the ACK of a 2xx; it carries the answer if our 2xx
// carried the offer.
func (c *Call) acknowledged(req *sip.Request) {
	b, err := session.Parse(req.Body())
	c.mu.Lock()
	turned := err == nil && c.apply(b, false)
	if c.acked != nil {
		close(c.acked)
		c.acked = nil
	}
	c.mu.Unlock()
	c.tellHold(turned)
}

// renegotiate serves a re-INVITE or an UPDATE.
func (c *Call) renegotiate(req *sip.Request, tx *sip.ServerTx) {
	c.mu.Lock()
	glare := c.offering && (req.Method == sip.INVITE || len(req.Body()) > 0)
	if contact := req.Contact(); contact != nil && !glare {
		c.dialog.target = *contact.Address.Clone()
	}
	shown := !glare && c.identify(req, false)
	c.mu.Unlock()
	if glare {
		c.phone.reply(req, tx, 491, "Request Pending")
		return
	}
	c.tellShown(shown)
	if req.Method == sip.UPDATE && len(req.Body()) == 0 {
		_ = tx.Respond(c.response(req, 200, "OK", nil))
		return
	}
	description, err := c.describe(req)
	if err != nil {
		c.phone.log.Debug("offer refused", "error", err)
		_ = tx.Respond(c.response(req, 488, "Not Acceptable Here", nil))
		return
	}
	if req.Method == sip.UPDATE {
		_ = tx.Respond(c.response(req, 200, "OK", description))
		return
	}
	if err := c.accept(c.life, req, tx, description); err != nil {
		c.phone.log.Debug("re-INVITE not acknowledged", "error", err)
	}
}

// pressed takes a key press by INFO.
func (c *Call) pressed(req *sip.Request, tx *sip.ServerTx) {
	kind := ""
	if h := req.ContentType(); h != nil {
		kind = h.Value()
	}
	digit, _, err := dtmf.ParseInfo(kind, req.Body())
	if err != nil {
		c.phone.reply(req, tx, 415, "Unsupported Media Type")
		return
	}
	c.audio.Press(digit)
	c.phone.reply(req, tx, 200, "OK")
}
