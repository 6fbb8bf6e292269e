package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/dipcast/dipcast/pbx/keeper"
)

// socket is one UDP socket and the TCP listener beside it, or a listener alone.
type socket struct {
	addr netip.AddrPort // as bound
	udp  *net.UDPConn   // nil for TLS and WebSocket
	tcp  net.Listener
	kept keeper.Keeper
	kind string
}

// What a keeper's names of these sockets begin with.
const (
	kindPlain = "sip"
	kindTLS   = "sips"
	kindWSS   = "wss"
)

// portTries is how often a free port is looked for that both UDP and TCP, on
// every address, can have.
const portTries = 20

// readBuffer is what each UDP socket asks the kernel for, so that a burst of
// calls is not lost while the process waits for a processor.
const readBuffer = 4 << 20

// Ports are those to listen on; 0 asks the kernel for a free one.
type Ports struct {
	SIP int // UDP and TCP
	TLS int
	WSS int
}

// Listen opens UDP and TCP on every address, all on the same port, and likewise
// TLS and WebSocket if the document has a certificate. No address means all of
// both families.
func (e *Edge) Listen(ctx context.Context, addrs []netip.Addr, ports Ports) (err error) {
	e.secure.bind, e.secure.ports = addrs, ports
	if e.sockets, err = e.listen(ctx, addrs, ports.SIP, listenPlain); err != nil {
		return err
	}
	return e.Apply(ctx, e.cfg.Document())
}

// opener opens one socket.
type opener func(context.Context, keeper.Keeper, netip.AddrPort) (socket, error)

func (e *Edge) listen(ctx context.Context, addrs []netip.Addr, port int, open opener) (out []socket, err error) {
	all := len(addrs) == 0
	if all {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for range portTries {
		out, err = e.listenAll(ctx, addrs, port, all, open)
		if err == nil || port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return out, err
}

// Serve begins to read what Listen has opened.
func (e *Edge) Serve() error {
	for _, s := range e.sockets {
		if err := e.gate.ServeUDP(s.udp); err != nil {
			return err
		}
		if err := e.gate.ServeTCP(s.tcp); err != nil {
			return err
		}
	}
	return e.serveSecure()
}

// Addr returns the first address that is listened on for that transport: UDP
// and TCP have the same one; not valid for one that is not served.
func (e *Edge) Addr(transport string) netip.AddrPort {
	sockets := e.sockets
	switch transport {
	case "UDP", "TCP":
	case "TLS", "WSS":
		sockets = e.secure.of(transport)
	default:
		sockets = nil
	}
	if len(sockets) == 0 {
		return netip.AddrPort{}
	}
	return sockets[0].addr
}

// listenAll opens everything or nothing. A machine without IPv6 may lack it
// if nobody asked for it by address.
func (e *Edge) listenAll(ctx context.Context, addrs []netip.Addr, port int, optional6 bool, open opener) ([]socket, error) {
	var out []socket
	for _, a := range addrs {
		s, err := open(ctx, e.cfg.Keeper, netip.AddrPortFrom(a, uint16(port)))
		if err != nil && optional6 && a.Is6() && len(out) > 0 && !errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			for _, s := range out {
				s.close()
			}
			return nil, err
		}
		port = int(s.addr.Port())
		out = append(out, s)
	}
	return out, nil
}

func (s *socket) close() {
	if s.udp != nil {
		s.kept.Drop(keeper.Name(s.kind, s.udp.LocalAddr()))
		_ = s.udp.Close() // may be closed already
	}
	s.kept.Drop(keeper.Name(s.kind, s.tcp.Addr()))
	_ = s.tcp.Close() // may be closed already
}

func listenPlain(ctx context.Context, k keeper.Keeper, addr netip.AddrPort) (socket, error) {
	udp, err := keeper.ListenUDP(ctx, k, kindPlain, addr)
	if err != nil {
		return socket{}, fmt.Errorf("SIP port %d on %s: %w", addr.Port(), addr.Addr(), err)
	}
	_ = udp.SetReadBuffer(readBuffer) // the kernel's limit may be lower
	bound, err := netip.ParseAddrPort(udp.LocalAddr().String())
	if err != nil {
		_ = udp.Close() // was never served
		return socket{}, fmt.Errorf("SIP port %d on %s: %w", addr.Port(), addr.Addr(), err)
	}
	tcp, err := keeper.ListenTCP(ctx, k, kindPlain, bound)
	if err != nil {
		k.Drop(keeper.Name(kindPlain, udp.LocalAddr()))
		_ = udp.Close() // was never served
		return socket{}, fmt.Errorf("SIP port %d on %s over TCP: %w", bound.Port(), addr.Addr(), err)
	}
	return socket{addr: bound, udp: udp, tcp: tcp, kept: k, kind: kindPlain}, nil
}

// listenOnly opens listeners of that kind, for the transport that the error
// names.
func listenOnly(kind, transport string) opener {
	return func(ctx context.Context, k keeper.Keeper, addr netip.AddrPort) (socket, error) {
		l, err := keeper.ListenTCP(ctx, k, kind, addr)
		if err != nil {
			return socket{}, fmt.Errorf("SIP over %s, port %d on %s: %w", transport, addr.Port(), addr.Addr(), err)
		}
		bound, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			_ = l.Close() // was never served
			return socket{}, fmt.Errorf("SIP over %s, port %d on %s: %w", transport, addr.Port(), addr.Addr(), err)
		}
		return socket{addr: bound, tcp: l, kept: k, kind: kind}, nil
	}
}

// socketFor returns the UDP socket that reaches an address: of its family,
// and bound to loopback only if the peer is there too.
func (e *Edge) socketFor(to netip.Addr) *socket {
	var found *socket
	for i := range e.sockets {
		s := &e.sockets[i]
		if s.addr.Addr().Is4() != to.Unmap().Is4() {
			continue
		}
		own := s.addr.Addr()
		if found == nil || own == to || (own.IsUnspecified() && found.addr.Addr() != to) ||
			(own.IsLoopback() == to.IsLoopback() && found.addr.Addr().IsLoopback() != to.IsLoopback()) {
			found = s
		}
	}
	return found
}
