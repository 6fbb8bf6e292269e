package server

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// What an HTTP listener takes: in total, and from one source that is not a
// proxy of ours, which speaks for many. Slow senders lose their connection by
// the server's timeouts; these keep them from taking every place until then.
const (
	httpConnections = 1024
	httpPerSource   = 64
)

// capped is a listener that closes connections above its caps at once.
type capped struct {
	net.Listener
	total, perSource int
	exempt           func(netip.Addr) bool // from perSource

	mu     sync.Mutex
	open   int
	bySrc  map[netip.Addr]int
	turned uint64
}

func newCapped(l net.Listener, total, perSource int, exempt func(netip.Addr) bool) *capped {
	return &capped{Listener: l, total: total, perSource: perSource, exempt: exempt, bySrc: make(map[netip.Addr]int)}
}

// Accept returns the next connection that there is room for.
func (c *capped) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(conn)
		if c.take(source) {
			return &cappedConn{Conn: conn, give: sync.OnceFunc(func() { c.give(source) })}, nil
		}
		_ = conn.Close() // was never served
	}
}

func (c *capped) take(source netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.total || c.bySrc[source] >= c.perSource && !c.exempt(source) {
		c.turned++
		return false
	}
	c.open++
	c.bySrc[source]++
	return true
}

func (c *capped) give(source netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.bySrc[source]--; c.bySrc[source] == 0 {
		delete(c.bySrc, source)
	}
}

// counts returns how many connections are open and how many were turned away.
func (c *capped) counts() (open int, turned uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.turned
}

// sourceOf is the peer's IPv4 address, or the /64 network of its IPv6 address,
// which one host may fill at will.
func sourceOf(conn net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	source := a.Addr().Unmap().WithZone("")
	if p, err := source.Prefix(64); err == nil && source.Is6() && !source.IsLoopback() {
		return p.Addr()
	}
	return source
}

// cappedConn gives its place back once.
type cappedConn struct {
	net.Conn
	give func()
}

func (c *cappedConn) Close() error {
	c.give()
	return c.Conn.Close()
}

// proxy reports whether an address is a reverse proxy that the document names,
// or on this machine.
func (s *Server) proxy(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	proxies, err := networks("web.trustedProxies", s.document().Web.TrustedProxies)
	return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
