package poll

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is a UDP socket that never blocks.
type Socket struct {
	fd     int
	local  netip.AddrPort
	reader atomic.Pointer[Reader] // once a poller has it
	read   uint64                 // the poller's look that read it last
	calm   bool                   // see Poller.Calm; under the poller's mu
	peer   atomic.Pointer[Addr]   // that it is connected to

	wild    bool       // bound to every address
	arrived netip.Addr // the one that the last packet was sent to, if wild; the poller's
}

// Listen opens a socket. An IPv6 one takes no IPv4 packets; port 0 lets the
// kernel choose.
func Listen(bind netip.AddrPort) (*Socket, error) {
	family := unix.AF_INET
	if bind.Addr().Unmap().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &Socket{fd: fd}
	if err := s.bind(family, bind); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("listen on %s: %w", bind, err)
	}
	return s, nil
}

func (s *Socket) bind(family int, to netip.AddrPort) error {
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if err := s.bindTo(to); err != nil {
		return err
	}
	return s.settle()
}

func (s *Socket) bindTo(to netip.AddrPort) error {
	a := AddrOf(to)
	_, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(s.fd),
		uintptr(unsafe.Pointer(&a.raw)), uintptr(a.size)) //nolint:gosec // the kernel takes addresses
	if errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return nil
}

// settle notes where the socket is bound.
func (s *Socket) settle() (err error) {
	if s.local, err = s.name(); err != nil {
		return err
	}
	return s.watchArrival()
}

// name asks the kernel where the socket is bound.
func (s *Socket) name() (netip.AddrPort, error) { return s.ask("getsockname", unix.SYS_GETSOCKNAME) }

// ask calls what returns an address of the socket.
func (s *Socket) ask(name string, call uintptr) (netip.AddrPort, error) {
	var a Addr
	size := uint32(len(a.raw))
	_, _, errno := unix.RawSyscall(call, uintptr(s.fd),
		uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&size))) //nolint:gosec // the kernel takes addresses
	if errno != 0 {
		return netip.AddrPort{}, os.NewSyscallError(name, errno)
	}
	return a.AddrPort(), nil
}

// Adopt makes a socket of a copy of a descriptor; the file stays the caller's.
// One that its last owner had connected is open to everybody again, with what
// waits in it. It fails for what is not a UDP socket.
func Adopt(f *os.File) (*Socket, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &Socket{fd: -1}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var kind int
		if kind, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE); failed != nil {
			return
		}
		if kind != unix.SOCK_DGRAM {
			failed = unix.EPROTOTYPE
			return
		}
		s.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		err = unix.SetNonblock(s.fd, true)
	}
	if err == nil {
		err = s.reopen()
	}
	if err == nil && !s.local.IsValid() {
		err = unix.EAFNOSUPPORT
	}
	if err != nil {
		if s.fd >= 0 {
			_ = s.Close()
		}
		return nil, fmt.Errorf("adopt %s as a UDP socket: %w", f.Name(), err)
	}
	return s, nil
}

// reopen disconnects a socket that somebody else had connected. Only then is it
// known where it is bound.
func (s *Socket) reopen() (err error) {
	if s.local, err = s.name(); err != nil {
		return err
	}
	if _, err := s.ask("getpeername", unix.SYS_GETPEERNAME); err == nil {
		s.untie()
	}
	return s.settle()
}

// Local is the address that the socket is bound to.
func (s *Socket) Local() netip.AddrPort { return s.local }

// File returns a copy of the descriptor for another process.
func (s *Socket) File() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), s.local.String()), nil
}

// Send sends one packet from any goroutine, as long as the socket is open.
// Errors are those of sendto(2); EAGAIN means that it would have to wait.
func (s *Socket) Send(b []byte, to *Addr) error {
	if peer := s.peer.Load(); peer != nil && *peer == *to {
		// Any other error is of a packet before this one, which was refused, or of
		// a socket that is connected no more.
		if errno := s.send(b, nil, 0); errno == 0 || errno == unix.EAGAIN {
			return failure(errno)
		}
	}
	return failure(s.send(b, unsafe.Pointer(&to.raw), to.size)) //nolint:gosec // the kernel takes addresses
}

func (s *Socket) send(b []byte, to unsafe.Pointer, size uint32) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, //nolint:gosec // likewise
		uintptr(to), uintptr(size))
	return errno
}

// failure is an errno as an error. The runtime boxes the numbers that sendto
// gives without allocation.
func failure(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// Close closes the socket. One that a poller has must be taken from it first.
func (s *Socket) Close() error {
	s.peer.Store(nil) // nothing is left to disconnect
	return os.NewSyscallError("close", unix.Close(s.fd))
}
