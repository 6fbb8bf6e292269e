package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx/sipua/gate/websocket"
)

// way is what a connection speaks below its SIP messages.
type way struct {
	transport string
	tls       *tls.Config              // nil: in the clear
	origin    func(origin string) bool // of a WebSocket: which pages may connect; nil: it is none
}

func (w *way) webSocket() bool { return w.origin != nil }

// ServeTCP accepts connections until Close.
func (g *Gate) ServeTCP(l net.Listener) error {
	return g.start(l, func() { g.accept(l, way{transport: "TCP"}) })
}

// ServeTLS is ServeTCP for SIP over TLS. The configuration yields the
// certificate; nothing else of a message's way differs.
func (g *Gate) ServeTLS(l net.Listener, cfg *tls.Config) error {
	return g.start(l, func() { g.accept(l, way{transport: "TLS", tls: cfg}) })
}

// ServeWSS is ServeTLS for SIP over secure WebSocket; origin says from which
// pages browsers may connect.
func (g *Gate) ServeWSS(l net.Listener, cfg *tls.Config, origin func(string) bool) error {
	return g.start(l, func() { g.accept(l, way{transport: "WSS", tls: cfg, origin: origin}) })
}

func (g *Gate) accept(l net.Listener, w way) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors: the connection waits in the backlog
			// until another one ends.
			t := time.NewTimer(50 * time.Millisecond)
			<-t.C
			continue
		}
		if !g.admits(conn, &w) {
			_ = conn.Close() // was never served
			continue
		}
		st := g.newStream(conn, w)
		if w.tls != nil {
			st.conn = tls.Server(conn, w.tls)
		}
		if err := g.serveStream(st, g.cfg.Trusted(st.flow.Remote.Addr())); err != nil {
			g.Counters.Turned.Add(1)
		}
	}
}

// admits reports whether a connection is served at all. A handshake costs a
// thousand times what a message costs, so strangers have a measure for them,
// each and all together.
func (g *Gate) admits(conn net.Conn, w *way) bool {
	remote := addrOf(conn.RemoteAddr())
	if g.cfg.Trusted(remote.Addr()) {
		return true
	}
	source, now := Network(remote.Addr()), g.cfg.Now()
	switch {
	case g.bans.Source(source, now):
		g.Counters.Banned.Add(1)
	case w.tls == nil:
		return true
	case !g.spend(source, false): // counts by itself
	case !g.handshakes.take(netip.IPv6Unspecified(), now):
		g.Counters.Turned.Add(1)
	default:
		return true
	}
	return false
}

var errFull = errors.New("no room for one more connection")

// newStream returns the connection as the gate keeps it, before its handshakes.
func (g *Gate) newStream(conn net.Conn, w way) *stream {
	st := &stream{raw: conn, conn: conn, way: w, gate: g}
	st.flow = &Flow{Transport: w.transport, Local: addrOf(conn.LocalAddr()), Remote: addrOf(conn.RemoteAddr()), stream: st}
	st.ready.Store(w.tls == nil)
	return st
}

// serveStream starts the connection's reader.
func (g *Gate) serveStream(st *stream, proven bool) error {
	st.trust.Store(proven)
	ok, evicted := g.streams.add(st, proven)
	if !ok {
		_ = st.raw.Close() // was never served
		return errFull
	}
	if evicted != nil {
		g.Counters.Turned.Add(1)
		_ = evicted.raw.Close() // its reader notices
	}
	g.Counters.Streams.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		_ = st.raw.Close() // was never served
		g.streams.remove(st)
		g.Counters.Streams.Add(-1)
		return ErrClosed
	}
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		g.readStream(st)
	}()
	return nil
}

