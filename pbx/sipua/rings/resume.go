package rings

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/message"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

const (
	// cancelling bounds how long a phone may take to say that it rings no more:
	// 64*T1 of RFC 3261 §9.1.
	cancelling = 32 * time.Second
	// responses is how many of one INVITE may wait to be served.
	responses = 8
)

// Sender puts requests on the wire; *edge.Edge is one.
type Sender interface {
	TakeUp(ctx context.Context, invite *sip.Request, to edge.Hop, tell txn.Tell) (edge.Transaction, error)
	Cancel(invite *sip.Request, to edge.Hop, reason string) error
	Send(req *sip.Request, to edge.Hop) error
	Transact(ctx context.Context, req *sip.Request, to edge.Hop, tell txn.Tell) (edge.Transaction, error)
	Contact(to edge.Hop) sip.Uri
}

// Cancel takes back the INVITEs that an earlier process has sent. The CANCELs
// are on their way when it returns; what becomes of them is the affair of a
// goroutine each, which Close ends. Settled is closed when all of them are over.
func (b *Book) Cancel(s Sender) (settled <-chan struct{}) {
	var all sync.WaitGroup
	for id, r := range b.ours {
		b.table.Delete(id)
		c, err := b.begin(s, r)
		if err != nil {
			b.log.Info("an INVITE of the process before cannot be taken back and rings until its time is over", "to", r.To.Addr, "error", err)
			continue
		}
		all.Go(func() { c.end(b.ctx) })
	}
	if n := len(b.ours); n > 0 {
		b.log.Info("phones that rang for the process before are told to stop", "phones", n)
	}
	clear(b.ours)
	over := make(chan struct{})
	b.ending.Go(func() {
		defer close(over)
		all.Wait()
	})
	return over
}

// Callers gives each INVITE to begin anew to `again`.
func (b *Book) Callers(again func(text string, from edge.Identity) error) {
	for id, r := range b.peers {
		b.table.Delete(id)
		if err := again(r.Text, r.From); err != nil {
			b.log.Warn("a caller of the process before is not called again", "from", r.From.Source, "error", err)
			continue
		}
		b.log.Info("a call that rang is begun anew", "from", r.From.Source)
	}
	clear(b.peers)
}

// cancellation is one INVITE that is taken back.
type cancellation struct {
	s      Sender
	invite *sip.Request
	to     edge.Hop
	tx     edge.Transaction
	heard  chan *sip.Response // nil: the transaction is over
	byes   map[string]bool    // by the tag of who has answered
}

func (b *Book) begin(s Sender, r *record) (*cancellation, error) {
	invite, err := parse(r.Text)
	if err != nil {
		return nil, err
	}
	c := &cancellation{s: s, invite: invite, to: r.To, heard: make(chan *sip.Response, responses), byes: map[string]bool{}}
	c.tx, err = s.TakeUp(b.ctx, invite, r.To, func(res *sip.Response, err error, _ bool) {
		if err == nil && res.StatusCode < 200 {
			return
		}
		select {
		case c.heard <- res: // nil with an error
		default: // a peer that repeats itself
		}
	})
	if err != nil {
		return nil, err
	}
	// What it rang for is no missed call: it rings anew if its caller still waits.
	reason := message.Reason(pbx.Cause{SIP: 200, Q850: 26, Text: "Call completed elsewhere", Elsewhere: true})
	return c, s.Cancel(invite, r.To, reason)
}

// end waits for the final response. Who has answered in the meantime is
// acknowledged and hung up.
func (c *cancellation) end(ctx context.Context) {
	defer c.tx.Terminate()
	ctx, cancel := context.WithTimeout(ctx, cancelling)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case res := <-c.heard:
			if res == nil || !res.IsSuccess() {
				return // the transaction acknowledges a refusal
			}
			c.hangUp(ctx, res)
		}
	}
}

// hangUp acknowledges a 2xx and sends a BYE, once for each who has answered.
// The transaction goes on: its 2xx may come again.
func (c *cancellation) hangUp(ctx context.Context, res *sip.Response) {
	d := c.dialog(res)
	ack, err := message.NewRequest(d, d.Request("ACK"), c.s.Contact(c.to))
	if err != nil {
		return // whoever answers with such a Contact hears nothing of us
	}
	_ = c.s.Send(ack, c.to) // its 2xx comes again
	if c.byes[d.Remote.Tag] {
		return
	}
	c.byes[d.Remote.Tag] = true
	bye, err := message.NewRequest(d, d.Request("BYE"), c.s.Contact(c.to))
	if err != nil {
		return // as above
	}
	bye.AppendHeader(sip.NewHeader("Reason", message.Reason(pbx.Cause{SIP: 503, Q850: 41, Text: "the call was lost in a restart"})))
	_, _ = c.s.Transact(ctx, bye, c.to, func(*sip.Response, error, bool) {}) // nobody wants to know
}

// dialog is what a 2xx has made of the INVITE.
func (c *cancellation) dialog(res *sip.Response) *dialog.Dialog {
	from, to := c.invite.From(), c.invite.To()
	base := dialog.NewCaller(c.invite.CallID().Value(),
		dialog.Party{Display: from.DisplayName, URI: from.Address.String(), Tag: message.Tag(from.Params)},
		dialog.Party{Display: to.DisplayName, URI: to.Address.String()}, c.invite.Recipient.String(), nil, c.invite.CSeq().SeqNo)
	base.Request("INVITE")
	answer := dialog.Response{Status: res.StatusCode, Contact: message.ContactURI(res), RecordRoute: message.RecordRoutes(res)}
	if to := res.To(); to != nil {
		answer.Tag = message.Tag(to.Params)
	}
	return base.Fork(answer)
}

// errNoInvite is what a record is that this program has not written.
var errNoInvite = errors.New("the record holds no INVITE")

// parse reads an INVITE of ours.
func parse(text string) (*sip.Request, error) {
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("an INVITE of the process before: %w", err)
	}
	req, ok := m.(*sip.Request)
	if !ok || !req.IsInvite() || req.Via() == nil || req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		return nil, errNoInvite
	}
	req.SetTransport(req.Via().Transport)
	return req, nil
}

// callID is the Call-ID of a peer's INVITE.
func callID(text string) string {
	if m := gate.Scan([]byte(text)); m != nil {
		return m.CallID
	}
	return ""
}
