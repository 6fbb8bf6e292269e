package txn

import (
	"fmt"
	"sync"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// responsesWaiting is how many responses of one transaction may wait for its
// user; more are dropped, and what matters is sent again.
const responsesWaiting = 32

// client is one client transaction with the responses that wait for it. A
// goroutine hands them over as long as there are any: most of its life a
// transaction only waits for a timer.
type client struct {
	tx     *sip.ClientTx
	invite bool

	mu    sync.Mutex
	queue []*sip.Response
	busy  bool // the goroutine runs
}

// Request sends a request, which has its Via, on the flow and starts its
// client transaction.
func (l *Layer) Request(req *sip.Request, f *gate.Flow) (sip.ClientTransaction, error) {
	key, err := sip.ClientTxKeyMake(req)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	tx := sip.NewClientTx(key, req, &conn{flow: f, buffers: &l.buffers}, l.log)
	c := &client{tx: tx, invite: req.IsInvite()}
	if err := l.addClient(key, c); err != nil {
		return nil, err
	}
	if err := tx.Init(); err != nil {
		tx.Terminate()
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	return tx, nil
}

func (l *Layer) addClient(key string, c *client) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.client[key] != nil:
		return errTwice
	}
	l.client[key] = c
	c.tx.OnTerminate(func(key string, _ error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.client, key)
	})
	return nil
}

// put adds a response to the queue; full, it is dropped. start says that
// deliver has to be run.
func (c *client) put(res *sip.Response) (start, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= responsesWaiting {
		return false, false
	}
	c.queue = append(c.queue, res)
	start, c.busy = !c.busy, true
	return start, true
}

// deliver hands responses to the transaction in their order until none is
// left. sipgo's Receive waits until the transaction's user has taken the
// response or the transaction has ended.
func (c *client) deliver() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.queue, c.busy = nil, false
			c.mu.Unlock()
			return
		}
		res := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		c.tx.Receive(res)
		if res.StatusCode >= 200 && !c.invite {
			// What Timer K is for (RFC 3261 §17.1.2.2), that the response sent
			// again disturbs nobody, is so without the transaction.
			c.tx.Terminate()
		}
	}
}

// Response hands a response to the transaction that it belongs to and reports
// whether there was one with room for it.
func (l *Layer) Response(m *gate.Message, f *gate.Flow) bool {
	method := m.CSeqMethod
	l.mu.Lock()
	c := l.client[m.Via.Branch+sip.TxSeperator+method]
	l.mu.Unlock()
	if c == nil {
		return false
	}
	res, err := response(m)
	if err != nil {
		return false
	}
	res.SetTransport(f.Transport)
	start, ok := c.put(res)
	if start {
		l.Go(c.deliver)
	}
	return ok
}
