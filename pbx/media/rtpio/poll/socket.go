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
	read   uint64                 // the poller\'s look that read it last
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
	a := AddrOf(to)
	_, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(s.fd),
		uintptr(unsafe.Pointer(&a.raw)), uintptr(a.size)) //nolint:gosec // the kernel takes addresses
	if errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return s.name()
}

// name asks the kernel where the socket is bound.
func (s *Socket) name() error {
	var a Addr
	size := uint32(len(a.raw))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(s.fd),
		uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&size))) //nolint:gosec // the kernel takes addresses
	if errno != 0 {
		return os.NewSyscallError("getsockname", errno)
	}
	s.local = a.AddrPort()
	return nil
}

// Adopt makes a socket of a copy of a descriptor; the file stays the caller's.
// It fails for what is not a UDP socket.
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
		err = s.name()
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
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, //nolint:gosec // likewise
		uintptr(unsafe.Pointer(&to.raw)), uintptr(to.size)) //nolint:gosec // the kernel takes addresses
	if errno != 0 {
		return errno // boxed by the runtime without allocation for the numbers that sendto gives
	}
	return nil
}

// receive reads one packet; -1 if there is none or the socket is at fault.
func (s *Socket) receive(b []byte, from *Addr) int {
	from.size = uint32(len(from.raw))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, //nolint:gosec // likewise
		uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.size))) //nolint:gosec // the kernel takes addresses
	if errno != 0 {
		return -1
	}
	return int(n)
}

// Close closes the socket. One that a poller has must be taken from it first.
func (s *Socket) Close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }
