package nodeguard

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// askAgain is how often a PBX looks whether a helper has come to its node.
const askAgain = 15 * time.Second

// waiting bounds the bans that were not told yet.
const waiting = 256

// Client tells the helper on this node, if there is one. Its methods may be
// called from any goroutine and do not wait.
type Client struct {
	socket string
	owner  uint32 // user that the helper must be
	who    func() Message
	log    *slog.Logger
	wake   chan struct{}

	mu   sync.Mutex
	bans []ban
}

type ban struct {
	source netip.Addr
	until  time.Time
}

// NewClient returns a client of the helper at Socket. who says which SIP port
// this PBX has and which networks its trunks; it is asked again and again.
func NewClient(who func() (port uint16, protect []netip.Prefix), log *slog.Logger) *Client {
	return newClient(Socket, 0, who, log)
}

func newClient(socket string, owner uint32, who func() (uint16, []netip.Prefix), log *slog.Logger) *Client {
	return &Client{socket: socket, owner: owner, log: log, wake: make(chan struct{}, 1), who: func() Message {
		port, protect := who()
		return Message{Port: port, Protect: protect[:min(len(protect), maxProtect)]}
	}}
}

// Ban wishes that the kernel drops what a source sends to this PBX for d.
func (c *Client) Ban(source netip.Addr, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bans) < waiting { // the rest is dropped by the PBX itself, as without a helper
		c.bans = append(c.bans, ban{source, time.Now().Add(d)})
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run tells what there is to tell until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	told := false
	for ctx.Err() == nil {
		conn, err := c.dial(ctx)
		if err == nil {
			told = true
			c.log.Info("a helper of this node drops what banned sources send")
			err = c.serve(ctx, conn)
			_ = conn.Close() // nothing is left to say
		}
		if told && ctx.Err() == nil {
			told = false
			c.log.Info("the helper of this node is away; the PBX drops what banned sources send by itself", "error", err)
		}
		c.forget()
		pause := time.NewTimer(askAgain)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
	return nil
}

// dial connects to a helper that is who it must be.
func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	var d net.Dialer
	dialled, err := d.DialContext(ctx, network, c.socket)
	if err != nil {
		return nil, err
	}
	conn, ok := dialled.(*net.UnixConn)
	if !ok {
		_ = dialled.Close() // cannot be used
		return nil, fmt.Errorf("%s is no Unix socket", c.socket)
	}
	uid, err := peer(conn)
	if err == nil && uid != c.owner {
		err = fmt.Errorf("%s belongs to user %d: the helper runs as %d", c.socket, uid, c.owner)
	}
	if err != nil {
		_ = conn.Close() // was never used
		return nil, err
	}
	return conn, nil
}

// serve tells everything, and then what comes to it.
func (c *Client) serve(ctx context.Context, conn *net.UnixConn) error {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1)) // the helper says nothing: it ends when the helper does
	}()
	defer func() {
		_ = conn.Close() // ends the reader
		<-gone
	}()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	said := ""
	for {
		if err := c.tell(conn, &said); err != nil {
			return err
		}
		select {
		case <-c.wake:
		case <-again.C: // the trunks may have other addresses by now
		case <-gone:
			return net.ErrClosed
		case <-ctx.Done():
			return nil
		}
	}
}

// tell says who we are if that is news, and then every ban that waits.
func (c *Client) tell(conn *net.UnixConn, said *string) error {
	text, err := json.Marshal(c.who())
	if err != nil {
		return err
	}
	if string(text) != *said {
		if err := send(conn, text); err != nil {
			return err
		}
		*said = string(text)
	}
	c.mu.Lock()
	bans := c.bans
	c.bans = nil
	c.mu.Unlock()
	for _, b := range bans {
		left := time.Until(b.until)
		if left < time.Second {
			continue
		}
		if text, err = json.Marshal(Message{Ban: b.source, Seconds: int(left / time.Second)}); err != nil {
			return err
		}
		if err := send(conn, text); err != nil {
			return err
		}
	}
	return nil
}

// forget drops bans that nobody took.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	left := c.bans[:0]
	for _, b := range c.bans {
		if now.Before(b.until) {
			left = append(left, b)
		}
	}
	c.bans = left
}

func send(conn *net.UnixConn, text []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := conn.Write(text)
	return err
}