func addrOf(a net.Addr) netip.AddrPort {
	p, _ := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

func (g *Gate) readStream(st *stream) {
	defer func() {
		st.finish()
		_ = st.conn.Close() // the peer may have closed it already
		g.streams.remove(st)
		g.Counters.Streams.Add(-1)
		g.cfg.Handler.Closed(st.flow)
	}()
	until := time.Now().Add(g.streams.limits.Unproven)
	if err := st.open(); err != nil {
		g.Counters.Handshakes.Add(1)
		return
	}
	// Whatever a stranger sends, and however slowly, its time runs out.
	within := func(d time.Duration) error {
		end := time.Now().Add(d)
		if !st.trust.Load() && end.After(until) {
			end = until
		}
		return st.conn.SetReadDeadline(end)
	}
	cut := newCutter(st)
	begun := func() error { return within(g.streams.limits.Message) }
	asked := false
	for {
		if err := within(cut.patience(&g.streams.limits)); err != nil {
			return
		}
		message, err := cut.next(begun)
		if errors.Is(err, websocket.ErrQuiet) && !asked {
			asked = st.put(websocket.Ping, nil) == nil
			continue
		}
		asked = false
		if !g.serve(st, message, err) {
			return
		}
	}
}

// serve takes what came over a connection, and reports whether more may come.
func (g *Gate) serve(st *stream, message []byte, err error) bool {
	switch {
	case errors.Is(err, errPing), errors.Is(err, errAsked):
		if !st.trust.Load() && !g.spend(Network(st.flow.Remote.Addr()), false) {
			return false
		}
		if errors.Is(err, errAsked) {
			return st.put(websocket.Pong, message) == nil
		}
		g.keepAlive([]byte("\r\n\r\n"), st.flow)
	case errors.Is(err, errAlive):
	case errors.Is(err, errBye):
		_ = st.put(websocket.Close, message) // the connection ends in any case
		return false
	case err == nil:
		g.message(message, st.flow)
	default:
		// Without a sane Content-Length nobody knows where the next
		// message begins: say what is wrong and end the connection.
		if len(message) > 0 {
			g.message(message, st.flow)
		}
		return false
	}
	return true
}

// open makes the handshakes of a connection that a peer has begun.
func (st *stream) open() error {
	if st.ready.Load() {
		return nil
	}
	if err := st.raw.SetDeadline(time.Now().Add(st.gate.streams.limits.Handshake)); err != nil {
		return err
	}
	if st.way.webSocket() {
		if err := websocket.Accept(st.conn, st.way.origin); err != nil { // TLS comes first by itself
			return err
		}
	} else if c, ok := st.conn.(*tls.Conn); ok {
		if err := c.HandshakeContext(context.Background()); err != nil {
			return err
		}
	}
	st.gate.streams.opened(st)
	return st.raw.SetDeadline(time.Time{})
}

// Stream returns the flow to a peer over TCP: the open connection, or a new
// one.
func (g *Gate) Stream(ctx context.Context, to netip.AddrPort) (*Flow, error) {
	if f := g.Open("TCP", to); f != nil {
		return f, nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	st := g.newStream(conn, way{transport: "TCP"})
	if err := g.serveStream(st, true); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	return st.flow, nil
}

// Secure returns the flow over TLS to a peer whose certificate is for that name
// (RFC 5922 §7.2): the connection that we opened before, or a new one.
func (g *Gate) Secure(ctx context.Context, to netip.AddrPort, name string, cfg *tls.Config) (*Flow, error) {
	if st := g.streams.find(streamKey{"TLS", name, to}); st != nil {
		return st.flow, nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	cfg = cfg.Clone()
	cfg.ServerName = name
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // was never used
		return nil, fmt.Errorf("TLS with %s (%s): %w", name, to, err)
	}
	st := g.newStream(conn, way{transport: "TLS"})
	st.conn, st.name = secure, name
	if err := g.serveStream(st, true); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	return st.flow, nil
}

// Open returns the connection over which a peer can be reached that has opened
// it itself, or over TCP also one of ours; nil if there is none.
func (g *Gate) Open(transport string, to netip.AddrPort) *Flow {
	if st := g.streams.find(streamKey{transport: transport, remote: to}); st != nil {
		return st.flow
	}
	return nil
}
