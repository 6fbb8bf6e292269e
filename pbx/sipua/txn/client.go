package txn

import (
	"fmt"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// responsesWaiting is how many responses of one transaction may wait for its
// user; more are dropped, and what matters is sent again.
const responsesWaiting = 32

// client is one client transaction with the queue of its responses.
type client struct {
	tx    *sip.ClientTx
	queue chan *sip.Response
}

// Request sends a request, which has its Via, on the flow and starts its
// client transaction.
func (l *Layer) Request(req *sip.Request, f *gate.Flow) (sip.ClientTransaction, error) {
	key, err := sip.ClientTxKeyMake(req)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	tx := sip.NewClientTx(key, req, &conn{flow: f}, l.log)
	c := &client{tx: tx, queue: make(chan *sip.Response, responsesWaiting)}
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
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		c.deliver()
	}()
	return nil
}

// deliver hands responses to the transaction in their order. sipgo's Receive
// waits until the transaction's user has taken the response.
func (c *client) deliver() {
	for {
		select {
		case res := <-c.queue:
			c.tx.Receive(res)
		case <-c.tx.Done():
			return
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
	msg, err := parse(m.Text())
	if err != nil {
		return false
	}
	res, ok := msg.(*sip.Response)
	if !ok || res.CSeq() == nil || res.To() == nil || res.From() == nil || res.CallID() == nil {
		return false
	}
	res.SetTransport(f.Transport)
	res.SetSource(f.Remote.String())
	select {
	case c.queue <- res:
		return true
	default:
		return false
	}
}
