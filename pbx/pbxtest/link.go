package pbxtest

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// Faults are the shares (0..1) of packets that a link maltreats, drawn from
// Seed, so that a run can be repeated.
type Faults struct {
	Drop, Duplicate float64
	// Reorder is the share of packets that are held back until the next one
	// of the same direction has passed.
	Reorder float64
	Seed    uint64
}

// Link is a bad UDP path to a server: clients send to Addr, each is seen by
// the server as an address of the link's own.
type Link struct {
	front  *net.UDPConn
	server netip.AddrPort
	faults Faults
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	chance *rand.Rand
	back   map[netip.AddrPort]*net.UDPConn
	counts Counts
}

// Counts are what a link did to packets.
type Counts struct{ Passed, Dropped, Duplicated, Reordered int }

// NewLink opens a link on loopback that ends with the test.
func NewLink(tb testing.TB, server netip.AddrPort, f Faults) *Link {
	tb.Helper()
	front, err := net.ListenUDP("udp", loopback(server.Addr()))
	if err != nil {
		tb.Fatal(err)
	}
	l := &Link{
		front: front, server: server, faults: f,
		chance: rand.New(rand.NewPCG(f.Seed, 1)),
		back:   map[netip.AddrPort]*net.UDPConn{},
	}
	l.wg.Go(func() {
		var held parcel
		l.pump(front, func(client netip.AddrPort, b []byte) { l.pass(b, &held, l.toServer(client)) })
	})
	tb.Cleanup(l.Close)
	return l
}

func loopback(like netip.Addr) *net.UDPAddr {
	if like.Is6() {
		return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("[::1]:0"))
	}
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
}

// Addr returns where clients send to.
func (l *Link) Addr() netip.AddrPort { return local(l.front) }

func local(c *net.UDPConn) netip.AddrPort {
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	}
	return netip.AddrPort{}
}

// Counts returns what the link did so far.
func (l *Link) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Close ends the link and waits for its goroutines.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	_ = l.front.Close()
	for _, c := range l.back {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// pump hands each packet of a socket to take until the socket is closed.
func (l *Link) pump(c *net.UDPConn, take func(from netip.AddrPort, b []byte)) {
	buf := make([]byte, 65536)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of a peer that is gone
		}
		take(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), append([]byte(nil), buf[:n]...))
	}
}

// toServer returns how to send for a client; its first packet opens the socket
// that the server sees it as, and the way back.
func (l *Link) toServer(client netip.AddrPort) func([]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.back[client]
	if !ok && !l.closed {
		var err error
		if c, err = net.ListenUDP("udp", loopback(l.server.Addr())); err != nil {
			return nil
		}
		l.back[client] = c
		l.wg.Go(func() {
			var held parcel
			l.pump(c, func(_ netip.AddrPort, b []byte) {
				l.pass(b, &held, func(b []byte) { _, _ = l.front.WriteToUDPAddrPort(b, client) })
			})
		})
	}
	if c == nil {
		return nil
	}
	return func(b []byte) { _, _ = c.WriteToUDPAddrPort(b, l.server) }
}

// parcel is a packet that waits for the next one, with its way.
type parcel struct {
	b    []byte
	send func([]byte)
}

// pass sends a packet, or what the faults make of it.
func (l *Link) pass(b []byte, held *parcel, send func([]byte)) {
	if send == nil {
		return
	}
	l.mu.Lock()
	times := 1
	hold := false
	switch x := l.chance.Float64(); {
	case x < l.faults.Drop:
		times = 0
		l.counts.Dropped++
	case x < l.faults.Drop+l.faults.Duplicate:
		times = 2
		l.counts.Duplicated++
	case x < l.faults.Drop+l.faults.Duplicate+l.faults.Reorder && held.b == nil:
		hold = true
		l.counts.Reordered++
	}
	l.counts.Passed += times
	l.mu.Unlock()
	if hold {
		*held = parcel{b, send}
		return
	}
	for range times {
		send(b)
	}
	if held.b != nil && times > 0 {
		held.send(held.b)
		*held = parcel{}
	}
}
