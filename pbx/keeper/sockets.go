package keeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Name is the name of a socket: what it is for, and where it is bound.
func Name(kind string, bound net.Addr) string {
	return kind + "/" + bound.Network() + "/" + bound.String()
}

// ListenTCP returns the listener that an earlier process has left for this
// address, with the connections that wait in it, or else a new one. It is kept
// until its Name is dropped, unless the kernel chose the port (0).
func ListenTCP(ctx context.Context, k Keeper, kind string, at netip.AddrPort) (*net.TCPListener, error) {
	name := Name(kind, net.TCPAddrFromAddrPort(at))
	if f := one(k.Take(name)); f != nil {
		l, err := net.FileListener(f)
		if tcp, ok := l.(*net.TCPListener); ok && closed(f) {
			return tcp, nil
		}
		return nil, unusable(k, name, err)
	}
	var lc net.ListenConfig
	l, err := patiently(ctx, at, func() (net.Listener, error) { return lc.Listen(ctx, "tcp"+family(at), at.String()) })
	if err != nil {
		return nil, err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		_ = l.Close() // cannot be used
		return nil, fmt.Errorf("%s: not a TCP listener", name)
	}
	if at.Port() != 0 {
		k.Keep(name, tcp)
	}
	return tcp, nil
}

// ListenUDP is ListenTCP for UDP; datagrams wait in the socket.
func ListenUDP(ctx context.Context, k Keeper, kind string, at netip.AddrPort) (*net.UDPConn, error) {
	name := Name(kind, net.UDPAddrFromAddrPort(at))
	if f := one(k.Take(name)); f != nil {
		c, err := net.FilePacketConn(f)
		if udp, ok := c.(*net.UDPConn); ok && closed(f) {
			return udp, nil
		}
		return nil, unusable(k, name, err)
	}
	var lc net.ListenConfig
	c, err := patiently(ctx, at, func() (net.PacketConn, error) { return lc.ListenPacket(ctx, "udp"+family(at), at.String()) })
	if err != nil {
		return nil, err
	}
	udp, ok := c.(*net.UDPConn)
	if !ok {
		_ = c.Close() // cannot be used
		return nil, fmt.Errorf("%s: not a UDP socket", name)
	}
	if at.Port() != 0 {
		k.Keep(name, udp)
	}
	return udp, nil
}

// A process that was killed with its parent may still hold its sockets for some
// milliseconds, or longer on a busy machine, when the next one is begun.
const (
	dying     = 2 * time.Second
	lookAgain = 20 * time.Millisecond
)

// patiently binds, and tries again for a while if another has the port.
func patiently[T any](ctx context.Context, at netip.AddrPort, bind func() (T, error)) (T, error) {
	s, err := bind()
	if at.Port() == 0 || !errors.Is(err, syscall.EADDRINUSE) {
		return s, err
	}
	limit := time.NewTimer(dying)
	defer limit.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for errors.Is(err, syscall.EADDRINUSE) {
		select {
		case <-ctx.Done():
			return s, err
		case <-limit.C:
			return s, err
		case <-again.C:
			s, err = bind()
		}
	}
	return s, err
}

// one is the file of a name that has one.
func one(files []*os.File) *os.File {
	if len(files) != 1 {
		return nil
	}
	return files[0]
}

// closed closes a file that has been copied.
func closed(f *os.File) bool { return f.Close() == nil }

// unusable drops what was kept, so that the next process binds anew.
func unusable(k Keeper, name string, err error) error {
	k.Drop(name)
	return fmt.Errorf("%s was kept and cannot be used: %w", name, err)
}

func family(at netip.AddrPort) string {
	if at.Addr().Unmap().Is4() {
		return "4"
	}
	return "6"
}
