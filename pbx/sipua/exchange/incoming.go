package exchange

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/edge"
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

// Incoming is a request of the peer with its transaction. The handler's
// goroutine stays until the transaction is settled.
type Incoming struct {
	Req       *sip.Request
	Tx        sip.ServerTransaction
	cancelled atomic.Bool
	final     atomic.Bool
	once      sync.Once
	settled   chan struct{}
}

// NewIncoming returns a request that nobody has answered.
func NewIncoming(req *sip.Request, tx sip.ServerTransaction) *Incoming {
	return &Incoming{Req: req, Tx: tx, settled: make(chan struct{})}
}

// Respond sends a response and settles the transaction, unless it is a 2xx to
// an INVITE: that is settled by its ACK. An error means that the transaction
// is over, by CANCEL or since the peer cannot be reached.
func (in *Incoming) Respond(res *sip.Response) error {
	if in.cancelled.Load() {
		return sip.ErrTransactionCanceled
	}
	if res.StatusCode >= 200 {
		in.final.Store(true)
	}
	err := in.Tx.Respond(res)
	if res.StatusCode >= 200 && (err != nil || res.StatusCode >= 300 || !in.Req.IsInvite()) {
		in.Settle()
	}
	return err
}

// Settle ends the wait for the transaction.
func (in *Incoming) Settle() { in.once.Do(func() { close(in.settled) }) }

// Settled is closed when the transaction has nothing left to do.
func (in *Incoming) Settled() <-chan struct{} { return in.settled }

// Cancel notes that the peer took the request back.
func (in *Incoming) Cancel() { in.cancelled.Store(true) }

// Cancelled reports whether the peer took the request back.
func (in *Incoming) Cancelled() bool { return in.cancelled.Load() }

// Final reports whether a final response was sent.
func (in *Incoming) Final() bool { return in.final.Load() }
