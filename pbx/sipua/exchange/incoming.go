package exchange

import (
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// HopOf returns where a request came from.
func HopOf(m interface {
	Source() string
	Transport() string
},
) (edge.Hop, bool) {
	a, err := netip.ParseAddrPort(m.Source())
	if err != nil {
		return edge.Hop{}, false
	}
	return edge.Hop{Transport: strings.ToUpper(m.Transport()), Addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}, true
}

// Transaction is that of a request of the peer; *txn.Server is one.
type Transaction interface {
	// Listen sets who is told what happens; false if the request was taken
	// back before.
	Listen(u txn.User) bool
	Respond(res *sip.Response) error
	// Settle says that there is nothing more to say.
	Settle()
}

// Incoming is a request of the peer with its transaction.
type Incoming struct {
	Req       *sip.Request
	Tx        Transaction
	cancelled atomic.Bool
	final     atomic.Bool
}

// NewIncoming returns a request that nobody has answered.
func NewIncoming(req *sip.Request, tx Transaction) *Incoming {
	return &Incoming{Req: req, Tx: tx}
}

// Respond sends a response. A 2xx to an INVITE is settled by its ACK. An error
// means that the transaction is over, by CANCEL or since the peer cannot be
// reached.
func (in *Incoming) Respond(res *sip.Response) error {
	if in.cancelled.Load() {
		return sip.ErrTransactionCanceled
	}
	if res.StatusCode >= 200 {
		in.final.Store(true)
	}
	return in.Tx.Respond(res)
}

// Settle ends the transaction: the ACK has come, or nobody will answer.
func (in *Incoming) Settle() { in.Tx.Settle() }

// Cancel notes that the peer took the request back.
func (in *Incoming) Cancel() { in.cancelled.Store(true) }

// Cancelled reports whether the peer took the request back.
func (in *Incoming) Cancelled() bool { return in.cancelled.Load() }

// Final reports whether a final response was sent.
func (in *Incoming) Final() bool { return in.final.Load() }
