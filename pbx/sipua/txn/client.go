package txn

import (
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// The timers of RFC 3261 §17, table 4.
const (
	t1          = 500 * time.Millisecond
	t2          = 4 * time.Second
	giveUpAfter = 64 * t1 // timers B, F, D and M
)

// Tell is told what comes of a request, in order: each provisional response,
// then the final one, or an error if there is none. Then, with again, each
// further 2xx to an INVITE: sent again, or of another branch (RFC 6026 §7.2).
// It is called from where the socket is read and must not block.
type Tell func(res *sip.Response, err error, again bool)

// Client is a client transaction (RFC 3261 §17.1).
type Client struct {
	l        *Layer
	key      string
	way      sender
	datagram bool // what is lost must be sent again
	invite   bool
	tell     Tell

	mu    sync.Mutex
	state clientState
	req   *sip.Request  // an INVITE, until it is answered: the ACK of a refusal is made of it
	text  []byte        // what is sent again: the request, then that ACK
	wait  time.Duration // until it is sent again
	left  time.Duration // until the transaction ends
	timer *time.Timer
	armed time.Duration // what the timer was set to
}

// sender is the part of a flow that a transaction needs.
type sender interface{ Send([]byte) error }

type clientState int

const (
	calling    clientState = iota // nothing came; Trying in the RFC, too
	proceeding                    // a provisional response came
	accepted                      // an INVITE got a 2xx
	refused                       // an INVITE got another final response
	over
)

// Request sends a request, which has its Via, on the flow and starts its client
// transaction.
func (l *Layer) Request(req *sip.Request, f *gate.Flow, tell Tell) (*Client, error) {
	return l.request(req, f, f.Transport == "UDP", tell)
}

func (l *Layer) request(req *sip.Request, way sender, datagram bool, tell Tell) (*Client, error) {
	key, err := sip.ClientTxKeyMake(req)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	c := &Client{
		l: l, key: key, way: way, datagram: datagram, invite: req.IsInvite(), tell: tell,
		text: l.bytes(req), wait: t1, left: giveUpAfter,
	}
	if c.invite {
		c.req = req
	}
	if err := l.addClient(c); err != nil {
		return nil, err
	}
	if err := way.Send(c.text); err != nil {
		c.end(false)
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil && (c.state == calling || c.state == proceeding && !c.invite) {
		c.arm()
	}
	return c, nil
}

func (l *Layer) addClient(c *Client) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.client[c.key] != nil:
		return errTwice
	}
	l.client[c.key] = c
	return nil
}

// arm sets the timer to the next repetition or the end, whichever comes first.
func (c *Client) arm() {
	c.armed = c.left
	if c.datagram && c.state < accepted {
		c.armed = min(c.wait, c.left)
	}
	c.set(c.armed)
}

func (c *Client) set(d time.Duration) {
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.fire)
		return
	}
	c.timer.Reset(d)
}

// fire sends the request again (timers A and E) or ends the transaction.
func (c *Client) fire() {
	c.mu.Lock()
	c.left -= c.armed
	again := c.state == calling || c.state == proceeding && !c.invite
	switch {
	case c.state == over || c.state == proceeding && c.invite:
		c.mu.Unlock()
		return
	case c.left <= 0 || !again:
		c.mu.Unlock()
		c.fail(sip.ErrTransactionTimeout)
		return
	}
	c.wait *= 2
	if !c.invite {
		c.wait = min(c.wait, t2)
	}
	c.arm()
	text := c.text
	c.mu.Unlock()
	if err := c.way.Send(text); err != nil {
		c.fail(fmt.Errorf("send again: %w", err))
	}
}

// fail ends the transaction and tells so if its user waits for an answer.
func (c *Client) fail(err error) {
	if c.end(true) {
		c.tell(nil, err, false)
	}
}

// Terminate ends the transaction; the user who still waits for an answer is
// told.
func (c *Client) Terminate() { c.fail(sip.ErrTransactionTerminated) }

// end takes the transaction out of the table and reports whether it still owed
// an answer.
func (c *Client) end(owing bool) bool {
	c.mu.Lock()
	owed := c.state == calling || c.state == proceeding
	c.state, c.req, c.text = over, nil, nil
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.l.mu.Lock()
	if c.l.client[c.key] == c {
		delete(c.l.client, c.key)
	}
	c.l.mu.Unlock()
	return owing && owed
}

// Response hands a response to the transaction that it belongs to and reports
// whether there was one.
func (l *Layer) Response(m *gate.Message) bool {
	var room [keyRoom]byte
	key := append(append(append(room[:0], m.Via.Branch...), sip.TxSeperator...), m.CSeqMethod...)
	l.mu.Lock()
	c := l.client[string(key)]
	l.mu.Unlock()
	if c == nil {
		return false
	}
	res, err := response(m)
	if err != nil {
		return false
	}
	c.receive(res)
	return true
}

// receive moves the state machine. A final response to anything but an INVITE
// ends the transaction: what Timer K is for, that the response sent again
// disturbs nobody, is so without it.
func (c *Client) receive(res *sip.Response) {
	c.mu.Lock()
	switch {
	case c.state == accepted && res.IsSuccess():
		c.mu.Unlock()
		c.tell(res, nil, true)
	case c.state == refused && res.StatusCode >= 300:
		ack := c.text
		c.mu.Unlock()
		_ = c.way.Send(ack) // the peer asks again
	case c.state >= accepted:
		c.mu.Unlock()
	case res.IsProvisional():
		c.state = proceeding
		if c.invite && c.timer != nil {
			c.timer.Stop()
		}
		c.wait = t2
		c.mu.Unlock()
		c.tell(res, nil, false)
	case !c.invite:
		c.mu.Unlock()
		if c.end(true) {
			c.tell(res, nil, false)
		}
	default:
		c.answered(res)
		c.mu.Unlock()
		c.tell(res, nil, false)
	}
}

// answered takes the final response to an INVITE; a refusal is acknowledged.
// The transaction waits for those that are sent again (timers D and M).
func (c *Client) answered(res *sip.Response) {
	c.state, c.text = accepted, nil
	if !res.IsSuccess() {
		c.state, c.text = refused, c.l.bytes(ackOf(c.req, res))
		_ = c.way.Send(c.text) // the peer sends its response again
	}
	c.req = nil
	c.left = giveUpAfter
	if !c.datagram && c.state == refused {
		c.left = 0
	}
	c.arm()
}

// ackOf is the ACK of a refused INVITE (RFC 3261 §17.1.1.3).
func ackOf(invite *sip.Request, res *sip.Response) *sip.Request {
	ack := sip.NewRequest(sip.ACK, invite.Recipient)
	ack.AppendHeader(invite.Via())
	for _, h := range invite.GetHeaders("Route") {
		ack.AppendHeader(h)
	}
	ack.AppendHeader(invite.From())
	ack.AppendHeader(res.To())
	ack.AppendHeader(invite.CallID())
	ack.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.ACK})
	forwards := sip.MaxForwardsHeader(70)
	ack.AppendHeader(&forwards)
	ack.SetBody(nil)
	return ack
}
