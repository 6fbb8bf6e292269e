package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wire is a UDP socket on loopback that many packets are sent and read by at
// once. The runtime does not watch it: a relay must not pay for waking this
// process up with each packet.
type wire struct {
	fd   int
	port int

	in    [batch]message64
	bufs  [batch][packetSize + 64]byte
	oobs  [batch][timestampLen]byte
	parts [batch]unix.Iovec
}

// message64 is a struct mmsghdr of a 64-bit machine.
type message64 struct {
	unix.Msghdr
	size uint32
	_    uint32
}

// newWire opens a socket on an even port, whose packets come with the kernel's
// time of arrival.
func newWire() (*wire, error) {
	for {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, os.NewSyscallError("socket", err)
		}
		w := &wire{fd: fd}
		if err := w.open(); err != nil {
			return nil, errors.Join(err, w.close())
		}
		if w.port%2 == 0 {
			w.prepare()
			return w, nil
		}
		_ = w.close()
	}
}

func (w *wire) open() error {
	if err := unix.Bind(w.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(w.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	four, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("bound to %T", name)
	}
	w.port = four.Port
	return errors.Join(unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20))
}

func (w *wire) prepare() {
	for i := range w.in {
		w.parts[i] = unix.Iovec{Base: &w.bufs[i][0], Len: uint64(len(w.bufs[i]))}
		w.in[i].Iov, w.in[i].Iovlen = &w.parts[i], 1
		w.in[i].Control = &w.oobs[i][0]
	}
}

func (w *wire) close() error { return unix.Close(w.fd) }

// read hands over what has come, each with its time of arrival.
func (w *wire) read(take func(b, oob []byte)) {
	for n := batch; n == batch; {
		for i := range w.in {
			w.in[i].Controllen = timestampLen
		}
		got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.in)), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return
		}
		n = int(got)
		for i := range n {
			take(w.bufs[i][:w.in[i].size], w.oobs[i][:w.in[i].Controllen])
		}
	}
}

// outgoing is a packet that is sent again and again, with what changes in it.
type outgoing struct {
	message message64
	part    unix.Iovec
	to      unix.RawSockaddrInet4
}

// address makes the packet one to that address, from b.
func (o *outgoing) address(b []byte, to netip.AddrPort) {
	o.to = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&o.to.Port))[:], to.Port())
	o.part = unix.Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
	o.message.Name, o.message.Namelen = (*byte)(unsafe.Pointer(&o.to)), unix.SizeofSockaddrInet4
	o.message.Iov, o.message.Iovlen = &o.part, 1
}

// write sends all packets; what cannot be sent is counted as lost by who waits
// for it.
func (w *wire) write(list []message64) {
	for len(list) > 0 {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(unsafe.SliceData(list))), uintptr(len(list)), 0, 0, 0)
		if errno != 0 {
			n = 1
		}
		list = list[min(int(n), len(list)):]
	}
}
