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

// socket is one UDP socket and the TCP listener beside it.
type socket struct {
	addr netip.AddrPort // as bound
	udp  *net.UDPConn
	tcp  net.Listener
	kept keeper.Keeper
}

// kind is what a keeper's names of these sockets begin with.
const kind = "sip"

// portTries is how often a free port is looked for that both UDP and TCP, on
// every address, can have.
const portTries = 20

// readBuffer is what each UDP socket asks the kernel for, so that a burst of
// calls is not lost while the process waits for a processor.
const readBuffer = 4 << 20

// Listen opens UDP and TCP on every address, all on the same port; port 0
// asks the kernel for one. No address means all of both families.
func (e *Edge) Listen(ctx context.Context, addrs []netip.Addr, port int) error {
	all := len(addrs) == 0
	if all {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	var err error
	for range portTries {
		e.sockets, err = e.listenAll(ctx, addrs, port, all)
		if err == nil || port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return err
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
	return nil
}

// Addr returns the first address that is listened on; port and address are
// the same for UDP and TCP.
func (e *Edge) Addr() netip.AddrPort {
	if len(e.sockets) == 0 {
		return netip.AddrPort{}
	}
	return e.sockets[0].addr
}

// listenAll opens everything or nothing. A machine without IPv6 may lack it
// if nobody asked for it by address.
func (e *Edge) listenAll(ctx context.Context, addrs []netip.Addr, port int, optional6 bool) ([]socket, error) {
	var out []socket
	for _, a := range addrs {
		s, err := listenOne(ctx, e.cfg.Keeper, netip.AddrPortFrom(a, uint16(port)))
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
	s.kept.Drop(keeper.Name(kind, s.udp.LocalAddr()))
	s.kept.Drop(keeper.Name(kind, s.tcp.Addr()))
	_ = s.udp.Close() // may be closed already
	_ = s.tcp.Close() // may be closed already
}

func listenOne(ctx context.Context, k keeper.Keeper, addr netip.AddrPort) (socket, error) {
	udp, err := keeper.ListenUDP(ctx, k, kind, addr)
	if err != nil {
		return socket{}, fmt.Errorf("SIP port %d on %s: %w", addr.Port(), addr.Addr(), err)
	}
	_ = udp.SetReadBuffer(readBuffer) // the kernel's limit may be lower
	bound, err := netip.ParseAddrPort(udp.LocalAddr().String())
	if err != nil {
		_ = udp.Close() // was never served
		return socket{}, fmt.Errorf("SIP port %d on %s: %w", addr.Port(), addr.Addr(), err)
	}
	tcp, err := keeper.ListenTCP(ctx, k, kind, bound)
	if err != nil {
		k.Drop(keeper.Name(kind, udp.LocalAddr()))
		_ = udp.Close() // was never served
		return socket{}, fmt.Errorf("SIP port %d on %s over TCP: %w", bound.Port(), addr.Addr(), err)
	}
	return socket{addr: bound, udp: udp, tcp: tcp, kept: k}, nil
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
