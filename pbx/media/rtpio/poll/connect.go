package poll

import (
	"encoding/binary"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Connect ties the socket to one peer. The kernel then finds it at once for
// that peer's packets, keeps the route of those that go there, and refuses
// everybody else's before they cost anything here; packets of others that wait
// already are still handed over. It reports false, and leaves the socket as
// open as it was, where that would shut the peer out: the kernel ties a
// socket of every address to the one that it would send from, and the peer may
// have sent to another.
//
// Only the poller's goroutine connects and disconnects, while it hands over a
// packet of that peer, and only as long as the socket is open. The address must
// not change afterwards.
func (s *Socket) Connect(to *Addr) bool {
	if s.connect(to) != 0 {
		return false
	}
	s.peer.Store(to)
	if !s.wild || s.localAddr() == s.arrived {
		return true
	}
	s.Disconnect()
	return false
}

// Connected reports whether the socket is tied to a peer.
func (s *Socket) Connected() bool { return s.peer.Load() != nil }

// Disconnect opens the socket to everybody again.
func (s *Socket) Disconnect() {
	if s.peer.Swap(nil) != nil {
		s.untie()
	}
}

// untie disconnects at the kernel. The number of a port that the kernel chose
// itself is lost thereby, and taken again at once.
func (s *Socket) untie() {
	none := Addr{size: unix.SizeofSockaddrInet4} // its family is AF_UNSPEC
	s.connect(&none)
	if a, err := s.name(); err == nil && a.Port() != s.local.Port() {
		_ = s.bindTo(s.local) // nobody can have taken it in the meantime but by guessing it
	}
}

func (s *Socket) connect(to *Addr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd),
		uintptr(unsafe.Pointer(&to.raw)), uintptr(to.size)) //nolint:gosec // the kernel takes addresses
	return errno
}

// localAddr is the address that the socket sends from.
func (s *Socket) localAddr() netip.Addr {
	a, _ := s.name() // fails only on what is no socket
	return a.Addr()
}

// watchArrival asks for the address that each packet was sent to, if the socket
// is bound to all of them.
func (s *Socket) watchArrival() error {
	if s.wild = s.local.Addr().IsUnspecified(); !s.wild {
		return nil
	}
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if s.local.Addr().Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(s.fd, level, option, 1))
}

// inbox is what packets are read into.
type inbox struct {
	buf  []byte
	from Addr

	// For packets whose arrival is watched.
	header  unix.Msghdr
	part    unix.Iovec
	control [unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo + 4]byte
}

func newInbox(size int) *inbox {
	in := &inbox{buf: make([]byte, size)}
	in.part.Base = &in.buf[0]
	in.part.SetLen(size)
	in.header.Name, in.header.Iov = &in.from.raw[0], &in.part
	in.header.SetIovlen(1)
	in.header.Control = &in.control[0]
	return in
}

// receive reads one packet; -1 if there is none or the socket is at fault. An
// error of a connected socket is most often the peer's host that has refused a
// packet: the socket is open to everybody then, and told of no further ones.
func (s *Socket) receive(in *inbox) int {
	in.from.size = uint32(len(in.from.raw))
	peer := s.peer.Load()
	var n uintptr
	var errno unix.Errno
	if s.wild && peer == nil {
		n, errno = s.receiveMessage(in)
	} else {
		n, _, errno = unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(in.buf))), uintptr(len(in.buf)), unix.MSG_DONTWAIT, //nolint:gosec // likewise
			uintptr(unsafe.Pointer(&in.from.raw)), uintptr(unsafe.Pointer(&in.from.size))) //nolint:gosec // likewise
	}
	switch {
	case errno == 0:
		return int(n)
	case errno != unix.EAGAIN && peer != nil:
		s.Disconnect()
	}
	return -1
}

// receiveMessage reads a packet and the address that it was sent to.
func (s *Socket) receiveMessage(in *inbox) (uintptr, unix.Errno) {
	h := &in.header
	h.Namelen = in.from.size
	h.SetControllen(len(in.control))
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(s.fd), uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT) //nolint:gosec // likewise
	if errno == 0 {
		s.arrived = in.sentTo()
	}
	return n, errno
}

// sentTo reads the only control message that was asked for: in_pktinfo (ip(7))
// or in6_pktinfo (RFC 3542 §6.2).
func (in *inbox) sentTo() netip.Addr {
	const data = unix.SizeofCmsghdr
	switch c := in.control[:in.header.Controllen]; {
	case len(c) < data+unix.SizeofInet4Pktinfo:
		return netip.Addr{}
	case binary.NativeEndian.Uint32(c[data-8:]) == unix.IPPROTO_IP:
		return netip.AddrFrom4([4]byte(c[data+8:]))
	case len(c) < data+unix.SizeofInet6Pktinfo:
		return netip.Addr{}
	default:
		return netip.AddrFrom16([16]byte(c[data:]))
	}
}
