package keeper

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// handPatience is how long a child waits for its parent, which has nothing else to
// do: to be handed what is held, and to be taken a message from.
const handPatience = 5 * time.Second

// Child is a process with a parent, or one that is alone and keeps nothing.
type Child struct {
	fd       int // -1: alone
	log      *slog.Logger
	restarts int
	crashes  int
	over     atomic.Bool // handed over

	mu   sync.Mutex
	left map[string][]int // from an earlier child, not taken yet
}

var _ Keeper = (*Child)(nil)

// Alone is a process without a parent.
func Alone() *Child { return &Child{fd: -1, log: slog.New(slog.DiscardHandler)} }

// newChild receives from the parent on the other end of fd what is held.
func newChild(fd int, log *slog.Logger) (*Child, error) {
	syscall.CloseOnExec(fd)
	c := &Child{fd: fd, log: log, left: make(map[string][]int)}
	wait := syscall.NsecToTimeval(int64(handPatience))
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, option, &wait); err != nil {
			return nil, fmt.Errorf("descriptor %d in %s: must be the keeper's socket: %w", fd, Env, err)
		}
	}
	for in := newConn(fd); ; {
		m, err := in.receive()
		if err != nil {
			return nil, fmt.Errorf("what the parent holds: %w: if the program was replaced by another version, start it anew", err)
		}
		switch m.verb {
		case verbBegin:
			_, err = fmt.Sscanf(m.name, "%d %d", &c.restarts, &c.crashes)
		case verbKeep:
			c.left[m.name] = m.files
		case verbEnd:
			return c, nil
		default:
			err = errMessage
		}
		if err != nil {
			return nil, fmt.Errorf("what the parent holds: verb %q %q: %w", m.verb, m.name, err)
		}
	}
}

// Restarts is how often a child of this parent has died; Crashes is how many in
// a row died at once or soon after they served, this one's predecessor last.
// One who sees a large number may leave out what could kill it again.
func (c *Child) Restarts() int { return c.restarts }

// Crashes is described at Restarts.
func (c *Child) Crashes() int { return c.crashes }

// Take implements Keeper.
func (c *Child) Take(name string) []*os.File {
	c.mu.Lock()
	fds := c.left[name]
	delete(c.left, name)
	c.mu.Unlock()
	var files []*os.File
	for _, fd := range fds {
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	return files
}

// Keep implements Keeper.
func (c *Child) Keep(name string, sockets ...syscall.Conn) {
	err := checkName(name)
	if err == nil && len(sockets) > MaxFiles {
		err = fmt.Errorf("%d descriptors: at most %d", len(sockets), MaxFiles)
	}
	if err == nil {
		err = each(sockets, nil, func(fds []int) error { return c.tell(verbKeep, name, fds...) })
	}
	if err != nil {
		c.log.Error("a socket is lost if the process dies", "name", name, "error", err)
	}
}

// each calls f with the descriptors of all sockets while none can be closed.
func each(sockets []syscall.Conn, fds []int, f func([]int) error) error {
	if len(sockets) == 0 {
		return f(fds)
	}
	raw, err := sockets[0].SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = each(sockets[1:], append(fds, int(fd)), f) }); err != nil {
		return err
	}
	return inner
}

// Drop implements Keeper.
func (c *Child) Drop(name string) {
	if err := c.tell(verbDrop, name); err != nil {
		c.log.Error("a socket stays open until the program ends", "name", name, "error", err)
	}
}

// HandOver implements Keeper.
func (c *Child) HandOver() { c.over.Store(true) }

// Release implements Keeper.
func (c *Child) Release() {
	c.over.Store(true)
	if c.fd < 0 {
		return
	}
	err := send(c.fd, verbRelease, "")
	if err == nil {
		_, err = newConn(c.fd).receive() // nothing else is under way: verbEnd
	}
	if err != nil {
		c.log.Error("the sockets stay open until the parent has ended", "error", err)
	}
}

// Ready says that the process serves and has taken what it wants: what is left
// is closed.
func (c *Child) Ready() {
	c.mu.Lock()
	left := c.left
	c.left = nil
	c.mu.Unlock()
	for name, fds := range left {
		for _, fd := range fds {
			_ = syscall.Close(fd) // was never used
		}
		c.Drop(name)
	}
	if len(left) > 0 {
		c.log.Info("sockets of the process before are not wanted any more", "names", len(left))
	}
	if err := c.tell(verbReady, ""); err != nil {
		c.log.Error("the parent does not know that the program serves", "error", err)
	}
}

// tell sends a message, unless nobody is there or it is not ours any more to
// say.
func (c *Child) tell(v verb, name string, fds ...int) error {
	if c.fd < 0 || c.over.Load() {
		return nil
	}
	err := send(c.fd, v, name, slices.Clone(fds)...)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil // the parent ends, and this process with it
	}
	return err
}
