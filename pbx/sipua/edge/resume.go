package edge

import (
	"context"
	"fmt"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// Ledger is told each INVITE that waits for its final response, so that another
// process can end it, or take it up. Its methods must not block.
type Ledger interface {
	// Rings notes an INVITE; the function that it returns says that it has been
	// answered.
	Rings(i Unanswered) (answered func())
}

// Unanswered is an INVITE without a final response.
type Unanswered struct {
	// Text returns the request as it stands on the wire.
	Text func() string
	// To is where we have sent it; zero for a peer's.
	To Hop
	// From is who has sent it; zero for ours.
	From Identity
}

// note tells the ledger of an INVITE that can be taken up: streams end with the
// process.
func (e *Edge) note(transport string, i Unanswered) (answered func()) {
	if e.cfg.Ledger == nil || transport != "UDP" {
		return func() {}
	}
	return e.cfg.Ledger.Rings(i)
}

// noted is what is told of a request of ours. One that begins a dialog is in
// the ledger until its final response, the end without one, or answered.
func (e *Edge) noted(req *sip.Request, to Hop, tell txn.Tell) (noted txn.Tell, answered func()) {
	if !req.IsInvite() || req.To() == nil || req.To().Params.Has("tag") {
		return tell, func() {}
	}
	answered = e.note(req.Transport(), Unanswered{Text: req.String, To: to})
	return func(res *sip.Response, err error, again bool) {
		if !again && (err != nil || res.StatusCode >= 200) {
			answered()
		}
		tell(res, err, again)
	}, answered
}

// serveInvite serves an INVITE of a peer, which is in the ledger until it is
// answered.
func (e *Edge) serveInvite(m *gate.Message, req *sip.Request, tx *txn.Server, id Identity) {
	tx.Answered(e.note(id.Transport, Unanswered{Text: m.Text, From: id}))
	e.cfg.Invite(req, tx, id)
}

// TakeUp goes on with the client transaction of an INVITE that an earlier
// process has sent to the hop, and which rings there.
func (e *Edge) TakeUp(ctx context.Context, invite *sip.Request, to Hop, tell txn.Tell) (Transaction, error) {
	f, err := e.flow(ctx, to)
	if err != nil {
		return nil, err
	}
	if via := invite.Via(); via != nil {
		branch, _ := via.Params.Get("branch")
		e.earlier.Store(branch, true)
	}
	tell, answered := e.noted(invite, to, tell)
	c, err := e.txns.Resume(invite, f, tell)
	if err != nil {
		answered()
		return nil, err
	}
	return c, nil
}

// Again begins anew the call of an INVITE that an earlier process had admitted.
// Its transaction stands when Again returns: a CANCEL finds it; the call begins
// when ready is closed. An error says that there will be no call; the caller
// was told, if that was possible.
func (e *Edge) Again(text string, id Identity, ready <-chan struct{}) error {
	m := gate.Scan([]byte(text))
	if m == nil || m.Fault != "" || m.Method != "INVITE" {
		return fmt.Errorf("the INVITE of %s cannot be read again", id.Source)
	}
	ctx, done := e.context()
	defer done()
	f, err := e.flow(ctx, Hop{Transport: id.Transport, Addr: id.Source})
	if err != nil {
		return err
	}
	emergency := id.Trunk == "" && e.look().emergencyCall(m)
	return e.begin(m, f, rank(emergency, id), func(req *sip.Request, tx *txn.Server) {
		tx.Listen(txn.User{Tag: e.gate.Tag(m)})
		e.txns.Go(func() {
			<-ready
			e.serveInvite(m, req, tx, id)
		})
	})
}
