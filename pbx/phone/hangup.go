package phone

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo/sip"
)

// sendCancel cancels our INVITE (RFC 3261 §9.1): same branch, same number.
func (c *Call) sendCancel(invite *sip.Request) {
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	req.AppendHeader(invite.Via().Clone())
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	req.AppendHeader(sip.HeaderClone(invite.From()))
	req.AppendHeader(sip.HeaderClone(invite.To()))
	req.AppendHeader(sip.HeaderClone(invite.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	sip.CopyHeaders("Route", invite, req)
	req.SetBody(nil)
	req.SetTransport(invite.Transport())
	req.Laddr = invite.Laddr
	req.SetDestination(invite.Destination())
	tx, err := c.phone.tx.Request(c.life, req)
	if err != nil {
		c.phone.log.Debug("CANCEL not sent", "error", err)
		return
	}
	c.phone.spawn(func() {
		defer tx.Terminate()
		if _, err := final(c.life, tx); err != nil {
			c.phone.log.Debug("CANCEL not answered", "error", err)
		}
	})
}

// Hangup ends the call in the way that its state asks for: CANCEL, a refusal
// (603) or BYE. It returns when the peer has confirmed, or the context ends;
// the call is over then in any case.
func (c *Call) Hangup(ctx context.Context) error {
	c.mu.Lock()
	st, answering := c.state, c.answering
	c.mu.Unlock()
	if answering && !st.Answered {
		// The 2xx is on its way: a refusal would come too late.
		if err := c.Wait(ctx, func(s State) bool { return s.Answered || s.Ended }); err != nil {
			return err
		}
		st = c.State()
	}
	switch {
	case st.Ended:
		return nil
	case st.Answered:
		return c.bye(ctx, Cause{Code: 200, Text: "hung up"})
	case c.incoming:
		return c.Reject(603)
	}
	c.mu.Lock()
	c.cancelled = true
	c.set(func(*State) {})
	c.mu.Unlock()
	if err := c.Wait(ctx, func(s State) bool { return s.Ended }); err != nil {
		c.end(Cause{Code: 487, Text: "cancelled, not confirmed"}, nil)
		return err
	}
	return nil
}

// bye sends BYE and ends the call.
func (c *Call) bye(ctx context.Context, cause Cause) error {
	d := c.inDialog(sip.BYE)
	c.mu.Lock()
	over := c.state.Ended
	c.mu.Unlock()
	if over {
		return nil
	}
	// The peer's BYE may cross ours; both end the call.
	res, _, err := c.phone.exchange(ctx, d)
	c.end(cause, nil)
	if err == nil && !res.IsSuccess() && res.StatusCode != 481 {
		err = fmt.Errorf("BYE: %w", statusError(res))
	}
	return err
}
