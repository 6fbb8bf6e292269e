package poll

import (
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Nap is how long a busy poller sleeps between two looks. Packets wait half of
// it on average; each look costs about as much as sending one packet.
const Nap = 250 * time.Microsecond

const (
	// batch is how many sockets one look returns. More wait for the next.
	batch = 256
	// A poller is busy while a nap gathers more packets than this.
	gathered = 3
	// window is how long packets are counted to find that out.
	window = 16 * Nap
	// burst is how many packets one look reads of a socket that had one at the
	// look before, too. A nap after each single packet of a flood would let
	// the socket overflow, and the flood starve the call whose port it is.
	burst = 16
)

// Reader takes the packets of a socket, in the poller's goroutine. It must not
// block, nor keep the packet; it may change it, and use the capacity of b.
type Reader interface {
	Read(b []byte, from netip.AddrPort, now int64)
}

// Config is what a poller is built of.
type Config struct {
	// Clock returns the time in nanoseconds since some moment.
	Clock func() int64
	// Size is the size of the buffer that packets are read into; longer ones
	// are cut off.
	Size int
}

// Poller reads sockets in one goroutine.
type Poller struct {
	clock    func() int64
	epoll    int
	file     *os.File        // the epoll set, as the runtime's poller waits for it
	waiter   syscall.RawConn // of file
	wake     int             // an eventfd
	in       *inbox
	looks    uint64
	lateness Meter
	calm     calm
	done     sync.WaitGroup

	// sockets by descriptor. The poller reads it; it changes under mu.
	sockets atomic.Pointer[[]atomic.Pointer[Socket]]

	mu     sync.Mutex
	todo   []func()
	closed bool
}

// New starts a poller. Errors: no descriptors left.
func New(cfg Config) (*Poller, error) {
	p := &Poller{clock: cfg.Clock, in: newInbox(cfg.Size), epoll: -1, wake: -1}
	p.sockets.Store(&[]atomic.Pointer[Socket]{})
	p.calm.epoll, p.calm.events = -1, make([]unix.EpollEvent, batch)
	if err := p.open(); err != nil {
		p.close()
		return nil, err
	}
	p.done.Go(p.run)
	return p, nil
}

func (p *Poller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(p.epoll, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	p.file = os.NewFile(uintptr(p.epoll), "epoll")
	if err := p.file.SetReadDeadline(time.Time{}); err != nil { // the runtime cannot wait for it
		return err
	}
	if p.waiter, err = p.file.SyscallConn(); err != nil {
		return err
	}
	if p.calm.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	return p.watch(p.wake)
}

// close closes what open has opened.
func (p *Poller) close() {
	if p.file != nil {
		_ = p.file.Close()
	} else if p.epoll >= 0 {
		_ = unix.Close(p.epoll)
	}
	for _, fd := range []int{p.calm.epoll, p.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func (p *Poller) watch(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

// Add hands a socket's packets to r from now on. One that the poller has
// already gets another reader; a packet that is just being read still goes to
// the one before.
func (p *Poller) Add(s *Socket, r Reader) error {
	if s.reader.Swap(&r) != nil {
		return nil
	}
	p.put(s.fd, s)
	if err := p.watch(s.fd); err != nil {
		p.put(s.fd, nil)
		return err
	}
	return nil
}

// Remove takes a socket out. It is called by the poller's goroutine (see Do),
// so that the socket can be closed at once. A socket that was never added is
// left alone.
func (p *Poller) Remove(s *Socket) {
	if s.reader.Load() == nil {
		return
	}
	p.forget(s)
	p.put(s.fd, nil)
}

func (p *Poller) put(fd int, s *Socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	table := *p.sockets.Load()
	if fd >= len(table) {
		larger := make([]atomic.Pointer[Socket], max(fd+1, 2*len(table)))
		for i := range table {
			larger[i].Store(table[i].Load())
		}
		table = larger
		p.sockets.Store(&table)
	}
	table[fd].Store(s)
}

// Do lets the poller's goroutine call f between two packets. It reports false
// if the poller has ended.
func (p *Poller) Do(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.todo = append(p.todo, f)
	if len(p.todo) == 1 {
		p.ring()
	}
	return true
}

// ring wakes the poller up.
func (p *Poller) ring() {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // not zero in either byte order
	_, _ = unix.Write(p.wake, one[:])      // fails only when it is awake anyway
}

// Close ends the poller, what is to be done first, and waits for it. Sockets
// stay open.
func (p *Poller) Close() {
	p.mu.Lock()
	first := !p.closed
	if p.closed = true; first {
		p.ring()
	}
	p.mu.Unlock()
	p.done.Wait()
	if first {
		p.close()
	}
}

// Lateness is how late the poller has come to its packets at worst in the last
// second or so: a nap that lasted too long, or a look that took too long.
func (p *Poller) Lateness() time.Duration { return p.lateness.Max(p.clock()) }

func (p *Poller) run() {
	events := make([]unix.EpollEvent, batch)
	var packets, since int64
	busy, n := false, 0
	some := func(epoll uintptr) bool {
		n = ready(int(epoll), events)
		return n > 0
	}
	for {
		n = 0
		err := p.waiter.Read(some)
		now := p.clock()
		if err != nil { // the deadline
			p.lookCalmly(now)
		}
		if p.look(events[:n], now) {
			return
		}
		packets += int64(n)
		if now-since >= int64(window) {
			busy = packets*int64(Nap) >= gathered*(now-since)
			packets, since = 0, now
		}
		if busy && n < batch {
			p.nap(now)
		}
	}
}

// ready asks an epoll set what it has.
func ready(epoll int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0) //nolint:gosec // the kernel takes addresses
	if errno != 0 {
		return 0 // cannot be: the arguments are right
	}
	return int(n)
}

// nap sleeps until a nap after a look, or not at all if that took as long.
func (p *Poller) nap(looked int64) {
	ended := p.clock()
	left := int64(Nap) - (ended - looked)
	if left > 0 {
		t := unix.NsecToTimespec(left)
		_ = unix.Nanosleep(&t, nil) // a signal shortens one nap
		ended = p.clock()
	}
	p.lateness.Note(ended, max(0, ended-looked-int64(Nap)))
}

// look reads one packet of each socket that has some, or a burst of one that
// is behind: none waits for a flood on another. It reports true at the end.
func (p *Poller) look(events []unix.EpollEvent, now int64) (ended bool) {
	p.looks++
	sockets := *p.sockets.Load()
	for i := range events {
		fd := int(events[i].Fd)
		if fd == p.wake {
			ended = p.work()
			sockets = *p.sockets.Load()
			continue
		}
		if fd >= len(sockets) {
			continue
		}
		if s := sockets[fd].Load(); s != nil {
			p.read(s, now)
		}
	}
	return ended
}

func (p *Poller) read(s *Socket, now int64) {
	most := 1
	if s.read+1 == p.looks {
		most = burst
	}
	s.read = p.looks
	for range most {
		n := s.receive(p.in)
		if n < 0 {
			return
		}
		(*s.reader.Load()).Read(p.in.buf[:n], p.in.from.AddrPort(), now)
	}
}

// work does what others asked for. It reports true at the end.
func (p *Poller) work() bool {
	var b [8]byte
	_, _ = unix.Read(p.wake, b[:])
	p.mu.Lock()
	todo, closed := p.todo, p.closed
	p.todo = nil
	p.mu.Unlock()
	for _, f := range todo {
		f()
	}
	return closed
}
