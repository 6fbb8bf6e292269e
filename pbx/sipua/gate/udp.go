package gate

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
)

// maxDatagram is the largest datagram read; a larger one is cut and then
// fails for want of a body.
const maxDatagram = 65535

// yieldAfter is how many datagrams are read before others may run: in a flood
// there is always one more, and with a single processor the media would wait
// until the runtime takes it away from us.
const yieldAfter = 32

// ServeUDP reads datagrams from the socket until Close.
func (g *Gate) ServeUDP(conn *net.UDPConn) error {
	return g.start(conn, func() { g.readUDP(conn) })
}

func (g *Gate) readUDP(conn *net.UDPConn) {
	local, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	buf := make([]byte, maxDatagram)
	for read := 0; ; read++ {
		if read%yieldAfter == yieldAfter-1 {
			runtime.Gosched()
		}
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram, not of the socket
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		f := &Flow{Transport: "UDP", Local: local, Remote: from, udp: conn}
		if n <= 4 && isKeepAlive(buf[:n]) {
			g.keepAlive(buf[:n], f)
			continue
		}
		if isSTUN(buf[:n]) {
			g.binding(buf[:n], f)
			continue
		}
		g.message(buf[:n], f)
	}
}

// UDPFlow returns the flow from a socket to a peer.
func UDPFlow(conn *net.UDPConn, to netip.AddrPort) *Flow {
	var local netip.AddrPort
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		local = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
	}
	return &Flow{Transport: "UDP", Local: local, Remote: to, udp: conn}
}

func isKeepAlive(b []byte) bool {
	for _, c := range b {
		if c != '\r' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// keepAlive answers the double CRLF of RFC 5626 §3.5.1 with a single one;
// other short packets only keep a NAT open.
func (g *Gate) keepAlive(b []byte, f *Flow) {
	if string(b) != "\r\n\r\n" || f.stream == nil {
		return
	}
	_ = f.Send([]byte("\r\n")) // a lost answer makes the peer ask again
}
