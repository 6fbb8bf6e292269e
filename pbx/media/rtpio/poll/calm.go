package poll

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// CalmNap is how long packets wait in sockets that are in no hurry: those of
// rooms, whose frames are made each 20 ms and whose jitter buffers hold more
// than that. A room alone in a process would else wake the poller for each
// packet, which costs more than to mix it.
const CalmNap = 10 * time.Millisecond

// rounds bounds how often one look comes back to sockets that have more.
const rounds = 4

// calm are the sockets that are in no hurry.
type calm struct {
	epoll  int
	count  atomic.Int32
	due    time.Time // when they are looked at; the poller's
	events []unix.EpollEvent
}

// Calm lets a socket's packets wait for up to a CalmNap, or no longer. A socket
// that the poller does not have is left alone. On an error it stays as it was.
func (p *Poller) Calm(s *Socket, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.calm == on || s.reader.Load() == nil || p.closed {
		return nil
	}
	from, to := p.epoll, p.calm.epoll
	if !on {
		from, to = to, from
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.fd)}
	if err := unix.EpollCtl(to, unix.EPOLL_CTL_ADD, s.fd, &e); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	_ = unix.EpollCtl(from, unix.EPOLL_CTL_DEL, s.fd, nil) // it is there
	s.calm = on
	if !on {
		p.calm.count.Add(-1)
	} else if p.calm.count.Add(1) == 1 {
		return p.file.SetReadDeadline(time.Now().Add(CalmNap))
	}
	return nil
}

// forget takes a socket out of its set.
func (p *Poller) forget(s *Socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.epoll
	if s.calm {
		set, s.calm = p.calm.epoll, false
		p.calm.count.Add(-1)
	}
	// Copies of the descriptor in other processes keep it in the epoll set
	// when it is closed here.
	_ = unix.EpollCtl(set, unix.EPOLL_CTL_DEL, s.fd, nil)
}

// lookCalmly reads what has come to the calm ones, and says when to look next:
// at steady times, so that a steady stream seems steady.
func (p *Poller) lookCalmly(now int64) {
	for range rounds {
		n := ready(p.calm.epoll, p.calm.events)
		if n == 0 {
			break
		}
		p.look(p.calm.events[:n], now)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calm.count.Load() == 0 {
		p.calm.due = time.Time{} // none
	} else if p.calm.due = p.calm.due.Add(CalmNap); time.Until(p.calm.due) < 0 {
		p.calm.due = time.Now().Add(CalmNap)
	}
	_ = p.file.SetReadDeadline(p.calm.due) // fails only when the poller has ended
}
