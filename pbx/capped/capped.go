package capped

import (
	"net"
	"net/netip"
	"sync"
)

// Listener is a listener that closes connections above its caps at once.
type Listener struct {
	net.Listener
	total, perSource int
	exempt           func(netip.Addr) bool // from perSource

	mu     sync.Mutex
	open   int
	bySrc  map[netip.Addr]int
	turned uint64
}

// Listen caps a listener: total connections at a time, perSource of them from
// one IPv4 address or IPv6 /64 that is not exempt. A proxy is: it speaks for
// many.
func Listen(l net.Listener, total, perSource int, exempt func(netip.Addr) bool) *Listener {
	return &Listener{Listener: l, total: total, perSource: perSource, exempt: exempt, bySrc: make(map[netip.Addr]int)}
}

// Accept returns the next connection that there is room for.
func (c *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source := sourceOf(accepted)
		if c.take(source) {
			return &conn{Conn: accepted, give: sync.OnceFunc(func() { c.give(source) })}, nil
		}
		_ = accepted.Close() // was never served
	}
}

func (c *Listener) take(source netip.Addr) bool {
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

func (c *Listener) give(source netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.bySrc[source]--; c.bySrc[source] == 0 {
		delete(c.bySrc, source)
	}
}

// Counts returns how many connections are open and how many were turned away.
func (c *Listener) Counts() (open int, turned uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.turned
}

// sourceOf is the peer's IPv4 address, or the /64 network of its IPv6 address,
// which one host may fill at will.
func sourceOf(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	source := a.Addr().Unmap().WithZone("")
	if p, err := source.Prefix(64); err == nil && source.Is6() && !source.IsLoopback() {
		return p.Addr()
	}
	return source
}

// conn gives its place back once.
type conn struct {
	net.Conn
	give func()
}

func (c *conn) Close() error {
	c.give()
	return c.Conn.Close()
}
