package keeper

import (
	"os"
	"syscall"
)

// MaxName is the longest name in bytes, MaxFiles the most descriptors of one
// name.
const (
	MaxName  = 128
	MaxFiles = 16
)

// Keeper holds descriptors beyond the life of this process. A name says what
// they are and where they are bound, so that it is unique on the machine:
// "sip/udp/192.0.2.1:5060", "http/192.0.2.1:8080", "rtp/192.0.2.1:40000"; it is
// 1 to MaxName printable ASCII characters without a space. All methods may be
// called from any goroutine; none fails: what cannot be held is bound anew by
// the next process, as without a keeper, and the log tells.
type Keeper interface {
	// Take returns what an earlier process has kept under the name, in its
	// order, once; nil: nothing. The caller owns the files. They stay kept until
	// Drop.
	Take(name string) []*os.File
	// Keep holds copies of these descriptors under the name, in place of what it
	// held. They survive this process from the moment Keep returns. *net.UDPConn,
	// *net.TCPListener and *os.File are a syscall.Conn, and so is FD.
	//
	// A socket that is kept stays bound when its own descriptor is closed, and
	// stays in an epoll set that it is not removed from.
	Keep(name string, sockets ...syscall.Conn)
	// Drop closes what is held under the name, if anything is. It may be a moment
	// until the address is free.
	Drop(name string)
	// HandOver makes Keep and Drop do nothing from now on: this process ends and
	// closes its own, and the next one is to find everything as it is now.
	HandOver()
	// Release is HandOver to a process that is none of this parent's: what is held
	// is closed, and when it returns the addresses are free for others.
	Release()
}

// None keeps nothing: there is no parent.
type None struct{}

var _ Keeper = None{}

// Take implements Keeper.
func (None) Take(string) []*os.File { return nil }

// Keep implements Keeper.
func (None) Keep(string, ...syscall.Conn) {}

// Drop implements Keeper.
func (None) Drop(string) {}

// HandOver implements Keeper.
func (None) HandOver() {}

// Release implements Keeper.
func (None) Release() {}

// FD is a bare descriptor as Keep wants it.
type FD int

// SyscallConn returns access to the descriptor.
func (fd FD) SyscallConn() (syscall.RawConn, error) { return fd, nil }

// Control implements syscall.RawConn.
func (fd FD) Control(f func(uintptr)) error {
	f(uintptr(fd))
	return nil
}

// Read implements syscall.RawConn; a bare descriptor is not waited for.
func (fd FD) Read(f func(uintptr) bool) error {
	f(uintptr(fd))
	return nil
}

// Write implements syscall.RawConn; a bare descriptor is not waited for.
func (fd FD) Write(f func(uintptr) bool) error { return fd.Read(f) }
