package phone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// secure reports whether the phone listens nowhere and is reached over its own
// connection.
func (p *Phone) secure() bool { return p.transport == "TLS" || p.transport == "WSS" }

// listenNowhere takes the address that is wanted for media alone, and a name
// that nobody can look up for the Contact (RFC 7118 §5.2.1).
func (p *Phone) listenNowhere(want string) error {
	a, err := netip.ParseAddrPort(want)
	if err != nil {
		return fmt.Errorf("listen %q: %w", want, err)
	}
	p.addr = netip.AddrPortFrom(a.Addr(), 0)
	p.host = strings.ToLower(rand.Text()) + ".invalid"
	return nil
}

// contactHost is the host of Contact and Via.
func (p *Phone) contactHost() string {
	if p.host != "" {
		return p.host
	}
	return uriHost(p.addr.Addr())
}

// pingEvery is how often the phone shows its server that its connection is up
// (RFC 5626 §3.5.1).
const pingEvery = 20 * time.Second

// keepAlive sends CRLFs over the phone's connection from now on.
func (p *Phone) keepAlive() {
	p.mu.Lock()
	begun := p.binding.pings
	p.binding.pings = true
	p.mu.Unlock()
	if begun || !p.secure() {
		return
	}
	p.spawn(func() {
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-p.ctx.Done():
				return
			case <-tick.C:
			}
			if c := p.connection(); c != nil {
				if w, ok := c.(io.Writer); ok {
					_, _ = w.Write([]byte("\r\n\r\n")) // the next request finds out
				}
				_, _ = c.TryClose()
			}
		}
	})
}

// connection returns the connection to the server, to be given back by
// TryClose; nil: there is none.
func (p *Phone) connection() sip.Connection {
	c, err := p.tp.GetConnection(p.transport, p.server.String())
	if err != nil {
		return nil
	}
	return c
}

// Disconnect ends the connection to the server as a network does that fails,
// and returns when the phone has noticed. Calls stay as they are, the next
// request opens another connection.
func (p *Phone) Disconnect(ctx context.Context) error {
	if p.transport == "UDP" || !p.server.IsValid() {
		return errors.New("disconnect: the phone has no connection to a server")
	}
	c := p.connection()
	if c == nil {
		return nil
	}
	_ = c.Close() // the peer may have been faster
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if now := p.connection(); now != c {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
